//! A single-producer single-consumer byte ring in memory that both ends map and neither trusts.
//!
//! One end holds a [`Producer`], the other a [`Consumer`]; the memory between them is a header page and a data area
//! whose size is a power of two ([`layout`]). Records are contiguous. The producer *reserves the most* and *commits
//! the used*, and shows its records to the peer in batches ([`Producer::publish`]). The consumer hands records out as
//! [`View`]s and gives them back in batches ([`Consumer::release`]).
//!
//! Either end may die at any instruction, or lie. Every word a peer can write is read once into a local, checked
//! against what the reader knows by itself, and then the local is used. What does not fit is [`Broken`]; from then on
//! the ring is dead for that end, which can neither read wild nor loop.
//!
//! It is *not* a queue with wake-ups: it only keeps two words in which an end says that it sleeps. Who rings, and how,
//! is the caller's (see [`barrier`]).
//!
//! ```
//! use fabric_ring::{Consumer, Producer, View, model::Heap};
//! let memory = Heap::new(4096);
//! let mut producer = Producer::offer(memory.clone(), 4096)?;
//! let mut consumer = Consumer::join(memory)?;
//!
//! producer.reserve(100)?.write(0, View::from(&b"a frame"[..]));
//! producer.commit(7)?;
//! producer.publish();
//!
//! let mut out = [0; 7];
//! consumer.receive(16, |record| assert_eq!(record.copy_to(0, &mut out), 7))?;
//! consumer.release();
//! assert_eq!(&out, b"a frame");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![cfg_attr(not(any(test, loom, feature = "model")), no_std)]

mod atomic;
mod consumer;
mod error;
pub mod layout;
mod memory;
#[cfg(any(test, loom, feature = "model"))]
pub mod model;
mod producer;
mod session;
mod view;

pub use atomic::barrier;
pub use consumer::Consumer;
pub use error::{Broken, JoinError, OfferError, ReserveError};
pub use memory::Memory;
pub use producer::Producer;
pub use session::State;
pub use view::{Slot, View};
