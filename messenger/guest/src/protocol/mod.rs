//! What a guest and the daemon of its host say to one another; the bytes are in PROTOCOL.md, section 12.
//!
//! A guest greets with eight bytes and gets [`Told::Welcome`] or [`Told::Bye`]. Then it makes calls, each of which gets
//! [`Told::Done`] or [`Told::Refused`] with its number, in order; what happens besides is told when it does.

mod frame;
mod path;
mod pick;
mod plain;
mod take;
mod told;

pub use frame::{
    FRAME_MOST, Frame, FrameError, Frames, GREETING_LEN, HEAD_MOST, PAYLOAD_MOST, VERSION, check_greeting, emit,
    emit_gathered, emit_lent, greeting, parse,
};

pub use path::{Path, PathCommand, PathInfo, PathSpec};

pub use pick::pick;

pub use take::Take;

pub use told::Told;

use messenger_core::{
    Control, NodeId, PortId, Status,
    wire::{Agent, Priority},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A request with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The guest's own number of it.
    pub number: u32,
    /// What is wanted.
    pub request: Request,
}

/// What a guest may want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Open a port and receive from it: [`Done::Port`].
    Open(PortSpec),
    /// Take over a port of this node that has no receiver: [`Done::Port`].
    Attach {
        /// Its name.
        name: String,
    },
    /// Leave a port to its life rule.
    Detach {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// Close a port.
    Close {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// Send the payload: [`Done::Sent`].
    Send(Envelope),
    /// Take the first message of a port that is wanted, the most urgent area first: [`Done::Message`] or [`Done::Empty`].
    Receive {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
        /// Which of its messages.
        take: Take,
    },
    /// Send several messages, one after the other, until one is refused: [`Done::SentMany`]. The payload is theirs, in order.
    SendMany {
        /// Everything about each of them.
        envelope: Envelope,
        /// How long their payloads are, in bytes; at most [`MANY`].
        lengths: Vec<u32>,
    },
    /// Take the first messages of a port that are wanted: [`Done::Messages`] or [`Done::Empty`].
    ReceiveMany {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
        /// Which of its messages.
        take: Take,
        /// How many at the most. Fewer come when they are large: about a MiB together.
        most: u32,
    },
    /// Answer a message, with the payload.
    Respond {
        /// The number of the right to answer.
        ask: u64,
        /// How it went.
        #[serde(with = "plain::status")]
        status: Status,
        /// The answer's opcode.
        opcode: u16,
        /// The application's tag.
        tag: u32,
    },
    /// Watch names come and go: [`Done::Watch`].
    Watch {
        /// Which.
        pattern: String,
    },
    /// End a watch.
    Unwatch {
        /// Which.
        watch: Watch,
    },
    /// Take a send back; its open slots are settled as canceled.
    Cancel {
        /// Which.
        ticket: Ticket,
    },
    /// Give back the room of a message that was taken held.
    Release {
        /// Of which port.
        #[serde(with = "plain::port")]
        port: PortId,
        /// The number it was held under.
        hold: u64,
    },
    /// Let a port take and send nothing new, and close it when what was sent from it is settled: [`Done::Finished`].
    Finish {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// Look at what is in a port: [`Done::Contents`].
    Look {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// Open a path that lasts: [`Done::Path`].
    OpenPath(PathSpec),
    /// Do something with a path of this guest.
    Path {
        /// Which.
        path: Path,
        /// What: [`Done::Nothing`], or [`Done::PathInfo`] for [`PathCommand::Ask`].
        command: PathCommand,
    },
    /// Send the payload again to the targets of a settled ticket that gave no receipt: [`Done::Sent`]. Who has it gives its
    /// receipt and nothing else. The tickets of a guest that ended so last are remembered.
    Resend {
        /// Which.
        ticket: Ticket,
        /// The message, as it was.
        envelope: Envelope,
    },
    /// How the slots of a ticket that is not settled are now: [`Done::Slots`].
    Slots {
        /// Which.
        ticket: Ticket,
    },
    /// The members of the fabric: [`Done::Members`].
    Members,
    /// Numbers that no other call gets, on no node, in no life: [`Done::Numbers`].
    Numbers {
        /// How many; at least one is given.
        count: u32,
    },
    /// Share memory for large payloads: [`Done::Arena`]; see [`crate::arena`].
    Arena,
    /// A payload that the daemon lent was copied: its place is free again. The only call that is not answered.
    Give {
        /// Where it begins in the side *down*.
        at: u32,
    },
}

/// A ticket of this guest: what [`crate::Guest::settle`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// A watch of this guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Watch(pub u64);

/// What becomes of a port without a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It closes, and whoever waits for an answer is told.
    #[default]
    Receiver,
    /// It stays for so many milliseconds, and takes messages.
    Retained(u64),
    /// It stays until it is closed, or the daemon ends.
    Persistent,
}

/// What a port is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Its name; a port without one is only answered to.
    pub name: Option<String>,
    /// The name is unique on the whole fabric, not only on the node.
    pub fabric_wide: bool,
    /// What kind of thing it is.
    pub kind: Option<String>,
    /// Properties, key and value.
    pub properties: Vec<(String, String)>,
    /// What each of its four areas holds, in bytes, 128 for each message counted; `None`: 256 KiB.
    pub room: Option<u32>,
    /// How long it lives.
    pub life: Life,
}

impl PortSpec {
    /// A port that lives as long as its receiver.
    pub fn named(name: impl Into<String>) -> PortSpec {
        PortSpec { name: Some(name.into()), ..PortSpec::default() }
    }
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    /// The first port of a name, the same one from every node.
    Name(String),
    /// The port of a name on one node.
    On {
        /// The node's name or number.
        node: String,
        /// The port's name.
        name: String,
    },
    /// Every port that a pattern matches, such as `disk/* kind=disk speed>=100`.
    Pattern(String),
    /// The port of a name on each of some nodes.
    Nodes {
        /// Their names or numbers. A number of no member has a slot that says so; a name of none is refused.
        nodes: Vec<String>,
        /// The port's name.
        name: String,
    },
    /// The port of a name on every other node that can be reached.
    Everywhere(String),
    /// Whom a path of this guest's means.
    Path(Path),
    /// One port by its number.
    Port(#[serde(with = "plain::node")] NodeId, #[serde(with = "plain::port")] PortId),
}

/// What is to be told of a message that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wants {
    /// Nothing: nobody waits.
    #[default]
    Nothing,
    /// A receipt: whether each target's node stored it.
    Receipt,
    /// An answer of each target.
    Answer,
    /// Both: [`Told::Confirmed`] tells of the last receipt, then the answers count.
    Both,
}

/// Everything about a message to send but its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Whom it is for.
    pub to: To,
    /// From which port of the guest; [`PortId::NODE`] for none.
    #[serde(with = "plain::port")]
    pub from: PortId,
    /// Which area of its targets it is for.
    #[serde(with = "plain::priority")]
    pub priority: Priority,
    /// What is to be told.
    pub wants: Wants,
    /// It may get lost or come twice, but is never sent again.
    pub datagram: bool,
    /// With more targets than this nothing is sent.
    pub capacity: Option<u32>,
    /// Slots that are open after so many milliseconds are settled as timed out.
    pub deadline_ms: Option<u64>,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who caused it.
    pub origin: Origin,
}

