//! How much of everything a node holds. Full is an answer, never a surprise.

use core::time::Duration;

/// The bounds of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ports, the node's own not counted; at most 65,535.
    pub ports: usize,
    /// Paths.
    pub paths: usize,
    /// Tickets that are not settled, or whose end their client did not take yet.
    pub tickets: usize,
    /// Watches.
    pub watches: usize,
    /// Static messages.
    pub statics: usize,
    /// Targets of one send; at most 65,536.
    pub targets: usize,
    /// The largest payload, in bytes.
    pub message: usize,
    /// Bytes (with [`MESSAGE_COST`] for each message) that wait for one peer in one priority.
    pub queue: usize,
    /// Bytes of answers that wait to be taken by this node's clients.
    pub answers: usize,
    /// Bytes (with [`MESSAGE_COST`] for each message) that all ports hold together.
    pub stored: usize,
    /// Requests that one port's receiver may leave without an answer.
    pub asks: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            ports: 65_535,
            paths: 65_536,
            tickets: 262_144,
            watches: 4_096,
            statics: 4_096,
            targets: 65_536,
            message: 16 << 20,
            queue: 1 << 20,
            answers: 64 << 20,
            stored: 256 << 20,
            asks: 65_536,
        }
    }
}

/// What a queued message counts beside its payload, in bytes.
pub const MESSAGE_COST: usize = 128;
/// So long after its asker's deadline a request may still be answered, late; then it keeps no place any more.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(1);
/// Bytes of names in one message.
pub(crate) const NAMES: usize = 1 << 20;
/// What each of a port's four areas holds if its owner does not say, in bytes.
pub const AREA: usize = 256 << 10;
/// Properties of one port.
pub const PROPERTIES: usize = 16;
/// The longest pattern, in bytes.
pub const PATTERN: usize = 255;

/// Bytes that one lane may have under way beyond what is acknowledged: what a receiver holds out of order at the most.
pub(crate) const WINDOW: u64 = 1 << 20;
/// Messages that a receiver holds out of order in one lane at the most.
pub(crate) const HELD: usize = 2_048;
/// Ranges in one acknowledgement of one lane.
pub(crate) const RANGES: usize = 8;
/// Confirmed messages of one peer that are remembered, to know a repetition of one.
pub(crate) const REMEMBERED: usize = 4_096;
/// Peers that left and are remembered.
pub(crate) const DEPARTED: usize = 1_024;
/// Changes of the names that are remembered; who lags more is sent all names.
pub(crate) const CHANGES: usize = 1_024;

/// The congestion window of a stream, in bytes: at first, at least, at most.
pub(crate) const CWND_FIRST: u64 = 64 << 10;
pub(crate) const CWND_LEAST: u64 = 4 << 10;
pub(crate) const CWND_MOST: u64 = 4 << 20;
/// Retransmission waits: before anything was measured, at least, at most.
pub(crate) const RTO_FIRST: Duration = Duration::from_millis(200);
pub(crate) const RTO_LEAST: Duration = Duration::from_millis(10);
pub(crate) const RTO_MOST: Duration = Duration::from_secs(2);
/// So many messages sent later and acknowledged make one lost.
pub(crate) const REORDER: u64 = 3;
