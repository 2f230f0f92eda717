//! What the daemon answers. The same shapes are printed by `--json`.

use super::{LinkStats, PathStats, PortStats};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `minet status`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// The node.
    pub node: SelfReport,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceReport>,
    /// Members that can be reached, this one included.
    pub members: usize,
    /// Its links.
    pub links: LinkCount,
}

/// The node itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelfReport {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Which life of it, in hexadecimal.
    pub incarnation: String,
    /// The fabric it belongs to.
    pub fabric: String,
    /// The daemon's process.
    pub pid: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Version of the program.
    pub version: String,
    /// UDP carries its frames in clear text.
    pub insecure: bool,
    /// The living node of the same number that this one gave way to; it takes no part since.
    #[serde(default)]
    pub gave_way_to: Option<String>,
}

/// An interface of the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InterfaceReport {
    /// Its name on the host.
    pub name: String,
    /// The segment it is on.
    pub segment: String,
    /// Whether it has a carrier: a peer of the segment can be reached.
    pub carrier: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// How many links there are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LinkCount {
    /// Those that carry traffic.
    pub up: usize,
    /// All.
    pub total: usize,
}

/// `minet nodes`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodesReport {
    /// The members, and those that were here and are not now.
    pub nodes: Vec<NodeReport>,
}

/// A member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `self`, `up` or `down`.
    pub state: String,
    /// The node that relays to it; none when it is a neighbour.
    pub via: Option<String>,
    /// Links on the way to it.
    pub hops: u8,
    /// The carrier of the first link on the way.
    pub carrier: Option<String>,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Which life of it, in hexadecimal.
    pub incarnation: String,
    /// MTU of its first interface, in bytes.
    pub mtu: u32,
    /// Round trip of the first link on the way, in microseconds.
    pub rtt_us: Option<f64>,
}

/// `minet iop list`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IopsReport {
    /// All of them, in the order of the configuration.
    pub iops: Vec<IopReport>,
}

/// `minet iop console`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsoleReport {
    /// The latest lines, of all its lives, the latest last.
    pub lines: Vec<String>,
}

/// An I/O processor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IopReport {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What it runs on: `qemu` or `process`.
    #[serde(default)]
    pub kind: String,
    /// `initializing`, `reset`, `hold`, `ready`, `operational`, `failed` or `faulted`.
    pub state: String,
    /// The state's number in I2O.
    pub code: u8,
    /// What others may send it: `enabled`, `quiesced` or `draining`.
    pub traffic: String,
    /// The version of the system table that it acted on last.
    pub table: u32,
    /// Why.
    pub reason: String,
    /// How often it was launched.
    pub lives: u64,
    /// The process that it runs on.
    pub pid: Option<u32>,
    /// Turns of its loop in this life.
    pub turns: Option<u32>,
    /// Why it last stopped by itself, or could not be launched.
    pub last_words: Option<String>,
}

/// `minet links`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinksReport {
    /// The links.
    pub links: Vec<LinkReport>,
}

/// A link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkReport {
    /// Its number.
    pub id: u32,
    /// The peer's name, once known.
    pub peer: Option<String>,
    /// The peer's number, once known.
    pub peer_id: Option<u32>,
    /// The carrier's kind.
    pub carrier: String,
    /// The peer's address on it.
    pub address: String,
    /// `greeting`, `up`, `quiesced` or `down`.
    pub state: String,
    /// It carries its conduit's traffic.
    pub active: bool,
    /// The lowest number of a conduit's live links is active.
    pub priority: u8,
    /// Round trip in microseconds.
    pub rtt_us: Option<f64>,
    /// Why it is in its state.
    pub reason: String,
    /// Why it carries only while no better link is live, if it is demoted.
    pub demoted: Option<String>,
    /// The part of heartbeats without an answer of late, 0 to 1, where that is measured.
    pub loss: Option<f64>,
    /// Milliseconds in that state.
    pub since_ms: u64,
    /// How often the state changed.
    pub changes: u32,
    /// Largest message in bytes.
    pub message: u32,
    /// Frame messages sent on it.
    pub sent: u64,
    /// Messages received on it.
    pub received: u64,
}

