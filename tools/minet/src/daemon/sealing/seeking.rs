//! Peers that are found by a word in clear text, where there is no address to configure: on an Ethernet, on a serial line.
//!
//! The word says a node's number and nothing that is believed: it makes this node call the member of that number where the word came
//! from. Who has not that member's key does not answer, and is given up soon.

use super::{Sealing, Spot, since_start};
use fabric_seal::{PublicKey, SessionId, SetupError};
use messenger_core::{NodeId, Time};
use std::{collections::BTreeMap, time::Duration};

/// So long a member is called where it seemed to be.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom it calls since a word came, on which carrier, and until when.
#[derive(Default)]
pub(super) struct Seeking(BTreeMap<SessionId, (usize, PublicKey, Duration)>);

impl Seeking {
    fn find(&self, carrier: usize, key: &PublicKey) -> Option<SessionId> {
        self.0.iter().find(|(_, (on, peer, _))| *on == carrier && peer == key).map(|(session, _)| *session)
    }

    /// The session is open, or over.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    fn take_late(&mut self, now: Duration) -> Vec<SessionId> {
        let late: Vec<SessionId> = self.0.iter().filter(|(_, (.., until))| *until <= now).map(|(s, _)| *s).collect();
        late.iter().for_each(|session| self.forget(*session));
        late
    }
}

impl Sealing {
    /// A word of this node came from there.
    pub(in crate::daemon) fn sought(&mut self, now: Time, spot: Spot, node: NodeId) {
        let Some(key) = self.book.members().find(|member| member.node == node).map(|member| member.key) else { return };
        let (now, Some(at)) = (since_start(now), spot.to_gate()) else { return };
        let is_linked = |(session, (_, carrier, _)): (&SessionId, &(_, usize, _))| {
            *carrier == spot.carrier && self.gate.peer(*session) == Some(key)
        };
        let is_met = self.gate.meets(&key, &at);
        if key == self.gate.public() || is_met || self.links.iter().any(is_linked) {
            return;
        }
        if let Some(session) = self.seeking.find(spot.carrier, &key) {
            // The latest word counts: who forges one keeps nobody away for long.
            return self.gate.moved(session, at);
        }
        match self.gate.open(now, key, at) {
            Ok(session) => drop(self.seeking.0.insert(session, (spot.carrier, key, now + PATIENCE))),
            Err(SetupError::Own) => {}
            Err(e) => log::warn!("no session with node {node} at {spot}: {e}"),
        }
    }

    /// Gives up who does not answer.
    pub(super) fn give_up(&mut self, now: Duration) {
        for session in self.seeking.take_late(now) {
            self.gate.close(session);
        }
    }
}
