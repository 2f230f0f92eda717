//! What a station's client does, and the checks of what it is told, one thing after the other.

use super::{
    Play,
    laws::{Aim, Sending},
};
use crate::rng::Rng;
use messenger_core::{
    Answer, Ask, Choice, Code, Delivery, Life, Message, Mode, Name, Outcome, PathId, PathSpec, Pattern, PortId,
    PortSpec, Quality, Received, Slot, Status, Target, TicketId, Time,
    wire::{Priority, Scope},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A client in one life of its station.
#[derive(Debug, Default)]
pub struct Client {
    pub ports: BTreeSet<PortId>,
    /// Paths, with the port each begins at.
    pub paths: BTreeMap<PathId, PortId>,
    /// Tickets that are not settled: which sending, on which path, which slots were answered.
    pub tickets: BTreeMap<TicketId, (u64, PathId, BTreeSet<u16>)>,
    /// Requests to be answered.
    asks: Vec<Ask>,
    /// What failed and may be sent again.
    failed: Vec<(u64, Outcome)>,
    /// Ports that were without a receiver: what they have may be older than what is known now.
    detached: BTreeSet<PortId>,
    closed: bool,
}

const NAMES: [&str; 6] = ["a", "b", "disk/0", "disk/1", "net/0", "x"];

fn pick<T: Copy>(rng: &mut Rng, all: impl IntoIterator<Item = T>) -> Option<T> {
    let all: Vec<T> = all.into_iter().collect();
    let at = rng.place(all.len());
    all.get(at).copied()
}

impl Play {
    fn now(&self, place: usize) -> Time {
        self.w.now + self.w.stations[place].skew
    }

    /// One random command.
    pub fn act(&mut self, place: usize) {
        match self.w.rng.place(20) {
            0 | 1 => self.open_port(place),
            2..=4 => self.open_path(place),
            5 => self.trouble_a_path(place),
            6 => self.close_a_port(place),
            7 => self.cancel(place),
            8 => self.send_again(place),
            _ => {
                for _ in 0..=self.w.rng.place(6) {
                    self.send(place);
                }
            }
        }
        self.w.pump(place);
    }

    fn open_port(&mut self, place: usize) {
        if self.clients[place].ports.len() >= 5 {
            return;
        }
        let now = self.now(place);
        let rng = &mut self.w.rng;
        let name = NAMES[rng.place(NAMES.len())];
        let areas = if rng.permille(300) { [600; 4] } else { [100_000; 4] };
        let spec = PortSpec {
            // Names of the fabric are a few only, so that they are fought for.
            name: Some(Name::new(name).unwrap()),
            scope: if name == "x" { Scope::Fabric } else { Scope::Node },
            areas,
            mode: if rng.permille(300) { Mode::Held } else { Mode::Handler },
            life: if rng.permille(300) { Life::Persistent } else { Life::Receiver },
            ..PortSpec::default()
        };
        match self.w.stations[place].node.exchange_mut().open_port(now, spec) {
            Ok(port) => {
                self.ledger.sums.opened += 1;
                assert!(self.clients[place].ports.insert(port), "a port's number is used again: {port}");
            }
            Err(why) => assert_eq!(why.code, Code::Exists),
        }
    }

    fn open_path(&mut self, place: usize) {
        if self.clients[place].paths.len() >= 8 {
            return;
        }
        let from = pick(&mut self.w.rng, self.clients[place].ports.iter().copied().chain([PortId::NODE]))
            .unwrap_or(PortId::NODE);
        let now = self.now(place);
        let nodes = self.w.stations.iter().map(|s| s.id()).collect();
        let rng = &mut self.w.rng;
        let name = Name::new(NAMES[rng.place(NAMES.len())]).unwrap();
        let to = match rng.place(6) {
            0 => Target::Pattern(Pattern::parse("disk/*").unwrap()),
            1 => Target::Pattern(Pattern::parse("*").unwrap()),
            2 => Target::Everywhere(name),
            3 => Target::Nodes(nodes, name),
            _ => Target::Name(name),
        };
        let choices = [Choice::First, Choice::RoundRobin, Choice::LocalRoundRobin, Choice::LocalBest, Choice::All];
        let spec = PathSpec { from, to, choice: choices[rng.place(5)], hunt: rng.permille(500), context: 0 };
        match self.w.stations[place].node.exchange_mut().open_path(now, spec) {
            Ok(path) => {
                self.ledger.sums.opened += 1;
                assert!(self.clients[place].paths.insert(path, from).is_none(), "a path's handle is used again");
            }
            Err(why) => assert!([Code::NotFound, Code::Closing].contains(&why.code), "{why:?}"),
        }
    }

    fn trouble_a_path(&mut self, place: usize) {
        let (now, what) = (self.now(place), self.w.rng.place(5));
        let Some(path) = pick(&mut self.w.rng, self.clients[place].paths.keys().copied()) else { return };
        let exchange = self.w.stations[place].node.exchange_mut();
        let told = match what {
            0 => exchange.quiesce_path(now, path),
            1 => exchange.enable_path(now, path),
            2 => exchange.reset_path(now, path),
            3 => exchange.close_path(now, path),
            _ => exchange.finish_path(now, path),
        };
        assert_eq!(told, Ok(()));
        self.ledger.sums.closed += u64::from(what >= 3);
    }

    pub fn enable_all(&mut self, place: usize) {
        let now = self.now(place);
        for path in self.clients[place].paths.keys() {
            let _ = self.w.stations[place].node.exchange_mut().enable_path(now, *path);
        }
        self.w.pump(place);
    }

    fn close_a_port(&mut self, place: usize) {
        let (now, how) = (self.now(place), self.w.rng.place(4));
        let Some(port) = pick(&mut self.w.rng, self.clients[place].ports.iter().copied()) else { return };
        self.ledger.sums.closed += u64::from(how <= 1);
        let exchange = self.w.stations[place].node.exchange_mut();
        match how {
            0 => assert_eq!(exchange.close_port(now, port), Ok(())),
            1 => assert_eq!(exchange.finish_port(now, port), Ok(())),
            // A port whose life ends with its receiver closes, another one stays and gets its receiver back.
            2 => {
                let _ = exchange.detach(now, port);
                self.clients[place].detached.insert(port);
            }
            _ => {
                let _ = exchange.attach(now, port);
            }
        }
    }

    fn cancel(&mut self, place: usize) {
        let now = self.now(place);
        let open: Vec<TicketId> = self.w.stations[place].node.exchange().tickets().map(|(id, _)| id).collect();
        let Some(ticket) = pick(&mut self.w.rng, open) else { return };
        assert_eq!(self.w.stations[place].node.exchange_mut().cancel(now, ticket), Ok(()));
    }

    fn send(&mut self, place: usize) {
        let now = self.now(place);
        let Some(path) = pick(&mut self.w.rng, self.clients[place].paths.keys().copied()) else { return };
        let id = self.ledger.sendings.len() as u64;
        let rng = &mut self.w.rng;
        let len = if rng.permille(150) { rng.place(20_000) } else { rng.place(300) };
        let mut payload = id.to_le_bytes().to_vec();
        payload.extend((0..len).map(|n| (n as u64 ^ id) as u8));
        let deadline = rng.permille(600).then(|| Duration::from_millis(rng.below(2_000)));
        let message = Message {
            priority: Priority::ALL[rng.place(4)],
            quality: if rng.permille(100) { Quality::Datagram } else { Quality::Reliable },
            receipt: rng.permille(600),
            response: rng.permille(400),
            tag: id as u32,
            // A datagram may be lost without a word, and with it all hope of an answer.
            deadline,
            ..Message::new(payload)
        };
        let message = match message.quality {
            Quality::Datagram => Message { deadline: Some(deadline.unwrap_or(Duration::from_secs(1))), ..message },
            Quality::Reliable => message,
        };
        let station = &mut self.w.stations[place];
        let sent = station.node.exchange_mut().send(now, path, &message);
        let life = station.config.incarnation;
        let ticket = sent.ok().and_then(|s| s.ticket);
        self.ledger.sendings.push(Sending {
            place,
            life,
            from: self.clients[place].paths[&path],
            aims: Vec::new(),
            aims_known: true,
            message,
            tries: 1,
            taken: sent.is_ok(),
        });
        match sent {
            Ok(_) => self.note_targets(place, path, id, ticket),
            Err(why) => {
                let expected = [Code::NotFound, Code::Quiesced, Code::Closing, Code::WouldBlock];
                // A path that finished is gone though its client was not told yet.
                let gone = self.w.stations[place].node.exchange().path(path).is_none();
                assert!(expected.contains(&why.code) || (gone && why.code == Code::BadHandle), "{why:?}");
                *self.ledger.sums.refused.entry(why.code.number()).or_default() += 1;
            }
        }
    }

    /// The targets of a send are what its ticket has now, and never change.
    fn note_targets(&mut self, place: usize, path: PathId, id: u64, ticket: Option<TicketId>) {
        let Some(ticket) = ticket else {
            self.ledger.sendings[id as usize].aims_known = false;
            return;
        };
        let client = &mut self.clients[place];
        let node = &self.w.stations[place].node;
        assert!(
            client.tickets.insert(ticket, (id, path, BTreeSet::new())).is_none(),
            "a ticket's handle is used again"
        );
        // Settled at once: then its outcome tells them.
        let sending = &mut self.ledger.sendings[id as usize];
        match node.exchange().ticket(ticket) {
            Some(open) => {
                let life = |s: &Slot| node.member(s.node).map(|m| m.incarnation);
                sending.aims.extend(open.slots().iter().map(|s| Aim { node: s.node, port: s.port, life: life(s) }));
            }
            None => sending.aims_known = false,
        }
    }

    fn send_again(&mut self, place: usize) {
        let now = self.now(place);
        let Some((id, outcome)) = self.clients[place].failed.pop() else { return };
        let message = Message { deadline: None, receipt: true, ..self.ledger.sendings[id as usize].message.clone() };
        let message = Message { quality: Quality::Reliable, ..message };
        let sent = self.w.stations[place].node.exchange_mut().resend(now, &outcome, &message);
        if let Ok(sent) = sent {
            self.ledger.sendings[id as usize].tries += 1;
            self.ledger.sums.resends += 1;
            self.note_targets(place, outcome.path, id, sent.ticket);
        }
    }

    /// Answers requests and takes what is held: some of it, or all.
    pub fn tend(&mut self, place: usize, all: bool) {
        let now = self.now(place);
        let mut later = Vec::new();
        for ask in std::mem::take(&mut self.clients[place].asks) {
            if !all && self.w.rng.permille(700) {
                later.push(ask);
                continue;
            }
            let answer = if self.w.rng.permille(100) {
                Answer::refusal(Status { code: Code::Failed, detail: 7 })
            } else {
                Answer { tag: ask.slot.into(), ..Answer::new(ask.transaction.to_le_bytes().to_vec()) }
            };
            let exchange = self.w.stations[place].node.exchange_mut();
            let told = exchange.respond(now, &ask, answer.clone());
            // The port or the asker may be gone; a second answer is refused.
            assert!(told.is_ok() || told.is_err_and(|s| [Code::NotFound, Code::BadHandle].contains(&s.code)));
            assert!(exchange.respond(now, &ask, answer).is_err());
        }
        self.clients[place].asks = later;
        let ports: Vec<PortId> = self.clients[place].ports.iter().copied().collect();
        for port in ports {
            let exchange = self.w.stations[place].node.exchange_mut();
            if all {
                let _ = exchange.attach(now, port);
            }
            if exchange.port(port).is_none_or(|p| p.spec().mode == Mode::Handler) {
                continue;
            }
            while all || self.w.rng.permille(300) {
                let taken = self.w.stations[place].node.exchange_mut().receive(now, port, |_| true);
                let Ok(Some(message)) = taken else { break };
                self.check_message(place, message);
            }
        }
        self.w.pump(place);
    }

    /// Takes what a client was told, and checks that it makes sense after what it was told before.
    pub fn drive(&mut self, place: usize) {
        for (told, life) in std::mem::take(&mut self.w.stations[place].told) {
            let client = &mut self.clients[place];
            assert!(!client.closed, "told after the end: {told:?}");
            match told {
                Delivery::Message { message, .. } => {
                    if !client.detached.contains(&message.port) {
                        self.ledger.check_life(&message, life);
                    }
                    self.check_message(place, message);
                }
                Delivery::Response { ticket, slot, message, .. } => {
                    let (id, _, answered) =
                        client.tickets.get_mut(&ticket).expect("an answer for a ticket that is not");
                    assert!(answered.insert(slot), "answered twice: {ticket} {slot}");
                    assert!(self.ledger.sendings[*id as usize].message.response, "an answer nobody asked for");
                    if message.status.is_good() {
                        let expected = ticket.to_u64().to_le_bytes().to_vec();
                        assert_eq!((message.payload.to_vec(), message.tag), (expected, slot.into()));
                    }
                }
                Delivery::Settled(outcome) => self.check_outcome(place, outcome),
                Delivery::Confirmed { .. } => {}
                Delivery::PathClosed { path, .. } => {
                    assert!(client.paths.remove(&path).is_some(), "closed twice: {path}");
                    assert!(client.tickets.values().all(|t| t.1 != path), "a path closed before its tickets");
                }
                Delivery::PortClosed { port, .. } => {
                    assert!(client.ports.remove(&port), "closed twice: {port}");
                    assert!(client.paths.values().all(|from| *from != port), "a port closed before its paths");
                }
                Delivery::Ready { port, .. } => assert!(client.ports.contains(&port)),
                Delivery::Path { path, from, to, .. } => {
                    assert!(client.paths.contains_key(&path) && from != to);
                    self.ledger.check_transition(from, to);
                }
                Delivery::NameLost { port, .. } => assert!(client.ports.contains(&port)),
                Delivery::Watch { .. } => {}
                Delivery::NodeClosed => {
                    assert!(client.tickets.is_empty() && client.paths.is_empty() && client.ports.is_empty());
                    client.closed = true;
                }
            }
        }
    }

    fn check_message(&mut self, place: usize, message: Received) {
        let life = self.w.stations[place].config.incarnation;
        self.clients[place].asks.extend(message.ask);
        self.ledger.check_message(place, life, &message);
    }

    fn check_outcome(&mut self, place: usize, outcome: Outcome) {
        let client = &mut self.clients[place];
        let told = client.tickets.remove(&outcome.ticket);
        let (id, path, answered) = told.expect("settled twice, or never sent");
        assert!(client.paths.contains_key(&path) && path == outcome.path, "settled after its path closed");
        self.ledger.check_outcome(id, &outcome, &answered);
        let again = |s: &Slot| s.status.is_some_and(|s| [Code::TimedOut, Code::NodeDown, Code::Full].contains(&s.code));
        if outcome.slots.iter().any(|s| again(s) && !s.receipted) && client.failed.len() < 5 {
            client.failed.push((id, outcome));
        }
    }
}