/// Who caused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What kind of caller.
    #[serde(with = "plain::agent")]
    pub agent: Agent,
    /// The application's flags.
    pub flags: u8,
    /// The caller's number.
    pub id: u32,
}

impl Default for Origin {
    /// A program through this crate.
    fn default() -> Origin {
        Origin { agent: Agent::Api, flags: 0, id: 0 }
    }
}

/// Everything about a message that came but its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The node that sent it.
    #[serde(with = "plain::node")]
    pub node: NodeId,
    /// The node's name; its number when the name is not known.
    pub node_name: String,
    /// From which of its ports.
    #[serde(with = "plain::port")]
    pub from: PortId,
    /// Which area it was in.
    #[serde(with = "plain::priority")]
    pub priority: Priority,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// Who caused it.
    pub origin: Origin,
    /// Its sender was promised a receipt.
    pub receipt: bool,
    /// The transaction: no other message in the life of the sending node has it.
    pub transaction: u64,
    /// How many targets the send had; 0 for one.
    pub targets: u16,
    /// So long somebody waits for an answer, in milliseconds from its sending; 0 for no limit.
    pub deadline_ms: u32,
    /// The right to answer it once.
    pub ask: Option<u64>,
    /// Of an answer: how it went.
    #[serde(with = "plain::status")]
    pub status: Status,
}

