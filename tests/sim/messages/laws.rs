//! What all clients did, and the laws that hold over it.

use super::Play;
use messenger_core::{
    Code, Delivery, Incarnation, Message, NodeId, Outcome, PathState, PortId, Quality, Received, Status, Tier,
    wire::Scope,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One target as it was frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    pub node: NodeId,
    pub port: Option<PortId>,
    pub life: Option<Incarnation>,
}

/// One message, however often it was sent.
#[derive(Debug)]
pub struct Sending {
    pub place: usize,
    pub life: Incarnation,
    pub from: PortId,
    /// Those of every try.
    pub aims: Vec<Aim>,
    /// A ticket told them, for every try.
    pub aims_known: bool,
    pub message: Message,
    pub tries: u32,
    pub taken: bool,
}

/// How much there was of everything, for people, and to see that the trouble was real.
#[derive(Debug, Default)]
pub struct Sums {
    /// Ports and paths that clients opened, and those they closed.
    pub opened: u64,
    pub closed: u64,
    pub sent: u64,
    pub received: u64,
    pub resends: u64,
    /// Slots by how they ended.
    pub settled: BTreeMap<u16, u64>,
    /// Sends refused on the spot.
    pub refused: BTreeMap<u16, u64>,
    pub known: u64,
    pub late: u64,
    pub resent: u64,
    pub stale: u64,
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.sent += other.sent;
        self.received += other.received;
        self.resends += other.resends;
        self.known += other.known;
        self.late += other.late;
        self.resent += other.resent;
        self.stale += other.stale;
        for (all, part) in [(&mut self.settled, &other.settled), (&mut self.refused, &other.refused)] {
            for (code, n) in part {
                *all.entry(*code).or_default() += n;
            }
        }
    }

    /// Over enough seeds, every way to end was met.
    pub fn check_all_met(&self) {
        let changed = self.opened > 1000 && self.closed > 1000;
        assert!(self.sent < 50_000 || changed, "{} opened, {} closed", self.opened, self.closed);
        if self.sent < 100_000 {
            return;
        }
        let ends = [
            Code::Good,
            Code::NoPort,
            Code::Full,
            Code::PortClosed,
            Code::Failed,
            Code::NodeDown,
            Code::TimedOut,
            Code::Reset,
            Code::Canceled,
            Code::Closed,
        ];
        for end in ends {
            assert!(self.settled.contains_key(&end.number()), "no slot ended with {end:?}");
        }
        assert!(self.known > 0 && self.late > 0 && self.resent > 0 && self.stale > 0);
    }
}

/// Whoever got a message: station, its life, its port.
type Getter = (usize, Incarnation, PortId);

#[derive(Debug, Default)]
pub struct Ledger {
    pub sendings: Vec<Sending>,
    pub sums: Sums,
    /// How often a getter got a sending.
    got: HashMap<(u64, Getter), u32>,
    /// The last sending that a getter got of a sender's life and port, by priority.
    last: HashMap<(usize, Incarnation, PortId, Getter, u8), u64>,
    /// The stations' places.
    places: BTreeMap<NodeId, usize>,
    /// Receipts and refusals: what a sender was told of a target.
    verdicts: Vec<(u64, Aim, Option<Status>)>,
}

impl Ledger {
    /// **Incarnation**: what comes is of the present life of its sender, as the receiver knows it.
    pub fn check_life(&self, message: &Received, life: Option<Incarnation>) {
        let sending = &self.sendings[id_of(message) as usize];
        // Stored while its sender was there, taken after the sender went: not to be compared.
        if let Some(life) = life {
            assert_eq!(life, sending.life, "a message of another life: {message:?}");
        }
    }

