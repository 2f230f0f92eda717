//! What a client's callback is told.

use crate::{MessageReceived, Status};
use std::fmt;

/// The handle of a session or filament, unique on its storage processor while that is open. It is the number of its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filament(pub(crate) u32);

/// What happened. Events of one session are told one after the other, [`Event::CloseCompleted`] last.
#[derive(Debug)]
pub enum Event {
    /// A close that was pending is complete. Nothing is told of the session after this.
    CloseCompleted {
        /// Which session.
        filament: Filament,
        /// [`Status::Success`], or [`Status::Lost`] when nobody asked for it: the daemon is gone.
        status: Status,
    },
    /// The target's storage processor confirmed a message that was sent asynchronously, or it was not delivered. Its buffer is the
    /// client's again.
    MessageSent {
        /// Which session.
        filament: Filament,
        /// The context of the descriptor it was sent with.
        context: u64,
        /// What became of it.
        status: Status,
    },
    /// An asynchronous message came.
    MessageReceived {
        /// Which session.
        filament: Filament,
        /// The message. Its room in the mailbox stays taken until it is released or dropped.
        message: MessageReceived,
    },
}

impl Filament {
    /// As a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Event {
    /// Which session.
    pub fn filament(&self) -> Filament {
        match self {
            Event::CloseCompleted { filament, .. }
            | Event::MessageSent { filament, .. }
            | Event::MessageReceived { filament, .. } => *filament,
        }
    }
}

impl fmt::Display for Filament {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
