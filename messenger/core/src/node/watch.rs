//! Judging links while they run, and following up what that changes.

use super::{Event, Node};
use crate::{
    LinkId, NodeId, Time,
    conduit::{Cause, Policy, Sight, Which},
    link::{Link, LinkState, Reason},
};
use alloc::vec::Vec;

impl Node {
    /// What is demanded of links from now on. A new node demands nothing: [`Policy::PLAIN`].
    pub fn set_policy(&mut self, now: Time, policy: Policy) {
        self.policy = policy;
        self.watch_links(now);
    }

    /// What is demanded of links.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Looks at all links of conduits that have a choice.
    pub(super) fn watch_links(&mut self, now: Time) {
        let mut judged: Vec<(LinkId, NodeId)> = Vec::new();
        let digest = self.registry.digest();
        for link in self.links.values_mut() {
            let Some(peer) = link.peer().map(|p| p.node).filter(|_| link.is_live()) else { continue };
            let sight = Sight {
                active: self.conduits.get(&peer) == Some(&link.id()),
                choice: self.choices.contains(&peer),
                last_heard: link.last_heard,
                rtt: link.round_trip(),
                interval: self.me.interval,
                flapping: self.damping.holds(now, which(link, peer)),
                carried: link.carried,
            };
            let look = link.watch.look(now, &self.policy, sight);
            if look.ask {
                link.beat(now, &self.me, digest, true, &mut self.out);
            }
            if look.changed {
                judged.push((link.id(), peer));
            }
        }
        if judged.is_empty() {
            return;
        }
        for (id, peer) in judged {
            let Some(link) = self.links.get(&id) else { continue };
            let why = link.demotion();
            if why.is_some() {
                self.damping.punish(now, which(link, peer));
            }
            self.events.push_back(Event::Judged { link: id, peer, why });
        }
        self.choose_links(now);
    }

    /// A link is lost; what it or its peer did in order counts for nothing.
    pub(super) fn punish(&mut self, now: Time, id: LinkId, reason: Reason) {
        if !matches!(reason, Reason::Silent | Reason::CarrierLost) {
            return;
        }
        let Some(link) = self.links.get(&id).filter(|l| l.is_live()) else { return };
        if let Some(peer) = link.peer().map(|p| p.node) {
            self.damping.punish(now, which(link, peer));
        }
    }

    /// Why a conduit left a link.
    pub(super) fn cause(&self, from: Option<LinkId>, lost: Option<(LinkId, Reason)>) -> Cause {
        let Some(from) = from else { return Cause::First };
        match (self.links.get(&from), lost) {
            (_, Some((link, reason))) if link == from => Cause::Lost(reason),
            (Some(link), _) if link.is_live() => match link.demotion() {
                Some(why) => Cause::Demoted(why),
                None if link.state() == LinkState::Quiesced => Cause::Quiesced,
                None => Cause::Better,
            },
            (Some(link), _) => Cause::Lost(link.reason()),
            (None, _) => Cause::Lost(Reason::Closed),
        }
    }
}

fn which(link: &Link, peer: NodeId) -> Which {
    (peer, link.spec().carrier, link.spec().priority)
}
