//! Shared memory between processes of one host.
//!
//! The control side meets peers: a [`Listener`] has a socket file in a run-time directory, [`connect`] calls another's.
//! Both ends then say a small [`greeting`] over that socket and pass memory and doorbells with it. [`Joining`] is that
//! conversation; it never blocks. It ends in a [`Session`]: rings for each lane, and a [`Lifeline`] that tells at once
//! when the peer's process is gone.
//!
//! The lane side is [`Shm`], a [`crate::Carrier`]: one a lane, each with a doorbell of its own.
//!
//! Each lane of a node sends on one ring of its own, which it made. The peer's lane `k mod lanes` reads ring `k`.
//! A ring's memory is a memfd sealed against shrinking and growing before it is mapped; the receiver checks that.

mod board;
mod connect;
mod error;
pub mod greeting;
mod joining;
mod lane;
mod lifeline;
mod listener;
mod lock;
mod memory;
mod rings;

pub use board::{Board, BoardError, Offered, Part, bell, ring_memory};
pub use connect::{NAME_MOST, connect, peers};
pub use error::{BindError, JoinError};
pub use joining::{Joining, Offer, Progress, Session};
pub use lane::Shm;
pub use lifeline::{Credentials, Life, Lifeline};
pub use listener::Listener;
pub use lock::Lock;
pub use rings::Rings;

/// The most lanes of a node.
pub const LANES_MOST: usize = 64;
/// The largest ring that is taken from a peer, in bytes.
pub const RING_MOST: usize = 64 << 20;
/// The longest message in bytes, however large the ring: a super-frame with all headers, and some.
pub const MESSAGE_MOST: usize = 72 << 10;