/// `minet events`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventsReport {
    /// The latest events, the latest last.
    pub events: Vec<EventReport>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventReport {
    /// Counts up from the daemon's start.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// `link-up`, `link-down`, `link-refused`, `demoted`, `restored`, `switched`, `member-up`, `member-down`, `medium`.
    pub kind: String,
    /// The link it is about, if it is about one.
    pub link: Option<u32>,
    /// The node it is about, if it is about one and that is known.
    pub peer: Option<u32>,
    /// The same in words, with the reason.
    pub text: String,
}

/// `minet ports`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortsReport {
    /// The ports.
    pub ports: Vec<PortReport>,
}

/// A port of a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortReport {
    /// The member's name.
    pub node: String,
    /// The member's number.
    pub node_id: u32,
    /// The port's name.
    pub port: String,
    /// Largest Ethernet frame it takes in bytes; none for a port that takes no frames.
    pub frame: Option<u32>,
}

/// `minet stats`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatsReport {
    /// Counters of every interface.
    pub segments: Vec<SegmentReport>,
    /// Counters of every carrier.
    pub carriers: Vec<CarrierReport>,
    /// Counters of every link.
    #[serde(default)]
    pub links: Vec<LinkStats>,
    /// Counters of every path, and of those that are closed.
    #[serde(default)]
    pub paths: Vec<PathStats>,
    /// Counters of every port, and of those that are closed.
    #[serde(default)]
    pub ports: Vec<PortStats>,
    /// What the core counted of messages, and of those that came to nothing, by reason.
    pub core: BTreeMap<String, u64>,
}

/// Counters of an interface, as `ip -s link` counts them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SegmentReport {
    /// The segment.
    pub name: String,
    /// The interface.
    pub interface: String,
    /// Frames given to the kernel.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames taken from the kernel.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that the kernel dropped on the way in, ours that it did not take among them: its `rx_dropped`.
    #[serde(default)]
    pub rx_dropped: u64,
    /// Bad frames on the way in: its `rx_errors`.
    #[serde(default)]
    pub rx_errors: u64,
    /// Frames that the kernel dropped on the way to us, its queue being full or the interface without carrier: its
    /// `tx_dropped`.
    #[serde(default)]
    pub tx_dropped: u64,
    /// Frames that the kernel could not send: its `tx_errors`.
    #[serde(default)]
    pub tx_errors: u64,
    /// Frames that we dropped, by reason; only reasons that occurred.
    pub drops: BTreeMap<String, u64>,
    /// The rest.
    pub counters: BTreeMap<String, u64>,
}

/// Counters of a carrier, over all lanes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CarrierReport {
    /// `shm`, `udp`, …
    pub kind: String,
    /// Messages sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Messages that the system refused.
    pub send_failed: u64,
    /// Received bytes that were no message.
    pub malformed: u64,
    /// Doorbells rung.
    pub doorbells: u64,
    /// System calls made.
    pub calls: u64,
}

/// `minet invite`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteReport {
    /// The text that lets the new node join.
    pub invitation: String,
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// Until when, in seconds since 1970 by this node's clock.
    pub until: u64,
}

/// `minet revoke`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokeReport {
    /// The public keys that may not join any more; none when an invitation was withdrawn.
    pub keys: Vec<String>,
}

/// `minet ping`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PingReport {
    /// The member's name.
    pub node: String,
    /// Requests sent.
    pub sent: u32,
    /// Answers received.
    pub received: u32,
    /// Shortest round trip in microseconds.
    pub min_us: Option<f64>,
    /// Mean round trip in microseconds.
    pub avg_us: Option<f64>,
    /// Longest round trip in microseconds.
    pub max_us: Option<f64>,
}

/// How far a node is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrainState {
    /// It does not leave.
    Serving,
    /// It stops its I/O processors, each in order.
    Stopping,
    /// Others are told, and what is under way is finished.
    Draining,
    /// Nothing is under way any more: it leaves now.
    Drained,
    /// It is gone.
    Left,
}

/// `minet drain`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainReport {
    /// How far it is.
    pub state: DrainState,
    /// All neighbours know that it leaves.
    pub told: bool,
    /// Other nodes with messages under way to or from this one.
    pub nodes: usize,
    /// Messages of this node that wait for receipts or answers.
    pub waiting: usize,
    /// Requests of other nodes that were not answered.
    pub requests: usize,
    /// Bytes in this node's ports that nobody took.
    pub stored: usize,
    /// Milliseconds since something was passed on for others.
    pub relayed_ms: u64,
}
