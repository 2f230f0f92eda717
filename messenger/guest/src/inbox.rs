//! What a guest was told, in the order it was told, and who waits for it. No message waits here: those are in their ports.

use crate::{
    GuestError, Outcome, PathState, PortId, Received, Replied, Take,
    line::Answered,
    port::Port,
    protocol::{Change, Done, Finished, Path, SentMany, Slot, Taken, Ticket, Told, Watch},
    wait::{Object, Objects, Sign},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

/// Notices that wait to be asked for; then the oldest is forgotten.
const NOTICES: usize = 4_096;

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

/// What happened to a port that its guest did not do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is no more.
    Closed(PortId),
    /// Another node has its name now; it goes on without.
    NameLost(PortId),
}

/// What a call is about, as far as its answer changes what is known.
#[derive(Debug)]
pub(crate) enum About {
    /// Nothing that is kept.
    Nothing,
    /// Leaves or closes a port.
    Leave(PortId),
    /// Nobody waits for the answer; the port, if it was to take a message.
    Abandoned(Option<PortId>),
    /// Takes a message of a port.
    Take(PortId),
    /// Sends from a port.
    Send(PortId, Option<Then>),
    /// Sends several messages from a port.
    SendMany(PortId),
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
    paths: BTreeMap<Path, VecDeque<PathState>>,
    notices: VecDeque<Notice>,
    pub(crate) events: VecDeque<Event>,
    /// Who is told when something is there to be asked for.
    pub(crate) objects: Objects,
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

    /// Nobody waits for a call's answer any more; a message that comes with it waits for the next receive.
    pub(crate) fn abandon(&mut self, number: u32) {
        let Some((about, answer)) = self.calls.remove(&number) else { return };
        let port = if let About::Take(port) = about { Some(port) } else { None };
        match answer {
            Some(answer) => self.keep_stray(port, answer),
            None => drop(self.calls.insert(number, (About::Abandoned(port), None))),
        }
    }

    fn keep_stray(&mut self, port: Option<PortId>, answer: Answered) {
        if let (Some(id), Ok((done, payload))) = (port, answer)
            && let Some(port) = self.ports.get_mut(&id)
            && let Ok(messages) = received(id, done, payload)
            && !messages.is_empty()
        {
            // The port is as it is; these come on top.
            port.strays.extend(messages);
            if port.tell_ready() {
                self.events.push_back(Event::Port(id));
            }
            self.touch(Object::Port(id));
        }
    }

