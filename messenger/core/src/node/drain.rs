//! Leaving without loss: a node is taken out of the ways and choices of others while it still does what it did.
//!
//! It says so in its record. Members then find other ways around it and send it no new messages; what is under way, and what
//! still comes to be passed on, goes its way. When nothing is left it can leave.

use super::Node;
use crate::Time;

impl Node {
    /// Gets ready to leave, or takes that back. From then on no way leads through this node, it sends nothing new, and
    /// nothing new is sent to it; what was begun is finished.
    pub fn drain(&mut self, now: Time, on: bool) {
        self.leaving = on;
        self.exchange.drains = on;
        self.write_own_record(now);
    }

    /// Whether it gets ready to leave.
    pub fn is_draining(&self) -> bool {
        self.leaving
    }

    /// Whether all neighbours have the same records as this node, as far as it was told: they know what it said last.
    pub fn is_agreed(&self) -> bool {
        let links = self.conduits.values().filter_map(|link| self.links.get(link));
        links.fold(true, |agreed, link| agreed && link.sync_at.is_none() && link.ask_at.is_none())
    }
}
