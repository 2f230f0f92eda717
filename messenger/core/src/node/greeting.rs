//! How two nodes meet, and whom a node refuses.

use super::{Event, Node};
use crate::{
    LinkId, NodeId, Time,
    link::{LinkState, Reason},
    wire::{Flags, Header, Hello, Kind, LinkBody, Refusal, VERSION},
};
use alloc::vec::Vec;
use core::time::Duration;

/// The smallest largest message that a peer may have, in bytes.
const MESSAGE_LEAST: u32 = 128;

impl Node {
    /// A message that asks nodes of this fabric to greet, for everybody on a medium.
    pub fn seek(&self) -> Vec<u8> {
        let header = Header {
            len: Header::LEN as u8,
            kind: Kind::Link,
            flags: Flags::default(),
            source: self.me.node.get(),
            destination: NodeId::EVERY,
            port: 0,
        };
        let mut bytes = Vec::from([0; Header::LEN]);
        // The buffer has the header's length.
        let _ = header.emit(&mut bytes);
        LinkBody::Seek { fabric: self.me.fabric.clone() }.emit(&mut bytes);
        bytes
    }

    pub(super) fn handle_hello(&mut self, now: Time, id: LinkId, source: NodeId, session: u32, hello: &Hello) {
        if hello.message < MESSAGE_LEAST {
            // Whoever says so would be told everything in crumbs.
            self.counts.malformed += 1;
            return;
        }
        if let Some(why) = self.objection(now, id, source, hello) {
            return self.turn_away(now, id, Some(source), why);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let known = link.peer().map(|p| (p.node, p.incarnation, p.session));
        if link.is_live() && known != Some((source, hello.incarnation, session)) {
            self.restart_link(now, id);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let told = link.peer().map(|p| p.session);
        let size = link.peer().map(|p| p.message).filter(|_| link.is_live());
        let up = link.meet(now, source, session, hello, self.me.interval);
        let resized = size.is_some_and(|old| link.peer().is_some_and(|p| p.message != old));
        let proven = hello.echo == link.session;
        if hello.greeting && (link.is_live() || !proven || told != Some(session)) {
            link.greet(now, &self.me, &mut self.out);
        }
        if resized {
            self.tell_size(now, id);
        }
        if up {
            self.rivals.forget_winner();
            self.events.push_back(Event::LinkUp { link: id, peer: source });
            self.choose_links(now);
            self.send_registry(now, id);
        }
    }

    /// The peer began anew on the same link: so do we, even if the link would not last.
    fn restart_link(&mut self, now: Time, id: LinkId) {
        let session = self.new_session();
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(peer) = link.peer().map(|p| p.node) {
            self.events.push_back(Event::LinkDown { link: id, peer, reason: Reason::PeerRestarted });
        }
        self.lost = Some((id, Reason::PeerRestarted));
        link.restart(now, session, Reason::PeerRestarted);
        self.registry.forget_link(id);
        self.choose_links(now);
    }

    /// Why a peer is not wanted, if it is not.
    fn objection(&mut self, now: Time, id: LinkId, source: NodeId, hello: &Hello) -> Option<Refusal> {
        if hello.versions.0 > VERSION || hello.versions.1 < VERSION {
            return Some(Refusal::Version);
        }
        if hello.fabric != self.me.fabric {
            return Some(Refusal::Fabric);
        }
        if source == self.me.node {
            if hello.incarnation != self.me.incarnation {
                self.tell_duplicate(now, &hello.name);
            }
            return Some(Refusal::DuplicateNode);
        }
        let expected = self.links.get(&id).and_then(|l| l.spec().expect.as_ref());
        if expected.is_some_and(|(node, name)| *node != source || *name != hello.name) {
            return Some(Refusal::WrongNode);
        }
        let namesake = self.members().find(|m| m.name == hello.name && m.node != source).map(|m| m.node);
        if hello.name == self.me.name || namesake.is_some_and(|n| self.proves_alive(now, n, id)) {
            return Some(Refusal::DuplicateName);
        }
        let another = |life| life != hello.incarnation;
        // A member may be known by a link of its own, or by its record alone. By a record alone, one of the same name is
        // taken for the member itself, started again: others may believe in its old life until their links go silent.
        let other_life = self.member(source).is_some_and(|m| another(m.incarnation) && m.name != hello.name)
            || self.links.values().any(|l| {
                l.id() != id && l.is_live() && l.peer().is_some_and(|p| p.node == source && another(p.incarnation))
            });
        (other_life && self.proves_alive(now, source, id)).then_some(Refusal::DuplicateNode)
    }

    /// Whether links other than `but` to a node were heard of late. The others are asked to answer, so that the next
    /// try of a newcomer finds the truth.
    fn proves_alive(&mut self, now: Time, node: NodeId, but: LinkId) -> bool {
        let digest = self.registry.digest();
        let (mut alive, mut silent) = (false, Vec::new());
        for link in self.links.values_mut() {
            if link.id() == but || !link.is_live() || link.peer().is_none_or(|p| p.node != node) {
                continue;
            }
            let patience =
                link.round_trip().map_or(Duration::from_millis(500), |r| (r * 8).max(Duration::from_millis(200)));
            if now.since(link.last_heard) > patience + self.me.interval {
                silent.push(link.id());
            } else {
                link.beat(now, &self.me, digest, true, &mut self.out);
                alive = true;
            }
        }
        for link in silent {
            self.lose_link(now, link, Reason::Silent);
        }
        alive || (!self.conduits.contains_key(&node) && self.routes.contains_key(&node))
    }

    pub(super) fn refuse_version(&mut self, now: Time, id: LinkId) {
        if self.links.get(&id).is_none_or(|l| l.state() != LinkState::Greeting) {
            return;
        }
        self.turn_away(now, id, None, Refusal::Version);
    }

    fn turn_away(&mut self, now: Time, id: LinkId, peer: Option<NodeId>, why: Refusal) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let body = LinkBody::Refuse { why, versions: (VERSION, VERSION) };
        link.say(now, &self.me, &body, &mut self.out);
        if link.state() == LinkState::Greeting {
            self.note_refusal(now, id, peer, why, true);
        }
    }

    pub(super) fn handle_refusal(&mut self, now: Time, id: LinkId, source: NodeId, why: Refusal) {
        if self.links.get(&id).is_some_and(|l| l.state() == LinkState::Greeting) {
            self.note_refusal(now, id, Some(source), why, false);
        }
    }

    fn note_refusal(&mut self, now: Time, id: LinkId, peer: Option<NodeId>, why: Refusal, ours: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let news = link.reason() != Reason::Refused(why);
        link.refuse(now, why);
        if news {
            self.events.push_back(Event::LinkRefused { link: id, peer, why, ours });
        }
    }
}
