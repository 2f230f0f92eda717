//! What a guest was told and did not ask for yet.

use crate::{
    Outcome, PortId, Replied,
    protocol::{Change, Slot, Ticket, Told, Watch},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) ready: BTreeSet<PortId>,
    pub(crate) closed: BTreeSet<PortId>,
    replies: BTreeMap<Ticket, Vec<Replied>>,
    settled: BTreeMap<Ticket, Outcome>,
    confirmed: BTreeSet<Ticket>,
    /// Tickets that were let go and are not settled, and the answers that came.
    let_go: BTreeSet<Ticket>,
    loose: VecDeque<Replied>,
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
                if self.let_go.contains(&ticket) {
                    self.loose.push_back(reply);
                } else {
                    self.replies.entry(ticket).or_default().push(reply);
                }
            }
            Told::Confirmed { ticket } => {
                self.confirmed.insert(ticket);
            }
            Told::Settled { ticket, slots } => {
                self.confirmed.remove(&ticket);
                let answers = self.replies.remove(&ticket).unwrap_or_default();
                if !self.let_go.remove(&ticket) {
                    self.settled.insert(ticket, Outcome { slots, answers });
                }
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

    /// The next answer to a message that was not taken.
    pub(crate) fn answer(&mut self, ticket: Ticket) -> Option<Replied> {
        let settled = self.settled.get_mut(&ticket).map(|outcome| &mut outcome.answers);
        let replies = settled.or(self.replies.get_mut(&ticket)).filter(|replies| !replies.is_empty())?;
        Some(replies.remove(0))
    }

    /// Whether a port has messages, was closed, or an answer to a ticket that was let go came.
    pub(crate) fn has_news_of(&self, port: PortId) -> bool {
        self.ready.contains(&port) || self.closed.contains(&port) || !self.loose.is_empty()
    }

    /// Nobody asks for a ticket any more.
    pub(crate) fn let_go(&mut self, ticket: Ticket) {
        match self.settled.remove(&ticket) {
            Some(outcome) => self.loose.extend(outcome.answers),
            None => {
                self.confirmed.remove(&ticket);
                self.let_go.insert(ticket);
                self.loose.extend(self.replies.remove(&ticket).unwrap_or_default());
            }
        }
    }

    /// The next answer to a ticket that was let go.
    pub(crate) fn loose_answer(&mut self) -> Option<Replied> {
        self.loose.pop_front()
    }

    /// Whether a ticket is settled and its outcome was not taken.
    pub(crate) fn is_settled(&self, ticket: Ticket) -> bool {
        self.settled.contains_key(&ticket)
    }

    /// Whether no slot of a ticket waits for a receipt.
    pub(crate) fn is_confirmed(&self, ticket: Ticket) -> bool {
        self.confirmed.contains(&ticket) || self.is_settled(ticket)
    }

    /// The slots of a settled ticket.
    pub(crate) fn slots(&self, ticket: Ticket) -> Option<Vec<Slot>> {
        self.settled.get(&ticket).map(|outcome| outcome.slots.clone())
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
