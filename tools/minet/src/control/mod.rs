//! The control socket: one JSON request a line, one JSON answer a line.
//!
//! A request is `{"v":1,"ask":"nodes"}`; an answer is the report itself or `{"error":"…"}`.

mod client;
mod inspect;
mod report;
mod request;
mod server;

pub use client::{Client, ClientError};
pub use inspect::{
    DumpPath, DumpPort, DumpReport, DumpSlot, DumpStream, DumpTicket, LinkStats, PathStats, PortStats, TraceEntry,
    TraceReport,
};
pub use report::{
    CarrierReport, ConsoleReport, DrainReport, DrainState, EventReport, EventsReport, InterfaceReport, InviteReport,
    IopReport, IopsReport, LinkCount, LinkReport, LinksReport, NodeReport, NodesReport, PingReport, PortReport,
    PortsReport, RevokeReport, SegmentReport, SelfReport, StatsReport, StatusReport,
};
pub use request::{Request, Requests};
pub(crate) use server::{Asked, Server};

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// Version of the control protocol.
pub const VERSION: u32 = 1;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub enum Ask {
    /// The node itself.
    Status,
    /// All members.
    Nodes,
    /// All links.
    Links,
    /// All ports.
    Ports,
    /// What happened of late.
    Events,
    /// All counters.
    Stats {
        /// They begin anew.
        #[serde(default)]
        reset: bool,
    },
    /// All objects and queues.
    Dump,
    /// Messages that go through. The trace ends when nobody asks for five seconds.
    Trace {
        /// Which; `None`: more of what this client asked for before.
        filter: Option<TraceWish>,
    },
    /// The node's I/O processors.
    Iops,
    /// Tells one of them something.
    Iop {
        /// Its name.
        iop: String,
        /// What.
        wish: IopWish,
    },
    /// Inserts an I/O processor and starts it.
    IopAdd {
        /// Its name.
        iop: String,
        /// Its number; none to compute it from the name.
        id: Option<u32>,
        /// It is a process of this host instead of a machine.
        #[serde(default)]
        process: bool,
        /// The image it runs; none for the usual one.
        image: Option<PathBuf>,
        /// The program it runs on; none for the usual one.
        qemu: Option<PathBuf>,
    },
    /// The latest lines of an I/O processor's console.
    Console {
        /// Its name.
        iop: String,
    },
    /// What happened to a node from an event on: answered when there is something, or with nothing after a second or two.
    Next {
        /// The node's number.
        peer: u32,
        /// The first event that is wanted.
        since: u64,
    },
    /// One echo request to a member, named by name or number.
    Ping {
        /// Which member.
        node: String,
        /// Bytes of payload.
        size: usize,
        /// How long its answer may take, in milliseconds; none for a second. A minute at the most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// An invitation for a new member.
    Invite {
        /// Its name.
        name: String,
        /// Its number; none to compute it from the name.
        id: Option<u32>,
        /// Where it finds this node; none for where this node listens.
        contact: Option<SocketAddr>,
        /// Until it expires.
        minutes: u64,
    },
    /// Gets ready to leave, leaves when nothing is under way any more, and tells how far it is.
    Drain {
        /// Takes it back.
        #[serde(default)]
        undo: bool,
    },
    /// A member, by name or number, may not join any more.
    Revoke {
        /// Which.
        member: String,
    },
}

/// Which messages are traced; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceWish {
    /// To or from this node, by name or number.
    pub node: Option<String>,
    /// To or from a port of this name.
    pub port: Option<String>,
    /// Sent to this name or pattern.
    pub path: Option<String>,
    /// Of this opcode.
    pub opcode: Option<u16>,
    /// Bytes of each payload that are wanted, at most 512.
    pub snap: usize,
}

/// What an I/O processor can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IopWish {
    /// Start, if it does not run.
    Boot,
    /// Begin anew.
    Reset,
    /// Stop, and stay so.
    Hold,
    /// Be sent nothing new.
    Quiesce,
    /// Be sent to again.
    Enable,
    /// Stop, and be forgotten.
    Remove,
}

/// An answer that tells why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub error: String,
}
