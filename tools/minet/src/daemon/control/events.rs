//! What the core concluded, told to people and followed up.

use super::Control;
use messenger_core::{Event, LinkId, NodeId};
use mio::Poll;
use std::time::Instant;

impl Control {
    pub(super) fn take_events(&mut self, poll: &Poll) {
        let mut changed = false;
        while let Some(event) = self.node.poll_event() {
            self.dirty = true;
            changed = true;
            match event {
                Event::LinkUp { link, peer } => {
                    let text = format!("link {link} to {} is up", self.called(peer));
                    self.tell("link-up", Some(link), Some(peer), text);
                }
                Event::LinkDown { link, peer, reason } => {
                    let text = format!("link {link} to {} is down: {reason}", self.called(peer));
                    self.tell("link-down", Some(link), Some(peer), text);
                    if let Some(wire) = self.wires.get(link) {
                        self.media.hurry(wire.carrier);
                    }
                    let now = self.clock.now();
                    if let Some(sealing) = &mut self.sealing {
                        sealing.renew(now, link);
                    }
                }
                Event::LinkResized { link, peer, message } => {
                    if self.wires.get_mut(link).is_some_and(|wire| wire.tells_size(Instant::now())) {
                        log::info!("link {link} to {}: messages of {message} bytes from now on", self.called(peer));
                    }
                }
                Event::LinkClosed { link, .. } => {
                    self.close_wire(link, poll);
                    self.iops.handle_end(self.time(), link);
                }
                Event::LinkRefused { link, peer, why, ours } => {
                    let who = peer.map_or("a peer".into(), |p| self.called(p));
                    let by = if ours { "refused by this node" } else { "refused by the peer" };
                    let text = format!("link {link} to {who}: {by}: {why}");
                    log::warn!("{text}");
                    self.journal.note("link-refused", Some(link.0), peer.map(NodeId::get), text);
                }
                Event::Judged { link, peer, why } => {
                    let called = self.called(peer);
                    let (kind, text) = match why {
                        Some(why) => ("demoted", format!("link {link} to {called} is demoted: {why}")),
                        None => ("restored", format!("link {link} to {called} is as good as others again")),
                    };
                    self.tell(kind, Some(link), Some(peer), text);
                }
                Event::Switched { peer, from: Some(from), to: Some(to), why } => {
                    let text = format!("conduit to {}: from link {from} to link {to}: {why}", self.called(peer));
                    self.tell("switched", Some(to), Some(peer), text);
                }
                Event::Switched { .. } | Event::MemberChanged(_) => {}
                Event::MemberUp(node) => {
                    let text = format!("member {} is here", self.called(node));
                    self.tell("member-up", None, Some(node), text);
                }
                Event::MemberDown(node) => {
                    let text = format!("member {} cannot be reached", self.called(node));
                    self.tell("member-down", None, Some(node), text);
                    for stations in &mut self.stations {
                        stations.forget(node);
                    }
                }
                Event::DuplicateNode { name } => {
                    log::error!(
                        "id {} is also that of the node named {name}: give one of them another id",
                        self.node.id()
                    );
                }
                Event::Pong(pong) => self.answer_ping(pong.token, Some(pong.round_trip), poll),
            }
        }
        if changed {
            self.iops.handle_members(self.time(), &self.node);
        }
    }

    /// Logs an event and notes it for those who ask.
    pub(super) fn tell(&mut self, kind: &'static str, link: Option<LinkId>, peer: Option<NodeId>, text: String) {
        log::info!("{text}");
        self.journal.note(kind, link.map(|l| l.0), peer.map(NodeId::get), text);
    }

    /// A node as people call it.
    pub(super) fn called(&self, node: NodeId) -> String {
        let record = self.node.member(node).or_else(|| self.node.departed().find(|d| d.node == node));
        match record {
            Some(record) => format!("{} (id {node})", record.name),
            None => format!("id {node}"),
        }
    }
}