    /// **Freeze**, **Incarnation**, **FIFO**, and once is once.
    pub fn check_message(&mut self, place: usize, life: Incarnation, message: &Received) {
        let id = id_of(message);
        let sending = &self.sendings[id as usize];
        assert_eq!(message.payload, sending.message.payload, "altered: {id}");
        assert!(sending.taken, "refused on the spot, and came: {id}");
        assert_eq!((message.from, message.tag, message.priority), (sending.from, id as u32, sending.message.priority));
        let getter = (place, life, message.port);
        let times = self.got.entry((id, getter)).or_default();
        *times += 1;
        self.sums.received += 1;
        if sending.message.quality == Quality::Datagram {
            return;
        }
        assert_eq!(*times, 1, "message {id} came twice to {getter:?}");
        if sending.aims_known {
            let aimed = |a: &Aim| self.places.get(&a.node) == Some(&place) && a.port == Some(message.port);
            let there = sending.aims.iter().any(|a| aimed(a) && a.life.is_none_or(|l| l == life));
            assert!(there, "{id} came to {getter:?}, not one of {:?}", sending.aims);
        }
        if sending.tries == 1 {
            let lane = (sending.place, sending.life, sending.from, getter, message.priority as u8);
            let before = self.last.insert(lane, id);
            assert!(before.is_none_or(|before| before < id), "{id} came after {before:?} to {getter:?}");
        }
    }

    /// **Settlement**: every slot has an end. **Freeze**: the slots are those of the beginning.
    pub fn check_outcome(&mut self, id: u64, outcome: &Outcome, answered: &BTreeSet<u16>) {
        let sending = &mut self.sendings[id as usize];
        if sending.aims_known && sending.tries == 1 {
            let now: Vec<_> = outcome.slots.iter().map(|s| (s.node, s.port)).collect();
            assert_eq!(now, sending.aims.iter().map(|a| (a.node, a.port)).collect::<Vec<_>>(), "targets changed: {id}");
        }
        for (n, slot) in outcome.slots.iter().enumerate() {
            let status = slot.status.unwrap_or_else(|| panic!("told without an end: {id}"));
            *self.sums.settled.entry(status.code.number()).or_default() += 1;
            let n = n as u16;
            if sending.message.response && status.is_good() {
                assert!(answered.contains(&n), "good without its answer: {id} {n}");
            }
            if status.code == Code::Failed {
                assert!(answered.contains(&n) && status.detail == 7);
            }
            if answered.contains(&n) {
                assert!(status.is_good() || status.code == Code::Failed, "answered, and settled otherwise: {status:?}");
            }
            let aim = sending.aims.iter().find(|a| a.node == slot.node && a.port == slot.port).copied();
            let aim = aim.unwrap_or(Aim { node: slot.node, port: slot.port, life: None });
            self.verdicts.push((id, aim, if slot.receipted { None } else { Some(status) }));
        }
    }

    pub fn check_transition(&self, from: PathState, to: PathState) {
        use PathState::{Enabled, Failed, Opening, Quiesced};
        let legal = match (from, to) {
            (Opening, Enabled | Quiesced) | (Enabled, Failed | Quiesced) | (Failed, Opening | Enabled | Quiesced) => {
                true
            }
            (Quiesced, Enabled | Opening | Failed) => true,
            (Opening | Enabled | Failed | Quiesced, _) => false,
        };
        assert!(legal, "{from:?} to {to:?}");
    }
}

fn id_of(message: &Received) -> u64 {
    u64::from_le_bytes(*message.payload.to_vec().first_chunk().expect("a message without a number"))
}

impl Play {
    /// What is true when nothing goes wrong any more and every client did its part.
    pub fn check_calm(&mut self) {
        for place in 0..self.clients.len() {
            let station = &self.w.stations[place];
            let exchange = station.node.exchange();
            let open: Vec<_> = exchange.tickets().collect();
            self.w.check(open.is_empty(), format_args!("station {place} waits for ever: {open:?}"));
            self.w.check(self.clients[place].tickets.is_empty(), format_args!("station {place} was not told an end"));
            let unanswered: usize = exchange.ports().map(|p| p.unanswered() + p.depth().iter().sum::<usize>()).sum();
            self.w.check(unanswered == 0, format_args!("station {place} has {unanswered} messages left"));
            let traffic = exchange.traffic();
            self.ledger.sums.known += traffic.known;
            self.ledger.sums.late += traffic.late;
            self.ledger.sums.resent += traffic.resent;
            self.ledger.sums.stale += traffic.stale;
        }
        self.ledger.sums.sent = self.ledger.sendings.len() as u64;
        self.w.check_stories();
        self.check_names();
        self.check_admission();
    }

