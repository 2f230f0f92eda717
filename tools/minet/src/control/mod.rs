//! The control socket: one JSON request a line, one JSON answer a line.
//!
//! A request is `{"v":1,"ask":"nodes"}`; an answer is the report itself or `{"error":"…"}`.

mod client;
mod report;
mod server;

pub use client::{Client, ClientError, find_daemon};
pub use report::{
    CarrierReport, InterfaceReport, IopReport, IopsReport, LinkCount, LinkReport, LinksReport, NodeReport, NodesReport,
    PingReport, PortReport, PortsReport, SegmentReport, SelfReport, StatsReport, StatusReport,
};
pub(crate) use server::{Asked, Server};

use serde::{Deserialize, Serialize};

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
    /// All counters.
    Stats,
    /// The node's I/O processors.
    Iops,
    /// Tells one of them something.
    Iop {
        /// Its name.
        iop: String,
        /// What.
        wish: IopWish,
    },
    /// One echo request to a member, named by name or number.
    Ping {
        /// Which member.
        node: String,
        /// Bytes of payload.
        size: usize,
    },
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
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Version of this protocol.
    pub v: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// An answer that tells why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub error: String,
}
