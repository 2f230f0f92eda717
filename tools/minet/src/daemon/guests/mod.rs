//! The guests' door: processes of this host that have ports, messages and watches at this node.
//!
//! A guest's calls become commands to the core ([`calls`]), what the core tells goes to the guest it belongs to ([`told`]). This
//! room keeps only whose is what; queues, deadlines and names are the core's.
//!
//! One guest harms no other: its turns are short, what waits for it is bounded, and one that does not read or sends what is no
//! call is told why and ended. When it ends, however that comes, what it had is given back: its ports by their life rules.

mod arena;
mod calls;
mod guest;
mod paths;
mod told;

use crate::{
    seldom::Seldom,
    socket::{Socket, may_ask},
};
use arena::Arena;
use guest::{Came, Guest};
use messenger::protocol::{Done, FrameError, Told};
use messenger_core::{Answer, Code, Node, Payload, PortId, Received, Status, Time};
use mio::{Interest, Registry, Token};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    path::Path,
    sync::PoisonError,
    time::{Duration, Instant},
};

/// Guests at one time; more are turned away.
const GUESTS: usize = 256;
/// Calls and reads in one turn of one guest.
const TURN: usize = 128;
/// After an error of the door, so long until it is looked at again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// So long a guest that was told to go may read why.
const LINGER: Duration = Duration::from_secs(1);

/// All guests.
pub(super) struct Guests {
    socket: Socket,
    registry: Registry,
    door: Token,
    first: usize,
    next: usize,
    /// By number, which is the token, too.
    guests: BTreeMap<usize, Guest>,
    /// Who receives from a port.
    receivers: BTreeMap<PortId, usize>,
    /// Ports that outlive their receivers.
    lasting: BTreeSet<PortId>,
    /// Whose a watch is.
    watchers: BTreeMap<u64, usize>,
    /// Whose a path that lasts is.
    path_owners: BTreeMap<u64, usize>,
    /// The next one of the numbers that are unique.
    unique: u64,
    /// The last number of a watch or a path.
    numbers: u64,
    /// Had their turn, and may have more to say.
    hungry: BTreeSet<usize>,
    /// What others asked the daemon itself.
    asked: VecDeque<Received>,
    /// Were told something.
    told: BTreeSet<usize>,
    /// When to look at the door again after an error.
    accept_again: Option<Instant>,
    /// Payloads that guests lent and nobody uses any more.
    returned: arena::Returned,
    /// For what is read.
    chunk: Box<[u8]>,
    counts: Counts,
    /// The log tells of these now and then only: whoever knocks could fill it.
    full: Seldom,
    strangers: Seldom,
    trouble: Seldom,
    ended: Seldom,
}

/// What guests did.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u64,
    refused: u64,
    turned_away: u64,
    malformed: u64,
    slow: u64,
    silent: u64,
}

impl Guests {
    /// Opens the door at `path`. Guests get tokens from `first` on.
    pub(super) fn bind(path: &Path, registry: &Registry, door: Token, first: usize) -> io::Result<Guests> {
        let mut socket = Socket::bind(path)?;
        registry.register(&mut socket.listener, door, Interest::READABLE)?;
        Ok(Guests {
            socket,
            registry: registry.try_clone()?,
            door,
            first,
            next: first,
            guests: BTreeMap::new(),
            receivers: BTreeMap::new(),
            lasting: BTreeSet::new(),
            watchers: BTreeMap::new(),
            path_owners: BTreeMap::new(),
            unique: 0,
            numbers: 0,
            hungry: BTreeSet::new(),
            asked: VecDeque::new(),
            told: BTreeSet::new(),
            accept_again: None,
            returned: arena::Returned::default(),
            chunk: vec![0; guest::CHUNK].into(),
            counts: Counts::default(),
            full: Seldom::default(),
            strangers: Seldom::default(),
            trouble: Seldom::default(),
            ended: Seldom::default(),
        })
    }

    /// Whether a token is of a guest or the door.
    pub(super) fn owns(&self, token: Token) -> bool {
        token == self.door || token.0 >= self.first
    }

