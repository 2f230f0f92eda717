//! The Carrier contract, the carriers, and middleware around them.
//!
//! A [`Carrier`] moves whole messages between this process and its peers, in batches, for one thread. There are five:
//! [`loopback`] in one process, [`shm`] between processes of a host, [`udp`] and [`ether`] between hosts, [`serial`] on a
//! line. [`middleware`] stands around any of them: to trace, to capture, to break on purpose;
//! [`sealed`] around the last two, to seal (UDP does by itself). [`io`] reads a file straight into a carrier's memory and
//! writes straight out of it.
//!
//! It does *not* know what is in a message, who a peer is, or how long to wait: no names, retries, keys, timers or
//! threads. That is the caller's.
//!
//! ```
//! use fabric::{Batch, Carrier, Channel, Message, Peer, View, loopback::{Loopback, pair}};
//! let (here, there) = pair(16, 1500);
//! let (mut a, mut b) = (Loopback::new()?, Loopback::new()?);
//! a.attach(Channel(0), Peer::Loop(here))?;
//! b.attach(Channel(5), Peer::Loop(there))?;
//!
//! let parts = [View::from(&b"header, "[..]), View::from(&b"payload"[..])];
//! a.send(Channel(0), &[Message { parts: &parts }]).1?;
//! a.flush();
//!
//! let mut batch = Batch::new();
//! b.receive(&mut batch)?;
//! assert_eq!(batch[0].bytes.len(), 15);
//! drop(batch);
//! b.release();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod bell;
mod carrier;
pub mod ether;
pub mod io;
pub mod loopback;
pub mod middleware;
pub mod sealed;
pub mod serial;
pub mod shm;
mod sys;
pub mod udp;
pub use carrier::*;
pub use fabric_ring::{Slot, View};
