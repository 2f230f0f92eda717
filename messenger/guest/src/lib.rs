//! Messenger for applications.
//!
//! A process joins the daemon of its host as a *guest*, over a unix socket. Its ports live in the daemon: a message that
//! the daemon confirmed is there, whatever the process does, and a port that is retained keeps its queue while nobody
//! receives. When the process ends, also by SIGKILL, its ports close or stay as they were told to, and whoever waits for it
//! is told.
//!
//! It is *not* a node: names, streams and tickets are the daemon's, and this crate holds no queue or timer of messages. A
//! [`Guest`] is a handle that is cloned for any thread. Its calls block, with a time limit where something may take long, and
//! hinder no other thread's: whoever waits reads what comes for all of them. A guest without callbacks starts no thread.
//!
//! There are several ways to be told: to block ([`Guest::receive`], [`Guest::settle`], [`Guest::change`]), and callbacks
//! ([`Guest::on_message`], [`Guest::on_settled`]), which run one after another in a thread of the guest.
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
#![forbid(unsafe_code)]

mod callbacks;
mod closing;
mod error;
mod guest;
mod inbox;
mod line;
mod message;
mod place;
mod port;
pub mod protocol;
mod receive;

pub use error::GuestError;
pub use guest::Guest;
pub use inbox::Pending;
pub use message::{Answer, Message, Outcome, Received, Replied};
pub use messenger_core::{
    Code, NodeId, PortId, Status, Tier,
    wire::{Agent, Priority},
};
pub use place::{FABRIC, Place, PlaceError, RUN_DIR};
pub use protocol::{
    Change, Contents, Finished, Head, Life, Member, Numbers, Origin, PortSpec, Sent, Slot, Take, Ticket, To, Wants,
    Watch,
};
