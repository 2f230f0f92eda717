//! Tickets: what a sender still waits for, one slot a target, each settled exactly once.
//!
//! | a slot of a message that wants | is settled by the first of |
//! | --- | --- |
//! | a receipt | receipt, refusal, deadline, death of the node, cancel, reset, close |
//! | a response | response (of a closing port too), refusal, deadline, death, cancel, reset, close |
//! | both | as for a response; a receipt is noted, and when no slot waits for one any more that is told once |
//!
//! When the last slot is settled the ticket is told as an [`crate::Outcome`] and is no more: what comes later is counted and
//! nothing else. The transaction on the wire is the ticket's handle, so that an answer finds its slot without a search.

mod commands;
mod posts;
mod settle;

pub(crate) use posts::Static;
pub use posts::StaticId;

use crate::{PathId, Time, delivery::Slot, table::Key, wire::Priority};
use alloc::vec::Vec;
use core::fmt;

/// The handle of a ticket: the transaction of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(u64);

impl TicketId {
    /// As the wire has it.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_u64(n: u64) -> TicketId {
        TicketId(n)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A ticket that has open slots.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) path: PathId,
    pub(crate) path_context: u64,
    pub(crate) context: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) open: usize,
    /// Of a message that wants both: slots without the verdict of their node.
    pub(crate) unconfirmed: usize,
    pub(crate) response: bool,
    /// Of its messages.
    pub(crate) priority: Priority,
    pub(crate) since: Time,
    pub(crate) deadline: Option<Time>,
    pub(crate) first: Option<Vec<(u64, u16)>>,
    /// The static message it was made from.
    pub(crate) posted: Option<Key>,
}

impl Ticket {
    /// Target by target.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How many are not settled.
    pub fn open(&self) -> usize {
        self.open
    }

    /// An answer of each target is wanted, not only a receipt.
    pub fn wants_response(&self) -> bool {
        self.response
    }

    /// When it was sent.
    pub fn since(&self) -> Time {
        self.since
    }

    /// The client's own number of the message.
    pub fn context(&self) -> u64 {
        self.context
    }

    /// When the open ones are given up.
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The path it was sent on.
    pub fn path(&self) -> PathId {
        self.path
    }
}