    /// What they did, for `minet stats`.
    pub(super) fn counts(&self) -> [(&'static str, u64); 9] {
        let Counts { calls, refused, turned_away, malformed, slow, silent } = self.counts;
        [
            ("guests", self.guests.len() as u64),
            ("guest-calls", calls),
            ("guest-calls-refused", refused),
            ("guests-turned-away", turned_away),
            ("guests-malformed", malformed),
            ("guests-slow", slow),
            ("guests-silent", silent),
            ("guest-ports-lasting", self.lasting.len() as u64),
            ("guest-arenas", self.arenas() as u64),
        ]
    }

    /// The next message for the daemon itself.
    pub(super) fn next_asked(&mut self) -> Option<Received> {
        self.asked.pop_front()
    }

    /// When [`Guests::handle_timeout`] wants to be called.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if !self.hungry.is_empty() {
            return Some(Duration::ZERO);
        }
        let ends = self.guests.values().filter_map(Guest::due).chain(self.accept_again).min();
        ends.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Does what a token's readiness allows.
    pub(super) fn handle(&mut self, token: Token, node: &mut Node, now: Time) {
        if token == self.door {
            self.accept();
        } else {
            self.told.insert(token.0);
            self.serve(token.0, node, now);
        }
    }

    /// Gives guests with more to say another turn, and drops those who had time enough to read why they go.
    pub(super) fn handle_timeout(&mut self, node: &mut Node, now: Time) {
        for number in std::mem::take(&mut self.hungry) {
            self.serve(number, node, now);
        }
        self.end_late(Instant::now(), node, now);
        if self.accept_again.is_some_and(|at| at <= Instant::now()) {
            self.accept();
        }
    }

    /// Ends those who did not greet in time, and drops those who had time enough to read why they go.
    fn end_late(&mut self, moment: Instant, node: &mut Node, now: Time) {
        let late = |guest: &Guest| guest.due().is_some_and(|end| end <= moment);
        let gone: Vec<usize> = self.guests.iter().filter(|(_, guest)| late(guest)).map(|(n, _)| *n).collect();
        for number in gone {
            if self.guests.get(&number).is_some_and(|guest| guest.ending.is_none()) {
                self.counts.silent += 1;
                self.end(number, "it did not greet", node, now);
            } else {
                self.drop_guest(number);
            }
        }
    }

    /// Closes what they have, and tells them.
    pub(super) fn stop(&mut self, node: &mut Node, now: Time) {
        node.exchange_mut().close(now);
        self.deliver(node, now);
        let all: Vec<usize> = self.guests.keys().copied().collect();
        for number in all {
            self.end(number, "the daemon ends", node, now);
        }
    }

