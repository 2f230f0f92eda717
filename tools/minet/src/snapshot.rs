//! What the control thread publishes and lanes read without a lock.

use messenger_core::NodeId;
use minet::Table;

/// The forwarding tables of all segments, and who is at the other end of every channel. Never changed: replaced.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// One table a segment, in the order of the configuration.
    pub tables: Vec<Table>,
    /// By carrier, then by channel: the peer, while its link carries traffic.
    pub peers: Vec<Vec<Option<NodeId>>>,
}

impl Snapshot {
    /// Who is at the other end of a channel.
    pub fn peer(&self, carrier: usize, channel: u32) -> Option<NodeId> {
        *self.peers.get(carrier)?.get(channel as usize)?
    }
}
