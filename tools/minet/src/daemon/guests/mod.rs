//! The guests' door: processes of this host that have ports, messages and watches at this node.
//!
//! A guest's calls become commands to the core ([`calls`]), what the core tells goes to the guest it belongs to ([`told`]). This
//! room keeps only whose is what; queues, deadlines and names are the core's.
//!
//! One guest harms no other: its turns are short, what waits for it is bounded, and one that does not read or sends what is no
//! call is told why and ended. When it ends, however that comes, what it had is given back: its ports by their life rules.

mod calls;
mod guest;
mod told;

use crate::socket::Socket;
use guest::{Came, Guest};
use messenger::protocol::Told;
use messenger_core::{Answer, Code, Node, PortId, Status, Time};
use mio::{Interest, Registry, Token};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    time::{Duration, Instant},
};

/// Guests at one time; more are turned away.
const GUESTS: usize = 256;
/// Calls and reads in one turn of one guest.
const TURN: usize = 128;
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
    /// Whose a watch is.
    watchers: BTreeMap<u64, usize>,
    watches: u64,
    /// The next one of the numbers that are unique.
    numbers: u64,
    /// Had their turn, and may have more to say.
    hungry: BTreeSet<usize>,
    /// Were told something.
    told: BTreeSet<usize>,
    counts: Counts,
}

/// What guests did.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u64,
    refused: u64,
    turned_away: u64,
    malformed: u64,
    slow: u64,
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
            watchers: BTreeMap::new(),
            watches: 0,
            numbers: 0,
            hungry: BTreeSet::new(),
            told: BTreeSet::new(),
            counts: Counts::default(),
        })
    }

    /// Whether a token is of a guest or the door.
    pub(super) fn owns(&self, token: Token) -> bool {
        token == self.door || token.0 >= self.first
    }

    /// What they did, for `minet stats`.
    pub(super) fn counts(&self) -> [(&'static str, u64); 6] {
        let Counts { calls, refused, turned_away, malformed, slow } = self.counts;
        [
            ("guests", self.guests.len() as u64),
            ("guest-calls", calls),
            ("guest-calls-refused", refused),
            ("guests-turned-away", turned_away),
            ("guests-malformed", malformed),
            ("guests-slow", slow),
        ]
    }

    /// When [`Guests::handle_timeout`] wants to be called.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if !self.hungry.is_empty() {
            return Some(Duration::ZERO);
        }
        let ends = self.guests.values().filter_map(|guest| guest.ending).min();
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
        let late = |guest: &Guest| guest.ending.is_some_and(|end| end <= Instant::now());
        let gone: Vec<usize> = self.guests.iter().filter(|(_, guest)| late(guest)).map(|(n, _)| *n).collect();
        for number in gone {
            self.drop_guest(number);
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
        while let Ok((mut stream, _)) = self.socket.listener.accept() {
            if self.guests.len() >= GUESTS {
                log::warn!("guests: there are {GUESTS}, one was turned away");
                self.counts.turned_away += 1;
                let bye = Told::Bye { why: format!("there are {GUESTS} guests already") };
                Guest::new(stream).end(&bye, Instant::now());
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
            match guest.take() {
                Came::Call(call, payload) => self.call(number, call, payload, node, now),
                Came::Greeting => {
                    let told = Told::Welcome { node: node.id(), node_name: node.name().to_string() };
                    self.tell(number, &told, &[], node, now);
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
        log::warn!("guest {} is ended: {why}", number - self.first);
        self.give_back(number, node, now);
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.end(&Told::Bye { why: why.to_owned() }, Instant::now() + LINGER);
        }
    }

    /// Gives back all that a guest has: requests it took and did not answer, what it waits for, its watches and its ports.
    fn give_back(&mut self, number: usize, node: &mut Node, now: Time) {
        let Some(guest) = self.guests.get_mut(&number) else { return };
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
        for port in std::mem::take(&mut guest.ports) {
            self.receivers.remove(&port);
            let _ = exchange.detach(now, port);
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
