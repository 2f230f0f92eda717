//! Two gates and what is between them.

use fabric_seal::{
    Address, Denial, Event, Gate, GateConfig, HEAD, Identity, Keys, OVERHEAD, Opener, PublicKey, Refused, Sealer,
    SessionId, Transmit, Use,
};
use std::{collections::BTreeMap, time::Duration};

/// A gate with what a carrier's lane would hold.
pub struct End {
    pub gate: Gate,
    pub at: Address,
    pub sealers: BTreeMap<SessionId, (u32, Sealer)>,
    /// Sealers for later, by the index of the opener that must hear something first.
    pub waiting: BTreeMap<u32, (SessionId, Sealer)>,
    pub openers: BTreeMap<u32, (SessionId, Opener)>,
    pub log: Vec<Seen>,
}

/// Events without their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Opened(SessionId, PublicKey),
    Keys(SessionId, u32, Use),
    Switch(u32),
    Forget(u32),
    Moved(Address),
    Message,
    Denied(Denial),
    TurnedAway(PublicKey, Denial),
    Joined(PublicKey),
    Closed(SessionId),
}

pub fn at(n: u8) -> Address {
    Address::from([n; 6])
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl End {
    pub fn new(n: u8, config: GateConfig) -> End {
        let gate = Gate::new(Identity::generate().unwrap(), config).unwrap();
        End {
            gate,
            at: at(n),
            sealers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            openers: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    fn install(&mut self, session: SessionId, keys: Keys, using: Use) {
        let index = keys.index();
        let Keys { opener, mut sealers } = keys;
        let sealer = sealers.remove(0);
        assert!(self.openers.insert(index, (session, opener)).is_none());
        match using {
            Use::Now => drop(self.sealers.insert(session, (index, sealer))),
            Use::WhenHeard => drop(self.waiting.insert(index, (session, sealer))),
        }
    }

    pub fn take_events(&mut self) {
        while let Some(event) = self.gate.poll_event() {
            let seen = match event {
                Event::Opened { session, peer, .. } => Seen::Opened(session, peer),
                Event::Keys { session, keys, using } => {
                    let index = keys.index();
                    self.install(session, keys, using);
                    Seen::Keys(session, index, using)
                }
                Event::Switch { index, .. } => {
                    if let Some((session, sealer)) = self.waiting.remove(&index) {
                        self.sealers.insert(session, (index, sealer));
                    }
                    Seen::Switch(index)
                }
                Event::Forget { session, index } => {
                    self.openers.remove(&index);
                    self.waiting.remove(&index);
                    if self.sealers.get(&session).is_some_and(|(i, _)| *i == index) {
                        self.sealers.remove(&session);
                    }
                    Seen::Forget(index)
                }
                Event::Moved { address, .. } => Seen::Moved(address),
                Event::Message { .. } => Seen::Message,
                Event::Denied { why, .. } => Seen::Denied(why),
                Event::TurnedAway { peer, why, .. } => Seen::TurnedAway(peer, why),
                Event::Joined { peer, .. } => Seen::Joined(peer),
                Event::Closed { session } => Seen::Closed(session),
            };
            self.log.push(seen);
        }
    }

    /// What came in, as a carrier deals with it: a message, or `None`.
    pub fn receive(&mut self, now: Duration, from: Address, datagram: &mut [u8]) -> Result<Option<Vec<u8>>, Refused> {
        if let Some((session, opener)) = fabric_seal::index_of(datagram).and_then(|index| self.openers.get_mut(&index))
        {
            let message = opener.open_in_place(datagram)?.to_vec();
            let (session, index) = (*session, opener.index());
            if let Some((_, sealer)) = self.waiting.remove(&index) {
                self.sealers.insert(session, (index, sealer));
            }
            return Ok((!message.is_empty()).then_some(message));
        }
        self.gate.handle_datagram(now, from, datagram);
        self.take_events();
        Ok(None)
    }

    pub fn seal(&mut self, session: SessionId, message: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; message.len() + OVERHEAD];
        datagram[HEAD..HEAD + message.len()].copy_from_slice(message);
        self.sealers.get_mut(&session).expect("keys").1.seal_in_place(&mut datagram).unwrap();
        datagram
    }

    /// The only session with keys.
    pub fn session(&self) -> SessionId {
        assert_eq!(self.sealers.len(), 1, "{:?}", self.log);
        *self.sealers.keys().next().unwrap()
    }

    pub fn seen(&self, what: impl Fn(&Seen) -> bool) -> usize {
        self.log.iter().filter(|s| what(s)).count()
    }
}

pub struct Pair {
    pub a: End,
    pub b: End,
    pub now: Duration,
    /// The network delivers everything the gates say twice.
    pub twice: bool,
}

impl Pair {
    /// Two ends that know each other and have not talked.
    pub fn new(config: GateConfig) -> Pair {
        let mut pair = Pair { a: End::new(1, config.clone()), b: End::new(2, config), now: ms(1000), twice: false };
        pair.a.gate.admit(pair.b.gate.public());
        pair.b.gate.admit(pair.a.gate.public());
        pair
    }

    pub fn open(config: GateConfig) -> Pair {
        let mut pair = Pair::new(config);
        pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
        pair.settle();
        assert_eq!((pair.a.sealers.len(), pair.b.sealers.len()), (1, 1), "{:?} {:?}", pair.a.log, pair.b.log);
        pair
    }

    /// The next datagram of either end, with who sent it (true: a).
    pub fn next(&mut self) -> Option<(bool, Transmit)> {
        self.a.take_events();
        self.b.take_events();
        match self.a.gate.poll_transmit() {
            Some(t) => Some((true, t)),
            None => self.b.gate.poll_transmit().map(|t| (false, t)),
        }
    }

    pub fn deliver(&mut self, from_a: bool, mut bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Refused> {
        let (from, to) = if from_a { (self.a.at, &mut self.b) } else { (self.b.at, &mut self.a) };
        to.receive(self.now, from, &mut bytes)
    }

    /// Delivers all that the gates say.
    pub fn settle(&mut self) {
        while let Some((from_a, transmit)) = self.next() {
            if self.twice {
                let _ = self.deliver(from_a, transmit.bytes.clone());
            }
            let _ = self.deliver(from_a, transmit.bytes);
        }
        self.a.take_events();
        self.b.take_events();
    }

    /// Time passes; what is due is done and delivered.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let due = |pair: &Pair| {
            let due = [pair.a.gate.poll_timeout(), pair.b.gate.poll_timeout()].into_iter().flatten().min();
            due.filter(|due| *due <= end)
        };
        let mut turns = 0;
        while let Some(due) = due(self) {
            turns += 1;
            assert!(turns < 100_000, "time stands still at {:?}", self.now);
            self.now = self.now.max(due);
            self.a.gate.handle_timeout(self.now);
            self.b.gate.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// A message each way.
    pub fn talk(&mut self) {
        let (of_a, of_b) = (self.a.session(), self.b.session());
        let there = self.a.seal(of_a, b"there");
        assert_eq!(self.deliver(true, there), Ok(Some(b"there".to_vec())));
        let back = self.b.seal(of_b, b"back");
        assert_eq!(self.deliver(false, back), Ok(Some(b"back".to_vec())));
    }
}
