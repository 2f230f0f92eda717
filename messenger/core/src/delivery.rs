//! What clients are told, and the messages they get.

use crate::{
    Change, NodeId, PathId, PathState, Payload, PortId, TicketId, WatchId,
    status::Status,
    stream::Meta,
    wire::{Agent, Flags, Priority},
};
use alloc::vec::Vec;

/// The right to answer a request once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Who asks.
    pub node: NodeId,
    /// Its port.
    pub port: PortId,
    /// Its transaction.
    pub transaction: u64,
    /// Its slot.
    pub slot: u16,
    /// The answer takes the same lane.
    pub priority: Priority,
    /// The port that was asked.
    pub asked: PortId,
}

impl Ask {
    pub(crate) fn key(&self) -> crate::port::AskKey {
        (self.node, self.transaction, self.slot)
    }
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub node: NodeId,
    /// From which of its ports.
    pub from: PortId,
    /// Which of this node's ports got it.
    pub port: PortId,
    /// Which area it was in.
    pub priority: Priority,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who caused it.
    pub origin: Agent,
    /// The origin's flags.
    pub origin_flags: u8,
    /// The origin's own number.
    pub origin_id: u32,
    /// How many targets the send had.
    pub targets: u16,
    /// So long somebody waits for the answer, in milliseconds from its sending; 0 for no limit.
    pub deadline_ms: u32,
    /// Unique in the life of the sending node.
    pub transaction: u64,
    /// The sender was promised a receipt.
    pub receipt: bool,
    /// An answer is wanted: [`crate::Exchange::respond`] takes this.
    pub ask: Option<Ask>,
    /// For an answer: how it went.
    pub status: Status,
    /// What it carries.
    pub payload: Payload,
}

impl Received {
    pub(crate) fn new(node: NodeId, meta: &Meta, payload: Payload) -> Received {
        let priority = meta.flags.priority();
        let ask = meta.flags.has(Flags::RESPONSE).then_some(Ask {
            node,
            port: meta.from,
            transaction: meta.transaction,
            slot: meta.slot,
            priority,
            asked: meta.to,
        });
        Received {
            node,
            from: meta.from,
            port: meta.to,
            priority,
            opcode: meta.sub.opcode,
            tag: meta.sub.tag,
            origin: meta.sub.origin,
            origin_flags: meta.sub.origin_flags,
            origin_id: meta.sub.origin_id,
            targets: meta.sub.targets,
            deadline_ms: meta.sub.deadline_ms,
            transaction: meta.transaction,
            receipt: meta.flags.has(Flags::RECEIPT),
            ask,
            status: Status { code: crate::Code::from_number(meta.sub.status), detail: meta.sub.detail },
            payload,
        }
    }
}

/// One target of a send, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The node.
    pub node: NodeId,
    /// The port on it; `None` when none was known.
    pub port: Option<PortId>,
    /// How it ended; `None` while it did not.
    pub status: Option<Status>,
    /// A receipt came: the node stored the message.
    pub receipted: bool,
}

/// A ticket that is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub ticket: TicketId,
    /// The path it was sent on.
    pub path: PathId,
    /// The path's own number of its client.
    pub path_context: u64,
    /// The message's own number of its client.
    pub context: u64,
    /// Target by target, each with its status.
    pub slots: Vec<Slot>,
    /// Transaction and slots of the first try, when this was a repetition.
    pub(crate) first: Option<Vec<(u64, u16)>>,
}

impl Outcome {
    /// Good for every target, or else the first status that is not.
    pub fn status(&self) -> Status {
        let bad = self.slots.iter().filter_map(|s| s.status).find(|s| !s.is_good());
        bad.unwrap_or(Status::GOOD)
    }

    /// The transaction and slot by which a receiver knows the message of a slot.
    pub(crate) fn identity(&self, slot: usize) -> (u64, u16) {
        let own = (self.ticket.to_u64(), slot as u16);
        self.first.as_ref().and_then(|first| first.get(slot).copied()).unwrap_or(own)
    }
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A message for a port that has a handler.
    Message {
        /// The port's own number of its client.
        context: u64,
        /// The message.
        message: Received,
    },
    /// A port whose messages are held has some, and had none before, or none that its receiver wanted when it asked last.
    Ready {
        /// Which.
        port: PortId,
        /// Its own number of its client.
        context: u64,
    },
    /// An answer. Its ticket's slot is settled with it.
    Response {
        /// Which ticket.
        ticket: TicketId,
        /// Which slot of it.
        slot: u16,
        /// The request's own number of its client.
        context: u64,
        /// The answer.
        message: Received,
    },
    /// Of a message that wants receipts and answers: no slot waits for a receipt any more, and some wait for an answer.
    Confirmed {
        /// Which ticket.
        ticket: TicketId,
        /// The message's own number of its client.
        context: u64,
    },
    /// Every slot of a ticket is settled. The ticket is no more.
    Settled(Outcome),
    /// A path changed.
    Path {
        /// Which.
        path: PathId,
        /// Its own number of its client.
        context: u64,
        /// What it was.
        from: PathState,
        /// What it is.
        to: PathState,
    },
    /// What a watch saw.
    Watch {
        /// Which.
        watch: WatchId,
        /// Its own number of its client.
        context: u64,
        /// What changed.
        change: Change,
    },
    /// Another node has the name of this port now; the port goes on without it.
    NameLost {
        /// Which.
        port: PortId,
        /// Its own number of its client.
        context: u64,
    },
    /// A path is no more; nothing of it is told after this.
    PathClosed {
        /// Which.
        path: PathId,
        /// Its own number of its client.
        context: u64,
    },
    /// A port is no more; nothing of it is told after this.
    PortClosed {
        /// Which.
        port: PortId,
        /// Its own number of its client.
        context: u64,
    },
    /// The node was closed: the last that is told.
    NodeClosed,
}