    /// **Naming**: everybody knows the same names, each port's own node's; a name of the fabric is one port's.
    fn check_names(&self) {
        let own = |place: usize| {
            let (me, exchange) = (self.w.stations[place].id(), self.w.stations[place].node.exchange());
            exchange.names().filter(move |(node, ..)| *node == me)
        };
        let all: BTreeMap<_, _> =
            (0..self.clients.len()).flat_map(own).map(|(node, port, entry)| ((node, port), entry)).collect();
        let mut owners = BTreeSet::new();
        for entry in all.values().filter(|e| e.scope == Scope::Fabric) {
            self.w.check(owners.insert(&entry.name), format_args!("two have the name {}", entry.name));
        }
        for place in self.w.running() {
            let known: BTreeMap<_, _> = self.w.stations[place]
                .node
                .exchange()
                .names()
                .map(|(node, port, entry)| ((node, port), entry))
                .collect();
            self.w.check(known == all, format_args!("station {place} knows {known:?}, not {all:?}"));
        }
        for place in 0..self.clients.len() {
            let named: BTreeSet<_> = own(place).map(|(_, port, _)| port).collect();
            let exchange = self.w.stations[place].node.exchange();
            let ports: BTreeSet<_> = exchange.ports().filter(|p| p.name().is_some()).map(|p| p.id()).collect();
            self.w.check(named == ports, format_args!("station {place} has {ports:?} and tells of {named:?}"));
        }
    }

    /// **Admission**: what was confirmed was stored, and got by the client if its port still is there; what was refused
    /// never came.
    fn check_admission(&self) {
        for (id, aim, refusal) in &self.ledger.verdicts {
            let (Some(port), Some(place)) = (aim.port, self.place_of(aim.node)) else { continue };
            let station = &self.w.stations[place];
            let getter = |life| (place, life, port);
            let got = |life| self.ledger.got.get(&(*id, getter(life))).copied().unwrap_or(0);
            let sending = &self.ledger.sendings[*id as usize];
            match refusal {
                None => {
                    let life = aim.life.unwrap_or(station.config.incarnation);
                    let there = life == station.config.incarnation && station.node.exchange().port(port).is_some();
                    let lost = there && got(life) == 0;
                    self.w.check(!lost, format_args!("confirmed, and nobody got it: {id} {aim:?} {sending:?}"));
                }
                Some(status) if sending.tries == 1 && sending.message.quality == Quality::Reliable => {
                    let refused = status.tier() == Tier::Service
                        && ![Code::PortClosed, Code::Failed, Code::Repeated].contains(&status.code);
                    let life = aim.life.unwrap_or(station.config.incarnation);
                    self.w.check(!refused || got(life) == 0, format_args!("refused, and came: {id} {aim:?}"));
                }
                Some(_) => {}
            }
        }
    }

    fn place_of(&self, node: NodeId) -> Option<usize> {
        self.w.stations.iter().position(|s| s.id() == node)
    }

    /// **Ownership**: a node that closes settles its tickets, then closes paths, then ports, then itself.
    pub fn check_closing(&mut self) {
        for place in 0..self.clients.len() {
            for _ in 0..10 {
                self.act(place);
                self.drive(place);
            }
            let now = self.w.now + self.w.stations[place].skew;
            self.w.stations[place].node.exchange_mut().close(now);
            self.w.pump(place);
            let rank = |d: &Delivery| match d {
                Delivery::PathClosed { .. } => 1,
                Delivery::PortClosed { .. } => 2,
                Delivery::NodeClosed => 3,
                _ => 0,
            };
            let told: Vec<u8> = self.w.stations[place].told.iter().map(|(d, _)| rank(d)).collect();
            assert!(told.is_sorted() && told.last() == Some(&3), "{told:?}");
            self.drive(place);
            assert!(self.clients[place].tickets.is_empty());
        }
    }

    /// Which node is which station.
    pub fn know_places(&mut self) {
        self.ledger.places = self.w.stations.iter().enumerate().map(|(place, s)| (s.id(), place)).collect();
    }
}
