//! Messenger for applications.
//!
//! A process joins the daemon of its host as a *guest*, over a unix socket. Its ports live in the daemon: a message that
//! the daemon confirmed is there, whatever the process does, and a port that is retained keeps its queue while nobody
//! receives. When the process ends, also by SIGKILL, its ports close or stay as they were told to, and whoever waits for it
//! is told.
//!
//! It is *not* a node: names, streams and tickets are the daemon's, and this crate holds no queue or timer of messages. A
//! [`Guest`] is a handle that is cloned for any thread. Its calls block, with a time limit where something may take long, and
//! hinder no other thread's: whoever waits reads what comes for all of them. A guest that only blocks
//! starts no thread; with the other ways it has one that always reads, and one for callbacks.
//!
//! There are four ways to be told: to block ([`Guest::receive`], [`Guest::settle`], [`Guest::change`]); callbacks
//! ([`Guest::on_message`], [`Guest::on_settled`]), which run one after another in a thread of the guest; [`WaitSet`], a list of ports,
//! tickets, paths, watches, times and descriptors that is itself a descriptor; and `Future` ([`Guest::receive_async`]).
//!
//! ```no_run
//! use messenger::{Answer, Guest, Message, PortSpec, To};
//! use std::time::Duration;
//!
//! // One process:
//! let guest = Guest::join(&Default::default())?;
//! let port = guest.open(&PortSpec::named("greeter"))?;
//! if let Some(asked) = guest.receive(port, Some(Duration::from_secs(60)))? {
//!     let text = String::from_utf8_lossy(&asked.payload).into_owned();
//!     guest.respond(&asked, &Answer::new(format!("hello {text}")))?;
//! }
//!
//! // Another one, on any node of the fabric:
//! let guest = Guest::join(&Default::default())?;
//! let outcome = guest.call(&To::Name("greeter".into()), &Message::new("world"), Duration::from_secs(1))?;
//! for answer in &outcome.answers {
//!     println!("{}: {}", answer.head.node_name, String::from_utf8_lossy(&answer.payload));
//! }
//! # Ok::<(), messenger::GuestError>(())
//! ```

pub mod arena;
mod callbacks;
mod closing;
mod devices;
mod error;
mod future;
mod guest;
mod inbox;
mod line;
mod look;
mod message;
mod paths;
mod place;
mod port;
pub mod protocol;
mod receive;
mod wait;
mod waitset;

pub use devices::Devices;
pub use error::GuestError;
pub use future::{Later, Receiving};
pub use guest::Guest;
pub use inbox::{Notice, Pending};
pub use look::Look;
pub use message::{Answer, Message, Outcome, Received, Replied};
pub use messenger_core::{
    Choice, Code, Control, NodeId, PathState, PortId, Status, Tier,
    wire::{Agent, Priority},
};
pub use place::{FABRIC, Place, PlaceError, RUN_DIR};
pub use protocol::{
    Change, Contents, Finished, Head, Life, Member, Numbers, Origin, Path, PathInfo, PathSpec, PortSpec, Sent,
    SentMany, Slot, Take, Ticket, To, Wants, Watch,
};
pub use wait::Sign;
pub use waitset::{WaitSet, Waitable};
