//! How members' records reach every member.
//!
//! A node writes its own record and raises its version at every change. What is new is passed to all neighbours but the
//! one it came from. Heartbeats carry a digest of the registry; neighbours whose digests differ send each other all
//! they have, ever more rarely until they agree. So a lost announcement costs a heartbeat, never agreement.

use super::{Event, Node};
use crate::{
    LinkId, NodeId, Time,
    link::{Link, Reason, SYNC_FIRST, SYNC_LONGEST},
    registry::{self, Entry},
    wire::{Announce, Header, Heartbeat, LinkBody, Record},
};
use alloc::vec::Vec;

impl Node {
    pub(super) fn handle_heartbeat(&mut self, now: Time, id: LinkId, beat: &Heartbeat) {
        let digest = self.registry.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.measure(now, beat);
        if beat.digest == digest {
            link.sync_at = None;
            link.sync_wait = SYNC_FIRST;
        } else if link.sync_at.is_none() {
            link.sync_at = Some(now + link.sync_wait);
        }
        if beat.answer {
            link.beat(now, &self.me, digest, false, &mut self.out);
        }
    }

    /// Sends all there is to a neighbour that was found to hold something else, and asks what it holds then.
    pub(super) fn compare_registry(&mut self, now: Time, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.is_live() || link.sync_at.is_none_or(|at| at > now) {
            return;
        }
        link.sync_wait = (link.sync_wait * 2).min(SYNC_LONGEST);
        self.send_registry(now, id);
    }

    /// Sends every record, nearest members first: a record whose member cannot be reached would not be kept.
    pub(super) fn send_registry(&mut self, now: Time, id: LinkId) {
        let mut order: Vec<(u8, NodeId)> =
            self.routes.iter().filter(|(n, _)| self.registry.get(**n).is_some()).map(|(n, r)| (r.hops, *n)).collect();
        order.push((0, self.me.node));
        order.sort_unstable();
        for (_, node) in order {
            self.send_record(now, id, node);
        }
        let digest = self.registry.digest();
        if let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live()) {
            link.sync_at = Some(now + link.sync_wait);
            link.beat(now, &self.me, digest, true, &mut self.out);
        }
    }

    fn send_record(&mut self, now: Time, id: LinkId, node: NodeId) {
        let (Some(link), Some(entry)) = (self.links.get_mut(&id), self.registry.get(node)) else { return };
        let Some(peer) = link.peer().filter(|_| link.is_live()) else { return };
        let room = (peer.message as usize).saturating_sub(Header::LEN + LinkBody::ANNOUNCE_LEN);
        for part in registry::parts(entry, room) {
            link.say(now, &self.me, &LinkBody::Announce(part), &mut self.out);
        }
    }

    /// Passes a record on to every neighbour but one.
    fn flood(&mut self, now: Time, node: NodeId, but: Option<NodeId>) {
        let to: Vec<LinkId> =
            self.conduits.iter().filter(|(n, _)| Some(**n) != but && **n != node).map(|c| *c.1).collect();
        for id in to {
            self.send_record(now, id, node);
            // Make sure that it arrived: compare digests soon.
            if let Some(link) = self.links.get_mut(&id) {
                let soon = now + SYNC_FIRST;
                link.sync_wait = SYNC_FIRST;
                link.sync_at = Some(link.sync_at.map_or(soon, |at| at.max(soon)));
            }
        }
    }

    pub(super) fn handle_announce(&mut self, now: Time, id: LinkId, part: &Announce<'_>) {
        let Some(entry) = self.registry.assemble(id, part) else { return };
        let from = self.links.get(&id).and_then(Link::peer).map(|p| p.node);
        if entry.record.node == self.me.node {
            return self.handle_own_record(now, &entry.record);
        }
        self.learn(now, from, entry);
    }

    fn learn(&mut self, now: Time, from: Option<NodeId>, entry: Entry) {
        let node = entry.record.node;
        let fresh = self.registry.get(node).is_none();
        let same_ways = self.registry.get(node).is_some_and(|old| {
            old.record.neighbours == entry.record.neighbours && old.record.relay == entry.record.relay
        });
        if !self.registry.insert(entry) {
            return;
        }
        if !same_ways {
            self.find_routes_with(fresh.then_some(node));
        }
        if !self.routes.contains_key(&node) {
            return;
        }
        self.departed.retain(|d| d.node != node);
        if let Some(life) = self.member(node).map(|m| m.incarnation) {
            self.exchange.handle_member(now, node, life);
        }
        self.events.push_back(if fresh { Event::MemberUp(node) } else { Event::MemberChanged(node) });
        self.flood(now, node, from);
    }

    /// A record of this node that is newer than its own: left by an earlier life, or another node with its number.
    fn handle_own_record(&mut self, now: Time, record: &Record) {
        if record.version < self.version
            || (record.version == self.version && record.incarnation == self.me.incarnation)
        {
            return;
        }
        if record.incarnation != self.me.incarnation {
            // An earlier life's record is met once. One that comes back is somebody's who lives.
            let again = self.overwritten.replace(record.incarnation) == Some(record.incarnation);
            if again || record.name != self.me.name {
                self.events.push_back(Event::DuplicateNode { name: record.name.clone() });
            }
        }
        self.version = record.version;
        self.rewrite_own_record(now);
    }

    /// Writes this node's record anew if something in it changed, and tells everybody.
    pub(super) fn write_own_record(&mut self, now: Time) {
        let neighbours: Vec<NodeId> = self.conduits.keys().copied().collect();
        let same = self
            .member(self.me.node)
            .is_some_and(|r| r.neighbours == neighbours && r.attachments == self.attachments && r.relay == self.relay);
        if !same {
            self.rewrite_own_record(now);
        }
    }

    fn rewrite_own_record(&mut self, now: Time) {
        self.version = self.version.saturating_add(1);
        let record = Record {
            node: self.me.node,
            incarnation: self.me.incarnation,
            version: self.version,
            name: self.me.name.clone(),
            relay: self.relay,
            neighbours: self.conduits.keys().copied().collect(),
            attachments: self.attachments.clone(),
        };
        self.registry.insert(Entry::new(record));
        self.flood(now, self.me.node, None);
    }

    /// Asks a link's peer to stop or resume sending new traffic on it.
    pub fn quiesce(&mut self, now: Time, id: LinkId, on: bool) {
        if let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live() && l.reason() != Reason::Closed) {
            link.say(now, &self.me, if on { &LinkBody::Quiesce } else { &LinkBody::Enable }, &mut self.out);
        }
    }
}
