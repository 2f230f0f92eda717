//! What clients give to be sent.

use crate::{
    Payload,
    status::Status,
    wire::{Agent, Priority},
};
use core::time::Duration;

/// How sure a message must be to arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// Once and in order, as long as its target is there.
    #[default]
    Reliable,
    /// Perhaps, perhaps twice, in any order; in one piece or not at all.
    Datagram,
}

/// A message to be sent. To clone it costs no copy of its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it carries.
    pub payload: Payload,
    /// Which area of its target it is for.
    pub priority: Priority,
    /// How sure it must be to arrive.
    pub quality: Quality,
    /// Each target's node is to say whether it stored the message.
    pub receipt: bool,
    /// Each target is to answer.
    pub response: bool,
    /// Slots that are open after this time are settled with [`crate::Code::TimedOut`]; `None`: no limit.
    pub deadline: Option<Duration>,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who causes it.
    pub origin: Agent,
    /// The origin's flags.
    pub origin_flags: u8,
    /// The origin's own number.
    pub origin_id: u32,
    /// Told with everything that concerns the message; the client's own number.
    pub context: u64,
    /// The client has room for so many slots: with more targets nothing is sent.
    pub capacity: Option<usize>,
}

impl Message {
    /// A message for which nobody waits.
    pub fn new(payload: impl Into<Payload>) -> Message {
        Message { payload: payload.into(), ..Message::default() }
    }

    /// A message whose targets' nodes confirm it.
    pub fn confirmed(payload: impl Into<Payload>) -> Message {
        Message { receipt: true, ..Message::new(payload) }
    }

    /// A message that its targets answer.
    pub fn request(payload: impl Into<Payload>) -> Message {
        Message { response: true, ..Message::new(payload) }
    }
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it carries.
    pub payload: Payload,
    /// How it went.
    pub status: Status,
    /// Its opcode: another one than the request's.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who causes it.
    pub origin: Agent,
    /// The origin's own number.
    pub origin_id: u32,
}

impl Answer {
    /// A good answer.
    pub fn new(payload: impl Into<Payload>) -> Answer {
        Answer {
            payload: payload.into(),
            status: Status::GOOD,
            opcode: 0,
            tag: 0,
            origin: Agent::default(),
            origin_id: 0,
        }
    }

    /// An answer that says no.
    pub fn refusal(status: Status) -> Answer {
        Answer { status, ..Answer::new(Payload::EMPTY) }
    }
}
