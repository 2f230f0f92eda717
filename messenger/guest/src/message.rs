//! What guests send and get.

use crate::{GuestError, inbox::About, line::Line, protocol::Request};
use crate::{
    PortId, Priority, Status,
    protocol::{Head, Origin, Slot, Wants},
};
use std::time::Duration;

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it carries, at most 16 MiB.
    pub payload: Vec<u8>,
    /// From which port of the guest, if any.
    pub from: Option<PortId>,
    /// Which area of its targets it is for.
    pub priority: Priority,
    /// What is to be told of it.
    pub wants: Wants,
    /// Slots that are open after this time are settled as timed out; `None`: no limit. Counted in milliseconds.
    pub deadline: Option<Duration>,
    /// It may get lost or come twice, but is never sent again: for what is old soon.
    pub datagram: bool,
    /// With more targets than this nothing is sent: [`crate::Code::NoSpace`], and how many there are.
    pub capacity: Option<u32>,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who caused it.
    pub origin: Origin,
}

impl Message {
    /// A message for which nobody waits.
    pub fn new(payload: impl Into<Vec<u8>>) -> Message {
        Message { payload: payload.into(), ..Message::default() }
    }

    /// A message of which each target's node tells whether it stored it.
    pub fn confirmed(payload: impl Into<Vec<u8>>) -> Message {
        Message { wants: Wants::Receipt, ..Message::new(payload) }
    }
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it carries.
    pub payload: Vec<u8>,
    /// How it went.
    pub status: Status,
    /// Its opcode.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
}

impl Answer {
    /// A good answer.
    pub fn new(payload: impl Into<Vec<u8>>) -> Answer {
        Answer { payload: payload.into(), status: Status::GOOD, opcode: 0, tag: 0 }
    }

    /// An answer that says no.
    pub fn refusal(status: impl Into<Status>) -> Answer {
        Answer { status: status.into(), ..Answer::new(Vec::new()) }
    }
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Everything about it.
    pub head: Head,
    /// What it carries.
    pub payload: Vec<u8>,
    /// The port that got it.
    pub port: PortId,
    /// If it is held: the number for [`crate::Guest::release`].
    pub hold: Option<u64>,
}

/// What became of a message, target by target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The targets; each is settled.
    pub slots: Vec<Slot>,
    /// The answers, in the order they came; [`Replied::slot`] tells whose.
    pub answers: Vec<Replied>,
}

/// An answer that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replied {
    /// Which slot of the outcome it belongs to.
    pub slot: usize,
    /// Everything about it.
    pub head: Head,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Outcome {
    /// Good if it went well for every target, or else the first status that is not.
    pub fn status(&self) -> Status {
        self.slots.iter().map(|slot| slot.status).find(|status| !status.is_good()).unwrap_or(Status::GOOD)
    }
}

/// Answers a message.
pub(crate) fn respond(line: &Line, ask: u64, answer: &Answer) -> Result<(), GuestError> {
    let Answer { payload, status, opcode, tag } = answer;
    line.ask(About::Nothing, Request::Respond { ask, status: *status, opcode: *opcode, tag: *tag }, payload).map(drop)
}
