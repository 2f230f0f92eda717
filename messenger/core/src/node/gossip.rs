//! How members' records reach every member.
//!
//! A node writes its own record and raises its version at every change. What is new is passed to all neighbours but the
//! one it came from. Heartbeats carry a digest of the registry; neighbours whose digests differ send each other all
//! they have, ever more rarely until they agree. So a lost announcement costs a heartbeat, never agreement.

use super::{Event, Node};
use crate::{
    LinkId, NodeId, Time,
    link::{Link, Reason, SYNC_FIRST, SYNC_LONGEST},
    registry::{self, Edition, Entry},
    wire::{Announce, Header, Heartbeat, LinkBody, Record},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Records that may wait to be taken up.
const NEWS: usize = 128;

impl Node {
    pub(super) fn handle_heartbeat(&mut self, now: Time, id: LinkId, beat: &Heartbeat) {
        let digest = self.registry.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.measure(now, beat);
        if beat.answer && !link.agrees(beat, digest) {
            // Perhaps the end of all that the peer has.
            link.aside.sweep();
        }
        if link.agrees(beat, digest) {
            link.sync_at = None;
            link.sync_wait = SYNC_FIRST;
        } else if link.sync_at.is_none() {
            link.sync_at = Some(now + link.sync_wait);
        }
        if beat.answer {
            link.beat(now, &self.me, digest, false, &mut self.out);
        }
    }

    /// Asks a neighbour for its digest if that is due; sends all there is to one that was found to hold something else.
    pub(super) fn compare_registry(&mut self, now: Time, id: LinkId) {
        let digest = self.registry.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.ask_at.take_if(|at| *at <= now).is_some() && link.is_live() {
            link.beat(now, &self.me, digest, true, &mut self.out);
        }
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
                link.sync_wait = SYNC_FIRST;
                link.ask_at.get_or_insert(now + SYNC_FIRST);
            }
        }
    }

    /// Takes part of a record. A whole one waits until [`Node::settle`]: many often come together, and finding the ways
    /// once is enough for all.
    pub(super) fn handle_announce(&mut self, now: Time, id: LinkId, part: &Announce<'_>) {
        if part.version > registry::VERSION_MOST {
            self.counts.high_version += 1;
            return;
        }
        let Some(entry) = self.registry.assemble(id, part) else { return };
        if entry.record.node == self.me.node {
            return self.handle_own_record(now, &entry.record);
        }
        if entry.record.version > registry::VERSION_TOLD && !self.is_on_way_to(entry.record.node, id) {
            self.counts.high_version += 1;
            return;
        }
        self.news.push((id, entry));
        self.news_at.get_or_insert(now);
        if self.news.len() >= NEWS {
            self.settle(now);
        }
    }

    /// Whether the way to a member begins at a link's peer. While nobody knows a way, it may be anybody's.
    fn is_on_way_to(&self, node: NodeId, link: LinkId) -> bool {
        let peer = self.links.get(&link).and_then(Link::peer).map(|p| p.node);
        self.routes.get(&node).is_none_or(|route| Some(route.via) == peer)
    }

    /// Takes up the records that came: keeps those whose members can be reached, tells of them and passes them on.
    pub(super) fn settle(&mut self, now: Time) {
        self.news_at = None;
        if self.news.is_empty() {
            return;
        }
        let (mut fresh, mut changed) = (BTreeSet::new(), BTreeMap::new());
        let (mut heard, mut ways) = (Vec::new(), false);
        for (link, entry) in core::mem::take(&mut self.news) {
            let (node, old) = (entry.record.node, self.registry.get(entry.record.node).map(|old| &old.record));
            let is_fresh = old.is_none();
            let other_ways = old.is_none_or(|old| !old.has_ways_of(&entry.record));
            heard.push((link, node, Edition::of(&entry.record)));
            if self.registry.insert(entry) {
                if is_fresh {
                    fresh.insert(node);
                }
                ways |= other_ways;
                changed.insert(node, link);
            }
        }
        if ways {
            self.find_routes_with(&fresh);
        }
        if self.make_room(&fresh, &changed) {
            self.find_routes_with(&fresh);
        }
        changed.retain(|node, _| self.routes.contains_key(node) && self.registry.get(*node).is_some());
        if ways && !changed.is_empty() {
            self.forget_asides();
        }
        for (link, node, edition) in heard {
            if let Some(link) = self.links.get_mut(&link).filter(|_| self.registry.get(node).is_none()) {
                link.aside.note(node, edition);
            }
        }
        for (node, link) in changed {
            let from = self.links.get(&link).and_then(Link::peer).map(|p| p.node);
            self.departed.retain(|d| d.node != node);
            let is_fresh = fresh.contains(&node);
            if let Some((life, leaving)) = self.member(node).map(|m| (m.incarnation, m.leaving)) {
                self.exchange.handle_member(now, node, life);
                self.exchange.note_leaving(node, leaving);
            }
            self.events.push_back(if is_fresh { Event::MemberUp(node) } else { Event::MemberChanged(node) });
            self.flood(now, node, from);
        }
    }

    /// Ways changed: what was set aside may be reached now. Neighbours are asked again, since digests differ then.
    pub(super) fn forget_asides(&mut self) {
        self.links.values_mut().for_each(|link| link.aside.clear());
    }

    /// A record of this node that is newer than its own: left by an earlier life, or another node with its number.
    fn handle_own_record(&mut self, now: Time, record: &Record) {
        let (own, other) = ((self.me.incarnation, &self.me.name), (record.incarnation, &record.name));
        if record.version < self.version || (record.version == self.version && own == other) {
            return;
        }
        if record.version > registry::VERSION_MOST - registry::LEAP {
            // To go beyond would leave this node no room for changes of its own.
            self.counts.high_version += 1;
        } else if own == other {
            self.overwrite(now, record.version + 1);
        } else {
            self.handle_rival(now, record);
        }
    }

    /// Writes this node's record anew if something in it changed, and tells everybody.
    pub(super) fn write_own_record(&mut self, now: Time) {
        let new = self.own_record();
        let same = |old: &Record| *old == Record { version: old.version, ..new };
        if !self.member(self.me.node).is_some_and(same) {
            self.rewrite_own_record(now);
        }
    }

    pub(super) fn rewrite_own_record(&mut self, now: Time) {
        self.version = self.version.saturating_add(1);
        self.registry.insert(Entry::new(self.own_record()));
        self.rivals.wrote();
        self.flood(now, self.me.node, None);
    }

    fn own_record(&self) -> Record {
        let (neighbours, messages) = self.neighbours().into_iter().map(|(n, (_, message))| (n, message)).unzip();
        Record {
            node: self.me.node,
            incarnation: self.me.incarnation,
            version: self.version,
            name: self.me.name.clone(),
            // What still comes is passed on all the same.
            relay: self.relay && !self.leaving,
            leaving: self.leaving,
            neighbours,
            messages,
            attachments: self.attachments.clone(),
        }
    }

    /// Asks a link's peer to stop or resume sending new traffic on it.
    pub fn quiesce(&mut self, now: Time, id: LinkId, on: bool) {
        if let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live() && l.reason() != Reason::Closed) {
            link.say(now, &self.me, if on { &LinkBody::Quiesce } else { &LinkBody::Enable }, &mut self.out);
        }
    }
}