    /// Its guest closes a port, or did not after all: it need not be told.
    pub(crate) fn leave(&mut self, port: PortId, leaves: bool) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.leaving = leaves;
        }
    }

    /// How often receivers of a port were sent away.
    pub(crate) fn canceled(&self, port: PortId) -> u64 {
        self.ports.get(&port).map_or(0, |port| port.canceled)
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
                self.touch(Object::Port(id));
            }
            Told::Closed { port } => {
                let known = self.ports.remove(&port);
                let was_left = known.as_ref().is_none_or(|port| port.leaving);
                if let Some(ending) = known.and_then(|port| port.ending) {
                    self.events.push_back(Event::Finished(ending, Ok(Finished::Later)));
                } else if !was_left {
                    self.notice(Notice::Closed(port));
                }
                self.touch(Object::Port(port));
            }
            Told::NameLost { port } => self.notice(Notice::NameLost(port)),
            Told::PathChanged { path, state } => {
                if let Some(states) = self.paths.get_mut(&path) {
                    states.push_back(state);
                    self.touch(Object::Path(path));
                }
            }
            Told::PathClosed { path } => {
                self.paths.remove(&path);
                self.touch(Object::Path(path));
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
                self.touch(Object::Ticket(ticket));
            }
            Told::Seen { watch, change } => {
                // What a closed watch saw before is not wanted any more.
                if let Some(changes) = self.changes.get_mut(&watch) {
                    changes.push_back(change);
                    self.touch(Object::Watch(watch));
                }
            }
            Told::Welcome { .. } => self.welcome = Some(told),
            // The line has done what is to be done.
            Told::Bye { .. } | Told::Given { .. } => {}
        }
    }

    /// An answer came: what it changes is known from now on, whoever looks first.
    fn answered(&mut self, number: u32, answer: Answered) {
        let Some((about, place)) = self.calls.get_mut(&number) else { return };
        if let About::Abandoned(port) = about {
            let port = *port;
            self.calls.remove(&number);
            return self.keep_stray(port, answer);
        }
        let mut touched = None;
        match (&mut *about, &answer) {
            (_, Ok((Done::Port(port), _))) => {
                self.ports.insert(*port, Port::default());
            }
            (_, Ok((Done::Watch(watch), _))) => {
                self.changes.insert(*watch, VecDeque::new());
            }
            (_, Ok((Done::Path(path), _))) => {
                self.paths.insert(*path, VecDeque::new());
            }
            (About::Leave(port), Ok((Done::Nothing, _))) => {
                self.ports.remove(port);
                touched = Some(Object::Port(*port));
            }
            (
                About::Take(id),
                Ok((Done::Message { more, .. } | Done::Messages { more, .. } | Done::Empty { more }, _)),
            ) => {
                if let Some(port) = self.ports.get_mut(id) {
                    port.ready = *more;
                    touched = Some(Object::Port(*id));
                }
            }
            (About::Send(from, then), Ok((Done::Sent(sent), _))) => {
                let then = then.take();
                pledge(&mut self.tickets, &mut self.sent_from, *from, sent.ticket, then);
            }
            (About::SendMany(from), Ok((Done::SentMany(SentMany { sent, .. }), _))) => {
                for sent in sent {
                    pledge(&mut self.tickets, &mut self.sent_from, *from, sent.ticket, None);
                }
            }
            (About::Finish(port, ending), Ok((Done::Finished(Finished::AtOnce), _))) => {
                self.ports.remove(port);
                touched = Some(Object::Port(*port));
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
        touched.into_iter().for_each(|object| self.touch(object));
        self.touch(Object::Call(number));
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
        self.touch(Object::Notices);
    }

    /// What happened to ports, in order.
    pub(crate) fn next_notice(&mut self) -> Option<Notice> {
        let notice = self.notices.pop_front();
        self.touch(Object::Notices);
        notice
    }

    /// Who waits for an object looks at it.
    pub(crate) fn touch(&mut self, object: Object) {
        if self.objects.has(object) {
            let sign = self.sign(object);
            self.objects.touch(object, sign);
        }
    }

    /// How an object is.
    pub(crate) fn sign(&self, object: Object) -> Option<Sign> {
        let ready = match object {
            Object::Port(port) => {
                self.ports.get(&port).map(|p| !p.is_all_handled() && (p.ready || !p.strays.is_empty()))
            }
            Object::Ticket(ticket) => match self.tickets.get(&ticket) {
                Some(Pledge::Settled(_)) => Some(true),
                Some(Pledge::Open { then: None, .. }) => Some(false),
                Some(Pledge::Open { .. }) | None => None,
            },
            Object::Path(path) => self.paths.get(&path).map(|states| !states.is_empty()),
            Object::Watch(watch) => self.changes.get(&watch).map(|changes| !changes.is_empty()),
            Object::Notices => Some(!self.notices.is_empty()),
            Object::Call(number) => self.calls.get(&number).map(|(_, answer)| answer.is_some()),
        };
        match ready {
            Some(true) => Some(Sign::Ready),
            Some(false) => None,
            None => Some(Sign::Closed),
        }
    }

    /// The connection is no more: who is to be told of tickets is told that.
    pub(crate) fn end(&mut self, why: &dyn Fn() -> GuestError) {
        self.objects.wake_all();
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
            Some(Pledge::Settled(_)) => {
                let taken = self.tickets.remove(&ticket);
                self.touch(Object::Ticket(ticket));
                if let Some(Pledge::Settled(outcome)) = taken { Some(Some(outcome)) } else { Some(None) }
            }
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
            Some(Pledge::Open { then: then @ None, .. }) => {
                *then = Some(callback);
                self.touch(Object::Ticket(ticket));
            }
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
        let changes = self.changes.get_mut(&watch);
        let Some(changes) = changes else { return Some(None) };
        let change = changes.pop_front()?;
        self.touch(Object::Watch(watch));
        Some(Some(change))
    }

    pub(crate) fn forget_watch(&mut self, watch: Watch) {
        self.changes.remove(&watch);
        self.touch(Object::Watch(watch));
    }

    /// What became of a path, in order. `Some(None)`: there is no such path, or not any more.
    pub(crate) fn path_state(&mut self, path: Path) -> Option<Option<PathState>> {
        let states = self.paths.get_mut(&path);
        let Some(states) = states else { return Some(None) };
        let state = states.pop_front()?;
        self.touch(Object::Path(path));
        Some(Some(state))
    }
}

/// Notes a ticket that was made.
fn pledge(
    tickets: &mut BTreeMap<Ticket, Pledge>,
    sent_from: &mut BTreeSet<(PortId, Ticket)>,
    from: PortId,
    ticket: Option<Ticket>,
    then: Option<Then>,
) {
    if let Some(ticket) = ticket {
        sent_from.insert((from, ticket));
        tickets.insert(ticket, Pledge::Open { from, replies: Vec::new(), then, confirmed: false, loose: false });
    }
}

/// Messages, from the answer to a receive.
pub(crate) fn received(port: PortId, done: Done, payload: Vec<u8>) -> Result<Vec<Received>, GuestError> {
    match done {
        Done::Message { head, hold, .. } => Ok(vec![Received { head, payload, port, hold }]),
        Done::Messages { all, .. } => {
            let (mut messages, mut rest) = (Vec::with_capacity(all.len()), &payload[..]);
            for Taken { head, hold, length } in all {
                let (own, behind) = rest.split_at_checked(length as usize).ok_or(GuestError::Answer)?;
                rest = behind;
                messages.push(Received { head, payload: own.to_vec(), port, hold });
            }
            Ok(messages)
        }
        Done::Empty { .. } => Ok(Vec::new()),
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
