//! What waits for other nodes, for who wants to look.

use super::Exchange;
use crate::{NodeId, wire::Priority};
use core::time::Duration;

/// The stream to another node, and who waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// The node.
    pub node: NodeId,
    /// It is there.
    pub up: bool,
    /// Bytes that wait in the queue of each priority, with [`crate::MESSAGE_COST`] for each message.
    pub waiting: [usize; 4],
    /// Bytes of datagrams that wait, with the same cost.
    pub datagrams: usize,
    /// Slots of tickets that wait for it.
    pub slots: usize,
    /// Its requests that were not answered.
    pub asks: usize,
    /// The measured round trip.
    pub round_trip: Option<Duration>,
}

/// What is not finished yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Other nodes with something under way to or from them.
    pub nodes: usize,
    /// Slots of this node's tickets that wait for other nodes.
    pub slots: usize,
    /// Other nodes' requests that were not answered.
    pub asks: usize,
    /// Bytes in this node's ports, with [`crate::MESSAGE_COST`] for each message: nobody took them, or gave their room back.
    pub stored: usize,
}

impl UnderWay {
    /// Whether that is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == UnderWay::default()
    }
}

impl Exchange {
    /// What is not finished yet between this node and others, and in its ports.
    pub fn under_way(&self) -> UnderWay {
        let mut sum = UnderWay { stored: self.stored, ..UnderWay::default() };
        for (node, peer) in &self.peers {
            sum.nodes += usize::from(!self.is_idle(*node));
            sum.slots += peer.waiting.len();
            sum.asks += peer.asks.len();
        }
        sum
    }

    /// The streams to all nodes that are known, by node.
    pub fn streams(&self) -> impl Iterator<Item = StreamView> {
        self.peers.iter().map(|(node, peer)| StreamView {
            node: *node,
            up: peer.up,
            waiting: Priority::ALL.map(|priority| peer.sender.waiting(priority)),
            datagrams: peer.datagrams_cost,
            slots: peer.waiting.len(),
            asks: peer.asks.len(),
            round_trip: peer.sender.round_trip(),
        })
    }

    /// Watches that are open.
    pub fn watches(&self) -> usize {
        self.watches.len()
    }
}
