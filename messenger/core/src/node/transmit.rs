//! What a node hands to its carriers: what it has to say itself, then what its streams carry.

use super::Node;
use crate::{NodeId, Payload, link::Transmit};

impl Node {
    /// The next message to hand to a carrier.
    ///
    /// This copies the payload behind its head; [`Node::poll_gather`] does not.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let (mut transmit, payload) = self.poll_gather()?;
        payload.copy_to(&mut transmit.bytes);
        Some(transmit)
    }

    /// The next message to hand to a carrier: its head, and the payload that follows it where the sender left it.
    pub fn poll_gather(&mut self) -> Option<(Transmit, Payload)> {
        if let Some(transmit) = self.out.pop_front() {
            return Some((transmit, Payload::EMPTY));
        }
        let way = |node: NodeId| {
            let route = self.routes.get(&node)?;
            let limit = self.links.get(&route.link)?.peer()?.message.min(route.message);
            Some((route.link, limit as usize))
        };
        let packet = self.exchange.poll_packet(|node| way(node).map(|w| w.1))?;
        let (link, _) = way(packet.to)?;
        let now = self.exchange.now;
        if let Some(link) = self.links.get_mut(&link) {
            link.sent(now);
        }
        Some((Transmit { link, bytes: packet.head }, packet.payload))
    }
}
