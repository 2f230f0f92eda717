//! What guests send and get.

use crate::{
    Agent, PortId, Priority, Status,
    protocol::{Head, Slot, Wants},
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
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who causes it.
    pub origin: Origin,
    /// There is room for so many slots: with more targets nothing is sent, and the refusal [`crate::Code::NoSpace`] tells how many
    /// there are.
    pub capacity: Option<u32>,
}

/// Who causes a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A program.
    #[default]
    Api,
    /// A person at a command line.
    CommandLine,
    /// Somebody for whom this process speaks.
    ThirdParty,
}

impl From<Origin> for Agent {
    fn from(origin: Origin) -> Agent {
        match origin {
            Origin::Api => Agent::Api,
            Origin::CommandLine => Agent::CommandLine,
            Origin::ThirdParty => Agent::ThirdParty,
        }
    }
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