impl Head {
    /// What a message of a path's own says of its path: that it opened, was quiesced, and so on. The path's number is the tag.
    /// `None`: a message like any other.
    pub fn control(&self) -> Option<Control> {
        Control::of(self.origin.agent, self.opcode)
    }
}

/// What became of a send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What to wait for, if something is to be told.
    pub ticket: Option<Ticket>,
    /// How many targets there were.
    pub targets: u32,
    /// For how many of them the message was taken.
    pub taken: u32,
}

/// Messages of one call at the most.
pub const MANY: usize = 4_096;
/// Bytes of their payloads together, about.
pub const TOGETHER: usize = 1 << 20;

/// What became of several sends at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMany {
    /// The first ones, in order: each was sent.
    pub sent: Vec<Sent>,
    /// Why the next one was not, nor any after it; good when all were.
    #[serde(with = "plain::status")]
    pub refused: Status,
}

/// One of several messages that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Everything about it.
    pub head: Head,
    /// If it is held: under which number.
    pub hold: Option<u64>,
    /// The length of its payload, in bytes.
    pub length: u32,
}

/// One target of a send, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The node.
    #[serde(with = "plain::node")]
    pub node: NodeId,
    /// Its name; its number when the name is not known.
    pub node_name: String,
    /// The port on it; `None` when none was known.
    #[serde(with = "plain::port_if_any")]
    pub port: Option<PortId>,
    /// How it ended.
    #[serde(with = "plain::status")]
    pub status: Status,
    /// The node told that it stored the message, by a receipt or an answer; for a request without an answer nobody knows.
    pub stored: bool,
    /// It is settled; a status says nothing before.
    pub settled: bool,
}

/// A member of the fabric, as the guest's node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    #[serde(with = "plain::node")]
    pub node: NodeId,
    /// Its name.
    pub node_name: String,
    /// Its addresses on the fabric's segments.
    pub addresses: Vec<IpAddr>,
    /// It can be reached; otherwise it could be before.
    pub up: bool,
}

/// Numbers that nobody else has: the node, its life, and `count` numbers from `first` on make each unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// The node that gave them.
    #[serde(with = "plain::node")]
    pub node: NodeId,
    /// Its life.
    pub life: u32,
    /// The first one.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// What a watch saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The port's node.
    #[serde(with = "plain::node")]
    pub node: NodeId,
    /// The node's name; its number when the name is not known.
    pub node_name: String,
    /// The port.
    #[serde(with = "plain::port")]
    pub port: PortId,
    /// Its name.
    pub name: String,
    /// What kind of thing it is.
    pub kind: Option<String>,
    /// Properties, key and value.
    pub properties: Vec<(String, String)>,
    /// It came; otherwise it went.
    pub up: bool,
    /// It is the first one, or was the last one, that the pattern matches.
    pub edge: bool,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It is done.
    Nothing,
    /// A port.
    Port(#[serde(with = "plain::port")] PortId),
    /// A message went out.
    Sent(Sent),
    /// A message, with its payload.
    Message {
        /// Everything about it.
        head: Head,
        /// If it is held: under which number.
        hold: Option<u64>,
        /// The port has others.
        more: bool,
    },
    /// There is no message now that is wanted; [`Told::Ready`] says when another one came.
    Empty {
        /// The port has others.
        more: bool,
    },
    /// Messages went out.
    SentMany(SentMany),
    /// Messages, with their payloads one after the other.
    Messages {
        /// At least one.
        all: Vec<Taken>,
        /// The port has others.
        more: bool,
    },
    /// A watch.
    Watch(Watch),
    /// A port is closed, or will be.
    Finished(Finished),
    /// What is in a port.
    Contents(Contents),
    /// A path.
    Path(Path),
    /// How a path is.
    PathInfo(PathInfo),
    /// The slots of a ticket.
    Slots(Vec<Slot>),
    /// The members: the guest's own node first, then by number.
    Members(Vec<Member>),
    /// Numbers.
    Numbers(Numbers),
    /// Memory is shared from now on; with the frame's bytes come two descriptors: the sides *up* and *down*.
    Arena,
}

/// When a port that was finished closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finished {
    /// Nothing was under way: it is closed, and [`Told::Closed`] does not follow.
    AtOnce,
    /// When what was sent from it was settled: [`Told::Closed`] tells it.
    Later,
}

/// What is in a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that its receiver took and holds.
    pub held: u64,
}
