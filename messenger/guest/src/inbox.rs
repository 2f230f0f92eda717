//! What a guest was told, in the order it was told, and who waits for it. No message waits here: those are in their ports.

use crate::{
    GuestError, Outcome, PortId, Received, Replied, Take,
    line::Answered,
    port::Port,
    protocol::{Change, Done, Finished, Slot, Ticket, Told, Watch},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

/// What is run when a ticket is settled.
pub(crate) struct Then(pub(crate) Box<dyn FnOnce(Result<Outcome, GuestError>) + Send>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// What is run when a port that was finished is closed.
pub(crate) struct Ending(pub(crate) Box<dyn FnOnce(Result<Finished, GuestError>) + Send>);

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ending")
    }
}

/// What a call is about, as far as its answer changes what is known.
#[derive(Debug)]
pub(crate) enum About {
    /// Nothing that is kept.
    Nothing,
    /// Leaves a port.
    Leave(PortId),
    /// Takes a message of a port.
    Take(PortId),
    /// Sends from a port.
    Send(PortId, Option<Then>),
    /// Finishes a port.
    Finish(PortId, Option<Ending>),
}

/// What the callbacks' thread has to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// There may be messages for a port's handler.
    Port(PortId),
    /// A ticket is settled, or never will be.
    Settled(Then, Result<Outcome, GuestError>),
    /// A port is closed, or nobody will ever tell.
    Finished(Ending, Result<Finished, GuestError>),
}

/// A ticket that nobody asked for yet.
#[derive(Debug)]
enum Pledge {
    Open {
        from: PortId,
        replies: Vec<Replied>,
        then: Option<Then>,
        /// No slot waits for a receipt.
        confirmed: bool,
        /// Nobody asks for it by its number any more.
        loose: bool,
    },
    Settled(Outcome),
}

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    numbers: u32,
    calls: BTreeMap<u32, (About, Option<Answered>)>,
    welcome: Option<Told>,
    pub(crate) ports: BTreeMap<PortId, Port>,
    tickets: BTreeMap<Ticket, Pledge>,
    /// Open tickets by the port they were sent from.
    sent_from: BTreeSet<(PortId, Ticket)>,
    /// Answers to tickets that nobody asks for by their number.
    loose: VecDeque<Replied>,
    changes: BTreeMap<Watch, VecDeque<Change>>,
    pub(crate) events: VecDeque<Event>,
}

