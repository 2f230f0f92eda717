//! What a guest was told and did not ask for yet.

use crate::{
    Outcome, PortId, Replied,
    protocol::{Change, Ticket, Told, Watch},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) ready: BTreeSet<PortId>,
    pub(crate) closed: BTreeSet<PortId>,
    replies: BTreeMap<Ticket, Vec<Replied>>,
    settled: BTreeMap<Ticket, Outcome>,
    pub(crate) changes: BTreeMap<Watch, VecDeque<Change>>,
}

impl Inbox {
    /// Keeps what was told.
    pub(crate) fn keep(&mut self, told: Told, payload: Vec<u8>) {
        match told {
            Told::Ready { port } => {
                self.ready.insert(port);
            }
            Told::Closed { port } => {
                self.ready.remove(&port);
                self.closed.insert(port);
            }
            Told::Answer { ticket, slot, head } => {
                let reply = Replied { slot: usize::from(slot), head, payload };
                self.replies.entry(ticket).or_default().push(reply);
            }
            Told::Settled { ticket, slots } => {
                let answers = self.replies.remove(&ticket).unwrap_or_default();
                self.settled.insert(ticket, Outcome { slots, answers });
            }
            Told::Seen { watch, change } => {
                // What a closed watch saw before is not wanted any more.
                if let Some(changes) = self.changes.get_mut(&watch) {
                    changes.push_back(change);
                }
            }
            Told::NameLost { .. }
            | Told::Welcome { .. }
            | Told::Bye { .. }
            | Told::Done { .. }
            | Told::Refused { .. } => {}
        }
    }

    /// A settled ticket's outcome, once.
    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.settled.remove(&ticket)
    }

    /// What a watch saw, in order.
    pub(crate) fn change(&mut self, watch: Watch) -> Option<Change> {
        self.changes.get_mut(&watch)?.pop_front()
    }

    /// There is something to ask for.
    pub(crate) fn has_news(&self) -> bool {
        !self.ready.is_empty() || !self.settled.is_empty() || self.changes.values().any(|c| !c.is_empty())
    }
}
