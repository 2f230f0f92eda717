//! The fabric: stations, cables, time, and the verbs that tests are made of.

use crate::{
    cable::{Cable, Kind},
    rng::Rng,
    station::Station,
};
use messenger_core::{
    Delivery, Event, Incarnation, LinkId, LinkState, Name, NodeConfig, NodeId, Reason, Time,
    wire::{Header, Kind as MessageKind},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// What is under way: to which cable's which end, of which generation.
#[derive(Debug)]
struct Parcel {
    cable: usize,
    end: usize,
    generation: u32,
    bytes: Vec<u8>,
}

pub struct World {
    pub seed: u64,
    pub rng: Rng,
    pub now: Time,
    pub stations: Vec<Station>,
    pub cables: Vec<Cable>,
    /// Messages handed to cables, by kind and, for link messages, opcode.
    pub said: BTreeMap<(u8, u8), u64>,
    /// What must not happen and did.
    pub wrong: Vec<String>,
    pub tags: u64,
    parcels: BTreeMap<(Time, u64), Parcel>,
    timers: BTreeSet<(Time, usize)>,
    posted: u64,
}

/// What a frozen process's sockets hold.
const HELD: usize = 512;
/// So often may a node want to run again at once.
const AGAIN: u32 = 20;

impl World {
    pub fn new(seed: u64) -> World {
        World {
            seed,
            rng: Rng(seed),
            now: Time::from_millis(1_000),
            stations: Vec::new(),
            cables: Vec::new(),
            said: BTreeMap::new(),
            wrong: Vec::new(),
            tags: 0,
            parcels: BTreeMap::new(),
            timers: BTreeSet::new(),
            posted: 0,
        }
    }

    /// A world of `n` stations without cables.
    pub fn with(seed: u64, n: usize) -> World {
        let mut world = World::new(seed);
        for _ in 0..n {
            world.add();
        }
        world
    }

    /// What the next station is made from: number and name count up.
    pub fn config(&mut self) -> NodeConfig {
        let n = self.stations.len() as u32 + 1;
        NodeConfig {
            node: NodeId::new(n).unwrap(),
            name: Name::new(&format!("n{n}")).unwrap(),
            fabric: Name::new("sim").unwrap(),
            incarnation: Incarnation::new(self.rng.any() as u32),
            version: self.now.as_nanos(),
            seed: self.rng.any(),
            interval: Duration::from_millis(500),
            miss_limit: 4,
            relay: true,
            frame: crate::station::FRAME as u32,
            offloads: 0,
        }
    }

    /// Adds a station; returns its place.
    pub fn add(&mut self) -> usize {
        let config = self.config();
        self.add_with(config)
    }

    pub fn add_with(&mut self, config: NodeConfig) -> usize {
        let skew = Duration::from_micros(self.rng.below(10_000_000_000));
        self.stations.push(Station::new(config, skew, self.now));
        self.stations.len() - 1
    }

    /// Joins two stations by a usual cable; returns its place.
    pub fn join(&mut self, a: usize, b: usize) -> usize {
        self.join_with(Cable::new(a, b))
    }

    pub fn join_with(&mut self, cable: Cable) -> usize {
        self.cables.push(cable);
        let at = self.cables.len() - 1;
        self.plug(at, 0);
        self.plug(at, 1);
        at
    }

    /// Joins each station with the next.
    pub fn line(&mut self, stations: &[usize]) {
        for pair in stations.windows(2) {
            self.join(pair[0], pair[1]);
        }
    }

    /// Opens the link at an end of a cable, if one is due.
    fn plug(&mut self, at: usize, end: usize) {
        let cable = &self.cables[at];
        let ready = cable.ends.map(|s| self.stations[s].alive);
        let due = ready[end] && (cable.kind != Kind::Local || ready[1 - end]);
        if cable.links[end].is_none() && due && (cable.kind != Kind::Stranger || end == 0) {
            self.open(at, end);
        }
    }

    fn open(&mut self, at: usize, end: usize) -> LinkId {
        let (place, spec) = (self.cables[at].ends[end], self.cables[at].spec(end));
        let station = &mut self.stations[place];
        let link = station.node.open_link(self.now + station.skew, spec);
        station.unpublish();
        station.ports.insert(link, at);
        self.cables[at].links[end] = Some(link);
        self.pump(place);
        link
    }

    pub fn cut(&mut self, cable: usize) {
        self.cables[cable].cut = true;
    }

    pub fn mend(&mut self, cable: usize) {
        self.cables[cable].cut = false;
    }

    /// Ends a station's process without a word.
    pub fn kill(&mut self, place: usize) {
        self.stations[place].alive = false;
        self.stations[place].frozen = false;
        self.schedule(place);
        for at in 0..self.cables.len() {
            let Some(end) = self.cables[at].end_of(place) else { continue };
            self.cables[at].links[end] = None;
            if self.cables[at].kind == Kind::Local {
                self.cables[at].generation += 1;
                let (other, link) = (self.cables[at].ends[1 - end], self.cables[at].links[1 - end]);
                if let Some(link) = link.filter(|_| self.stations[other].alive) {
                    let station = &mut self.stations[other];
                    station.node.close_link(self.now + station.skew, link, Reason::CarrierLost);
                    self.pump(other);
                }
            }
        }
    }

    /// Starts a dead station's process anew. The record's first version is the time of day, or lower when the clock
    /// was set back.
    pub fn start(&mut self, place: usize, clock_set_back: bool) {
        let (incarnation, seed) = (Incarnation::new(self.rng.any() as u32), self.rng.any());
        let version = if clock_set_back { 1 } else { self.now.as_nanos() };
        let station = &mut self.stations[place];
        station.config = NodeConfig { incarnation, seed, version, ..station.config.clone() };
        station.alive = true;
        station.begin_anew(self.now);
        self.schedule(place);
        for at in 0..self.cables.len() {
            if self.cables[at].end_of(place).is_some() {
                self.plug(at, 0);
                self.plug(at, 1);
            }
        }
    }

    /// Ends a station's process in order: it says goodbye.
    pub fn shut_down(&mut self, place: usize) {
        let station = &mut self.stations[place];
        station.node.shut_down(self.now + station.skew);
        self.pump(place);
        self.kill(place);
    }

    /// Stops a station's process without ending it.
    pub fn freeze(&mut self, place: usize) {
        self.stations[place].frozen = true;
        self.schedule(place);
    }

    /// Lets it go on. Whether its timers or what came meanwhile is first is chance.
    pub fn thaw(&mut self, place: usize) {
        self.stations[place].frozen = false;
        self.schedule(place);
        if self.rng.permille(500) {
            self.time_out(place);
        }
        while let Some((cable, bytes)) = self.stations[place].held.pop_front() {
            self.deliver(cable, place, bytes);
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let (mut last, mut again) = (self.now, 0);
        loop {
            let timer = self.timers.first().map(|(at, place)| ((*at).max(self.now), *place));
            let parcel = self.parcels.keys().next().copied();
            let Some(next) = [timer.map(|t| t.0), parcel.map(|p| p.0)].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = next;
            match parcel {
                Some(key) if key.0 == next => self.arrive(key),
                _ => {
                    let Some((_, place)) = timer else { break };
                    again = if last == next { again + 1 } else { 0 };
                    last = next;
                    if again > AGAIN * self.stations.len() as u32 {
                        self.wrong.push(format!("station {place} wants to run again and again at {next}"));
                        break;
                    }
                    self.time_out(place);
                }
            }
        }
        self.now = end;
    }

    fn time_out(&mut self, place: usize) {
        let station = &mut self.stations[place];
        let now = self.now + station.skew;
        for (link, (heard, sent)) in std::mem::take(&mut station.traffic) {
            station.node.handle_traffic(now, link, heard, sent);
        }
        station.node.handle_timeout(now);
        self.pump(place);
    }

    fn arrive(&mut self, key: (Time, u64)) {
        let Some(Parcel { cable: at, end, generation, bytes }) = self.parcels.remove(&key) else { return };
        let cable = &self.cables[at];
        let place = cable.ends[end];
        let station = &mut self.stations[place];
        if cable.cut || !station.alive || generation != cable.generation {
            return;
        }
        if station.frozen {
            if station.held.len() < HELD {
                station.held.push_back((at, bytes));
            }
            return;
        }
        self.deliver(at, place, bytes);
    }

    fn deliver(&mut self, at: usize, place: usize, bytes: Vec<u8>) {
        let Some(end) = self.cables[at].end_of(place) else { return };
        let header = Header::parse(&bytes);
        if let Ok(frame) = header.as_ref()
            && frame.kind == MessageKind::Frame
        {
            return self.take_frame(at, place, frame, &bytes);
        }
        let greets = header.is_ok_and(|h| h.kind == MessageKind::Link && h.body(&bytes).is_ok_and(|b| b[0] == 1));
        let link = match self.cables[at].links[end] {
            None if greets && self.cables[at].kind == Kind::Stranger => self.open(at, end),
            None => return,
            Some(link) => link,
        };
        let station = &mut self.stations[place];
        station.node.handle_message(self.now + station.skew, link, &bytes);
        self.pump(place);
    }

    /// Hands a message to a cable.
    pub fn post(&mut self, at: usize, from: usize, bytes: Vec<u8>) {
        let cable = &self.cables[at];
        let opcode = if bytes[1] == 0 { bytes.get(16).copied().unwrap_or(0) } else { 0 };
        *self.said.entry((bytes[1], opcode)).or_default() += 1;
        let Some(end) = cable.end_of(from) else { return };
        if bytes.len() > cable.message as usize {
            self.wrong.push(format!("a message of {} bytes on cable {at}, which takes {}", bytes.len(), cable.message));
        }
        let (faults, delay, generation) = (cable.faults, cable.delay, cable.generation);
        if cable.cut || self.rng.permille(faults.loss) {
            return;
        }
        let copies = if self.rng.permille(faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let late = self.rng.below(faults.jitter + 1);
            self.posted += 1;
            let parcel = Parcel { cable: at, end: 1 - end, generation, bytes: bytes.clone() };
            self.parcels.insert((self.now + Duration::from_micros(delay + late), self.posted), parcel);
        }
    }

    /// Takes what a core has to say and to tell.
    pub fn pump(&mut self, place: usize) {
        while let Some(sent) = self.stations[place].node.poll_transmit() {
            if let Some(at) = self.cable_of(place, sent.link) {
                self.post(at, place, sent.bytes);
            }
        }
        while let Some(event) = self.stations[place].node.poll_event() {
            if let Event::LinkClosed { link, .. } = event
                && let Some(at) = self.cable_of(place, link)
                && let Some(end) = self.cables[at].end_of(place)
            {
                self.cables[at].links[end] = None;
            }
            let station = &mut self.stations[place];
            station.unpublish();
            station.seen.push((self.now, event));
        }
        let station = &mut self.stations[place];
        while let Some(told) = station.node.exchange_mut().poll_deliver() {
            let life = match &told {
                Delivery::Message { message, .. } => station.node.member(message.node).map(|m| m.incarnation),
                _ => None,
            };
            station.told.push((told, life));
        }
        self.schedule(place);
    }

    /// Notes when a station wants to run again.
    fn schedule(&mut self, place: usize) {
        let station = &mut self.stations[place];
        let due = station.node.poll_timeout().filter(|_| station.runs());
        let due = due.map(|at| Time::from_nanos(at.as_nanos().saturating_sub(station.skew.as_nanos() as u64)));
        if let Some(old) = std::mem::replace(&mut station.due, due) {
            self.timers.remove(&(old, place));
        }
        self.timers.extend(due.map(|at| (at, place)));
    }

    fn cable_of(&self, place: usize, link: LinkId) -> Option<usize> {
        let at = *self.stations[place].ports.get(&link)?;
        self.cables[at].end_of(place).filter(|end| self.cables[at].links[*end] == Some(link)).map(|_| at)
    }

    /// Fails with the seed and the state of everything if `holds` does not.
    #[track_caller]
    pub fn check(&self, holds: bool, what: impl fmt::Display) {
        assert!(holds, "{what}\nseed {} (MINET_SIM_SEED={0} replays it)\n{self}", self.seed);
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {}, {} messages under way", self.now, self.parcels.len())?;
        for (at, c) in self.cables.iter().enumerate() {
            let [a, b] = c.ends;
            writeln!(
                f,
                "cable {at}: {a} -- {b} {:?} priority {} message {}{} {:?}",
                c.kind,
                c.priority,
                c.message,
                if c.cut { " CUT" } else { "" },
                c.links
            )?;
        }
        for (place, s) in self.stations.iter().enumerate() {
            let state = match (s.alive, s.frozen) {
                (false, _) => " DEAD",
                (_, true) => " FROZEN",
                _ => "",
            };
            let relay = if s.config.relay { "" } else { " does not relay" };
            writeln!(f, "station {place}: node {} ({}){relay}{state}", s.id(), s.config.incarnation)?;
            for l in s.node.links().filter(|l| l.state() != LinkState::Down) {
                let peer = l.peer().map_or(0, |p| p.node.get());
                writeln!(f, "  link {} to {peer}: {}, {}", l.id(), l.state(), l.reason())?;
            }
            for m in s.node.members() {
                let way = s.node.route(m.node).map(|r| (r.via.get(), r.hops));
                let neighbours: Vec<u32> = m.neighbours.iter().map(|n| n.get()).collect();
                let (node, life, version) = (m.node, m.incarnation, m.version);
                writeln!(f, "  member {node} ({life}) version {version} by {way:?}, next to {neighbours:?}")?;
            }
        }
        Ok(())
    }
}