impl Inbox {
    /// A new call.
    pub(crate) fn call(&mut self, about: About) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.calls.insert(self.numbers, (about, None));
        self.numbers
    }

    /// A call that was not made.
    pub(crate) fn forget_call(&mut self, number: u32) {
        self.calls.remove(&number);
    }

    /// The answer to a call, once.
    pub(crate) fn answer(&mut self, number: u32) -> Option<Answered> {
        self.calls.get(&number)?.1.as_ref()?;
        self.calls.remove(&number)?.1
    }

    pub(crate) fn welcome(&mut self) -> Option<Told> {
        self.welcome.take()
    }

    /// Keeps what was told.
    pub(crate) fn keep(&mut self, told: Told, payload: Vec<u8>) {
        match told {
            Told::Done { number, done } => self.answered(number, Ok((done, payload))),
            Told::Refused { number, status } => self.answered(number, Err(status)),
            Told::Ready { port: id } => {
                let Some(port) = self.ports.get_mut(&id) else { return };
                if port.tell_ready() {
                    self.events.push_back(Event::Port(id));
                }
            }
            Told::Closed { port } => {
                if let Some(ending) = self.ports.remove(&port).and_then(|port| port.ending) {
                    self.events.push_back(Event::Finished(ending, Ok(Finished::Later)));
                }
            }
            Told::Answer { ticket, slot, head } => {
                let reply = Replied { slot: usize::from(slot), head, payload };
                match self.tickets.get_mut(&ticket) {
                    Some(Pledge::Open { loose: true, .. }) => self.loose.push_back(reply),
                    Some(Pledge::Open { replies, .. }) => replies.push(reply),
                    Some(Pledge::Settled(_)) | None => {}
                }
            }
            Told::Confirmed { ticket } => {
                if let Some(Pledge::Open { confirmed, .. }) = self.tickets.get_mut(&ticket) {
                    *confirmed = true;
                }
            }
            Told::Settled { ticket, slots } => {
                let Some(Pledge::Open { from, replies, then, loose, .. }) = self.tickets.remove(&ticket) else {
                    return;
                };
                self.sent_from.remove(&(from, ticket));
                let outcome = Outcome { slots, answers: replies };
                match then {
                    Some(then) => self.events.push_back(Event::Settled(then, Ok(outcome))),
                    None if loose => {}
                    None => drop(self.tickets.insert(ticket, Pledge::Settled(outcome))),
                }
            }
            Told::Seen { watch, change } => {
                // What a closed watch saw before is not wanted any more.
                if let Some(changes) = self.changes.get_mut(&watch) {
                    changes.push_back(change);
                }
            }
            Told::Welcome { .. } => self.welcome = Some(told),
            Told::NameLost { .. } | Told::Bye { .. } => {}
        }
    }

    /// An answer came: what it changes is known from now on, whoever looks first.
    fn answered(&mut self, number: u32, answer: Answered) {
        let Some((about, place)) = self.calls.get_mut(&number) else { return };
        match (&mut *about, &answer) {
            (_, Ok((Done::Port(port), _))) => {
                self.ports.insert(*port, Port::default());
            }
            (_, Ok((Done::Watch(watch), _))) => {
                self.changes.insert(*watch, VecDeque::new());
            }
            (About::Leave(port), Ok((Done::Nothing, _))) => {
                self.ports.remove(port);
            }
            (About::Take(port), Ok((Done::Message { more, .. } | Done::Empty { more }, _))) => {
                if let Some(port) = self.ports.get_mut(port) {
                    port.ready = *more;
                }
            }
            (About::Send(from, then), Ok((Done::Sent(sent), _))) => {
                if let Some(ticket) = sent.ticket {
                    self.sent_from.insert((*from, ticket));
                    let (replies, then) = (Vec::new(), then.take());
                    let open = Pledge::Open { from: *from, replies, then, confirmed: false, loose: false };
                    self.tickets.insert(ticket, open);
                }
            }
            (About::Finish(port, ending), Ok((Done::Finished(Finished::AtOnce), _))) => {
                self.ports.remove(port);
                let ending = ending.take().map(|ending| Event::Finished(ending, Ok(Finished::AtOnce)));
                self.events.extend(ending);
            }
            (About::Finish(port, ending), Ok((Done::Finished(Finished::Later), _))) => {
                if let Some(port) = self.ports.get_mut(port) {
                    port.ending = ending.take();
                }
            }
            _ => {}
        }
        *place = Some(answer);
    }

    /// The connection is no more: who is to be told of tickets is told that.
    pub(crate) fn end(&mut self, why: &dyn Fn() -> GuestError) {
        for pledge in self.tickets.values_mut() {
            if let Pledge::Open { then, .. } = pledge
                && let Some(then) = then.take()
            {
                self.events.push_back(Event::Settled(then, Err(why())));
            }
        }
        for port in self.ports.values_mut() {
            if let Some(ending) = port.ending.take() {
                self.events.push_back(Event::Finished(ending, Err(why())));
            }
        }
    }

    /// A settled ticket's outcome, once. `Some(None)`: there is no such ticket, or a callback has it.
    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Option<Outcome>> {
        match self.tickets.get(&ticket) {
            Some(Pledge::Open { then: None, .. }) => None,
            Some(Pledge::Settled(_)) => match self.tickets.remove(&ticket) {
                Some(Pledge::Settled(outcome)) => Some(Some(outcome)),
                _ => Some(None),
            },
            Some(Pledge::Open { .. }) | None => Some(None),
        }
    }

    /// The next answer to a message. `Some(None)`: there is none any more.
    pub(crate) fn next_reply(&mut self, ticket: Ticket) -> Option<Option<Replied>> {
        match self.tickets.get_mut(&ticket) {
            Some(Pledge::Open { replies, .. }) if replies.is_empty() => None,
            Some(Pledge::Open { replies, .. }) => Some(Some(replies.remove(0))),
            Some(Pledge::Settled(outcome)) if !outcome.answers.is_empty() => Some(Some(outcome.answers.remove(0))),
            Some(Pledge::Settled(_)) | None => Some(None),
        }
    }

    /// Whether a ticket is settled and its outcome was not taken.
    pub(crate) fn is_settled(&self, ticket: Ticket) -> bool {
        matches!(self.tickets.get(&ticket), Some(Pledge::Settled(_)))
    }

    /// Whether no slot of a ticket waits for a receipt.
    pub(crate) fn is_confirmed(&self, ticket: Ticket) -> bool {
        !matches!(self.tickets.get(&ticket), Some(Pledge::Open { confirmed: false, .. }))
    }

    /// The slots of a settled ticket.
    pub(crate) fn slots(&self, ticket: Ticket) -> Option<Vec<Slot>> {
        match self.tickets.get(&ticket) {
            Some(Pledge::Settled(outcome)) => Some(outcome.slots.clone()),
            Some(Pledge::Open { .. }) | None => None,
        }
    }

    /// Nobody asks for a ticket by its number any more.
    pub(crate) fn let_go(&mut self, ticket: Ticket) {
        match self.tickets.get_mut(&ticket) {
            Some(Pledge::Open { replies, loose, .. }) => {
                *loose = true;
                self.loose.extend(replies.drain(..));
            }
            Some(Pledge::Settled(outcome)) => {
                self.loose.extend(outcome.answers.drain(..));
                self.tickets.remove(&ticket);
            }
            None => {}
        }
    }

    /// The next answer to a ticket that was let go.
    pub(crate) fn loose_answer(&mut self) -> Option<Replied> {
        self.loose.pop_front()
    }

    /// Whether a port has messages or was closed, or an answer to a ticket that was let go came.
    pub(crate) fn has_news_of(&self, port: PortId) -> bool {
        self.ports.get(&port).is_none_or(|port| port.ready) || !self.loose.is_empty()
    }

    /// Gives a ticket to a callback; gives the callback back when nothing is known of the ticket, or another one has it.
    pub(crate) fn settle_then(&mut self, ticket: Ticket, callback: Then) -> Result<(), Then> {
        match self.tickets.get_mut(&ticket) {
            Some(Pledge::Open { then: then @ None, .. }) => *then = Some(callback),
            Some(Pledge::Settled(_)) => {
                if let Some(Some(outcome)) = self.outcome(ticket) {
                    self.events.push_back(Event::Settled(callback, Ok(outcome)));
                }
            }
            Some(Pledge::Open { .. }) | None => return Err(callback),
        }
        Ok(())
    }

    /// Open tickets that were sent from a port, the oldest first.
    pub(crate) fn sent_from(&self, port: PortId) -> Vec<Ticket> {
        let all = (port, Ticket(0))..=(port, Ticket(u64::MAX));
        self.sent_from.range(all).map(|(_, ticket)| *ticket).collect()
    }

    /// What a watch saw, in order. `Some(None)`: there is no such watch.
    pub(crate) fn change(&mut self, watch: Watch) -> Option<Option<Change>> {
        match self.changes.get_mut(&watch) {
            Some(changes) => changes.pop_front().map(Some),
            None => Some(None),
        }
    }

    pub(crate) fn forget_watch(&mut self, watch: Watch) {
        self.changes.remove(&watch);
    }

    /// There is something to ask for.
    pub(crate) fn has_news(&self) -> bool {
        self.ports.values().any(|port| port.ready)
            || self.tickets.values().any(|pledge| matches!(pledge, Pledge::Settled(_)))
            || self.changes.values().any(|changes| !changes.is_empty())
    }
}

/// A message, from the answer to a receive.
pub(crate) fn received(port: PortId, done: Done, payload: Vec<u8>) -> Result<Option<Received>, GuestError> {
    match done {
        Done::Message { head, hold, .. } => Ok(Some(Received { head, payload, port, hold })),
        Done::Empty { .. } => Ok(None),
        _ => Err(GuestError::Answer),
    }
}

/// What is outstanding of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Messages that were sent from it and are not settled, the oldest first.
    pub tickets: Vec<Ticket>,
    /// Who waits to receive from it, in this process, the longest waiting first.
    pub receivers: Vec<Take>,
}