    fn accept(&mut self) {
        self.accept_again = None;
        loop {
            let mut stream = match self.socket.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // That one is gone already; there may be others.
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => continue,
                Err(e) => {
                    // No descriptors, perhaps: the door is not told again of who waits, so it looks by itself.
                    self.trouble.warn(|| format!("guests: nobody is let in for now: {e}"));
                    self.accept_again = Some(Instant::now() + ACCEPT_AGAIN);
                    return;
                }
            };
            if self.guests.len() >= GUESTS {
                self.full.warn(|| format!("guests: there are {GUESTS}, one was turned away"));
                self.counts.turned_away += 1;
                let bye = Told::Bye { why: format!("there are {GUESTS} guests already") };
                Guest::new(stream).end(&bye, Instant::now());
                continue;
            }
            if let Err(why) = may_ask(&stream) {
                self.strangers.warn(|| format!("guests: {why}"));
                self.counts.turned_away += 1;
                Guest::new(stream).end(&Told::Bye { why }, Instant::now());
                continue;
            }
            let number = self.next;
            self.next += 1;
            if self.registry.register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.guests.insert(number, Guest::new(stream));
            }
        }
    }

    /// One turn of a guest.
    fn serve(&mut self, number: usize, node: &mut Node, now: Time) {
        for _ in 0..TURN {
            let Some(guest) = self.guests.get_mut(&number) else { return };
            match guest.take(&mut self.chunk) {
                Came::Call(call, payload) => self.call(number, call, payload, node, now),
                Came::Greeting => {
                    let told = Told::Welcome { node: node.id(), node_name: node.name().to_string() };
                    self.tell(number, &told, &Payload::EMPTY, node, now);
                }
                Came::Part => {}
                Came::Nothing => return,
                Came::Wrong(error) => {
                    self.counts.malformed += 1;
                    self.end(number, &error.to_string(), node, now);
                }
                Came::End => {
                    self.give_back(number, node, now);
                    return self.drop_guest(number);
                }
            }
        }
        self.hungry.insert(number);
    }

    /// Ends a guest and tells it why.
    fn end(&mut self, number: usize, why: &str, node: &mut Node, now: Time) {
        if self.guests.get(&number).is_none_or(|guest| guest.ending.is_some()) {
            return;
        }
        self.ended.warn(|| format!("guest {} is ended: {why}", number - self.first));
        self.give_back(number, node, now);
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.end(&Told::Bye { why: why.to_owned() }, Instant::now() + LINGER);
        }
    }

    /// Gives back all that a guest has: requests it took and did not answer, what it waits for, its watches,
    /// its paths and its ports.
    fn give_back(&mut self, number: usize, node: &mut Node, now: Time) {
        let Some(guest) = self.guests.get_mut(&number) else { return };
        if let Some(arena) = guest.arena.take() {
            arena.keep_all();
        }
        let exchange = node.exchange_mut();
        // Each may be gone by itself meanwhile, which is as good.
        for ask in std::mem::take(&mut guest.asks).into_values() {
            let _ = exchange.respond(now, &ask, Answer::refusal(Status::new(Code::PortClosed)));
        }
        for ticket in std::mem::take(&mut guest.tickets).into_values() {
            let _ = exchange.cancel(now, ticket);
        }
        for (watch, id) in std::mem::take(&mut guest.watches) {
            self.watchers.remove(&watch);
            let _ = exchange.close_watch(now, id);
        }
        for (path, id) in std::mem::take(&mut guest.paths) {
            self.path_owners.remove(&path);
            let _ = exchange.close_path(now, id);
        }
        for port in std::mem::take(&mut guest.ports) {
            self.receivers.remove(&port);
            let _ = exchange.detach(now, port);
        }
    }

    /// Guests that share memory.
    fn arenas(&self) -> usize {
        self.guests.values().filter(|guest| guest.arena.is_some()).count()
    }

    /// Shares memory with a guest.
    fn share(&mut self, number: usize) -> Result<Done, Status> {
        let full = Status::with(Code::Exhausted, arena::ARENAS);
        if self.arenas() >= arena::ARENAS {
            return Err(full);
        }
        let guest = self.guests.get_mut(&number).filter(|guest| guest.arena.is_none()).ok_or(Code::Exists)?;
        let (arena, descriptors) = Arena::new(number, self.returned.clone()).map_err(|error| {
            log::warn!("guests: no memory is shared: {error}");
            full
        })?;
        (guest.arena, guest.descriptors) = (Some(arena), Some(descriptors));
        Ok(Done::Arena)
    }

    /// A guest gives a place back.
    fn take_place(&mut self, number: usize, at: u32, node: &mut Node, now: Time) {
        let arena = self.guests.get_mut(&number).and_then(|guest| guest.arena.as_mut());
        if !arena.is_some_and(|arena| arena.give(at)) {
            self.counts.malformed += 1;
            self.end(number, &FrameError::Place.to_string(), node, now);
        }
    }

    /// Takes note of what guests lent and nobody uses any more.
    fn take_back(&mut self) {
        let returned = std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, lent) in returned {
            let arena = self.guests.get_mut(&number).and_then(|guest| guest.arena.as_mut());
            if arena.is_some_and(|arena| arena.take_back(lent)) {
                self.told.insert(number);
            }
        }
    }

    fn drop_guest(&mut self, number: usize) {
        self.hungry.remove(&number);
        if let Some(mut guest) = self.guests.remove(&number) {
            let _ = self.registry.deregister(&mut guest.stream);
        }
    }
}

#[cfg(test)]
mod tests;
