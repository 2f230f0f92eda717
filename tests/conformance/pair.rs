//! Two carriers that are connected, and what tests do with them.

use fabric::{
    Amend, Batch, Carrier, Channel, Message, Origin, Peer, SendError, View,
    ether::Ether,
    loopback,
    middleware::{Fault, LINKTYPE_USER0, Pcap, Trace},
    sealed::Sealed,
    serial::Serial,
    shm::{Joining, Listener, Offer, Progress, Session, Shm, connect},
    udp::Udp,
};
use fabric_seal::{Address, Event, Gate, GateConfig, Identity, Keys};
use minet_tests::{Net, Netns, cable};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    any::Any,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A carrier, and the number of the other one on it.
pub struct End {
    pub carrier: Box<dyn Carrier>,
    pub channel: Channel,
}

pub struct Pair {
    pub a: End,
    pub b: End,
    /// Memory never loses; the network may.
    pub lossless: bool,
    keep: Vec<Box<dyn Any>>,
}

impl Pair {
    fn new(a: impl Carrier + 'static, b: impl Carrier + 'static, lossless: bool) -> Pair {
        let a = End { carrier: Box::new(a), channel: Channel(7) };
        let b = End { carrier: Box::new(b), channel: Channel(2) };
        Pair { a, b, lossless, keep: Vec::new() }
    }

    fn attach(mut self, at_a: Peer, at_b: Peer) -> Pair {
        self.a.carrier.attach(self.a.channel, at_a).unwrap();
        self.b.carrier.attach(self.b.channel, at_b).unwrap();
        self
    }

    /// Each end with its keys.
    fn keyed(mut self, keys: [Keys; 2]) -> Pair {
        for (end, keys) in [&mut self.a, &mut self.b].into_iter().zip(keys) {
            let (index, sealer) = (keys.index(), keys.sealers.into_iter().next().unwrap());
            let amend = Amend::Keys { index, sealer, opener: Some(keys.opener), now: true };
            end.carrier.amend(end.channel, amend).unwrap();
        }
        self
    }

    fn wrap(self, mut around: impl FnMut(Box<dyn Carrier>) -> Box<dyn Carrier>) -> Pair {
        let a = End { carrier: around(self.a.carrier), ..self.a };
        let b = End { carrier: around(self.b.carrier), ..self.b };
        Pair { a, b, ..self }
    }

    /// So many messages from `a` to `b`. A carrier whose line takes a message bit by bit goes on as its lane would; all others
    /// did all with the one flush.
    pub fn carry(&mut self, count: usize) -> Vec<Vec<u8>> {
        if !self.goes_on() {
            return self.b.wait_for(count);
        }
        let mut messages = Vec::new();
        let end = Instant::now() + PATIENCE;
        while messages.len() < count {
            self.a.carrier.flush();
            messages.extend(self.b.take());
            assert!(Instant::now() < end, "{} of {count} messages came", messages.len());
        }
        messages
    }

    /// Whether one flush does not do all, since the line is slower than whoever writes.
    pub fn goes_on(&self) -> bool {
        self.a.carrier.kind() == "serial"
    }

    pub fn traced(self) -> Pair {
        self.wrap(|carrier| Box::new(Trace::new(carrier)))
    }

    pub fn captured(self) -> Pair {
        self.wrap(|carrier| Box::new(Pcap::new(carrier, io::sink(), LINKTYPE_USER0)))
    }

    pub fn faultless(self) -> Pair {
        self.wrap(|carrier| Box::new(Fault::new(carrier, 1, Box::new(|| Duration::ZERO))))
    }
}

impl End {
    pub fn limit(&self) -> usize {
        self.carrier.limits(self.channel).unwrap().message
    }

    /// Sends one message; `flush` is the caller's.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.carrier.send(self.channel, &[Message { parts: &[View::from(bytes)] }]).1
    }

    /// What is there now, copied, and given back.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let mut batch = Batch::new();
        self.carrier.receive(&mut batch).unwrap();
        let messages = batch.iter().map(|received| {
            assert_eq!(received.origin, Origin::Channel(self.channel));
            bytes(received.bytes)
        });
        let messages = messages.collect();
        drop(batch);
        self.carrier.release();
        messages
    }

    /// So many messages, however long it takes within patience.
    pub fn wait_for(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let end = Instant::now() + PATIENCE;
        while messages.len() < count {
            messages.extend(self.take());
            assert!(Instant::now() < end, "{} of {count} messages came", messages.len());
        }
        messages
    }

    /// Sleeps as a lane does, unless there is something; whether it slept at all.
    pub fn sleep(&mut self) -> bool {
        if !self.carrier.arm() {
            return false;
        }
        assert!(rung(&*self.carrier, PATIENCE), "nobody rang");
        self.carrier.disarm();
        true
    }
}

/// Whether the waker is readable within the time.
pub fn rung(carrier: &dyn Carrier, within: Duration) -> bool {
    let waker = carrier.waker().unwrap();
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    poll(&mut [PollFd::new(&waker, PollFlags::IN)], Some(&within)).unwrap() == 1
}

pub fn bytes(view: View<'_>) -> Vec<u8> {
    let mut bytes = vec![0xa5; view.len()];
    assert_eq!(view.copy_to(0, &mut bytes), view.len());
    bytes
}

pub fn loopback() -> Pair {
    let (a, b) = loopback::pair(256, 66_000);
    let carrier = || loopback::Loopback::new().unwrap();
    Pair::new(carrier(), carrier(), true).attach(Peer::Loop(a), Peer::Loop(b))
}

pub fn udp() -> Pair {
    udp_on("127.0.0.1:0")
}

pub fn udp6() -> Pair {
    udp_on("[::1]:0")
}

fn udp_on(address: &str) -> Pair {
    let address = address.parse().unwrap();
    let (a, b) = (Udp::bind(address).unwrap(), Udp::bind(address).unwrap());
    let (at_a, at_b) = (Peer::Address(b.local()), Peer::Address(a.local()));
    Pair::new(a, b, false).attach(at_a, at_b)
}

/// A cable between two namespaces without any address.
///
/// ```text
///   a: e0 ------ e0 :b
/// ```
pub fn ether() -> Pair {
    ether_of("1500")
}

pub fn jumbo_ether() -> Pair {
    ether_of("9018")
}

fn ether_of(mtu: &str) -> Pair {
    let (net, [a, b]) = wired(mtu);
    let (a, b) = (ether_in(&a, "e0"), ether_in(&b, "e0"));
    let (at_a, at_b) = (Peer::Ether(b.local()), Peer::Ether(a.local()));
    let mut pair = Pair::new(a, b, false).attach(at_a, at_b);
    pair.keep.push(Box::new(net));
    pair
}

/// Two namespaces with a cable between them.
pub fn wired(mtu: &str) -> (Net, [Netns; 2]) {
    let net = Net::new().unwrap();
    let spaces = [net.space("a").unwrap(), net.space("b").unwrap()];
    // Nothing but what the test sends: no neighbour discovery of the kernel's.
    for space in &spaces {
        space.run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"]).unwrap();
    }
    cable((&spaces[0], "e0", &[]), (&spaces[1], "e0", &[])).unwrap();
    for space in &spaces {
        space.ip(&["link", "set", "e0", "mtu", mtu]).unwrap();
    }
    (net, spaces)
}

/// A carrier on an interface of a namespace.
pub fn ether_in(space: &Netns, interface: &str) -> Ether {
    space.inside(|| Ether::open(interface).map_err(io::Error::other)).unwrap()
}

/// The two ends of a pty.
pub fn serial() -> Pair {
    let (a, b) = pty();
    let serial = |fd| Serial::over(fd, 10_000).unwrap();
    Pair::new(serial(a), serial(b), false).attach(Peer::Line, Peer::Line)
}

/// The master and the slave of a new pty.
pub fn pty() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
    (master, slave)
}

/// Over UDP, with keys from a handshake that two gates had beside it.
pub fn sealed() -> Pair {
    let address = "127.0.0.1:0".parse().unwrap();
    let (a, b) = (Udp::bind_sealed(address).unwrap(), Udp::bind_sealed(address).unwrap());
    let (at_a, at_b) = (a.local(), b.local());
    let keys = shake(at_a.into(), at_b.into());
    Pair::new(a, b, false).attach(Peer::Address(at_b), Peer::Address(at_a)).keyed(keys)
}

/// Over raw Ethernet, sealed.
pub fn sealed_ether() -> Pair {
    let (net, [a, b]) = wired("1500");
    let (a, b) = (ether_in(&a, "e0"), ether_in(&b, "e0"));
    let (at_a, at_b) = (a.local(), b.local());
    let keys = shake(at_a.octets().into(), at_b.octets().into());
    let pair = Pair::new(Sealed::new(a), Sealed::new(b), false);
    let mut pair = pair.attach(Peer::Ether(at_b), Peer::Ether(at_a)).keyed(keys);
    pair.keep.push(Box::new(net));
    pair
}

/// Over a serial line, sealed.
pub fn sealed_serial() -> Pair {
    let (a, b) = pty();
    let serial = |fd| Sealed::new(Serial::over(fd, 10_000).unwrap());
    let keys = shake([1; 6].into(), [2; 6].into());
    Pair::new(serial(a), serial(b), false).attach(Peer::Line, Peer::Line).keyed(keys)
}

/// The keys of both ends after a handshake.
fn shake(at_a: Address, at_b: Address) -> [Keys; 2] {
    let gate = || Gate::new(Identity::generate().unwrap(), GateConfig::default()).unwrap();
    let (mut a, mut b) = (gate(), gate());
    b.admit(a.public());
    a.open(Duration::ZERO, b.public(), at_b).unwrap();
    loop {
        let (from_a, from_b) = (a.poll_transmit(), b.poll_transmit());
        if from_a.is_none() && from_b.is_none() {
            return [&mut a, &mut b].map(|gate| std::iter::from_fn(|| gate.poll_event()).find_map(keys_of).unwrap());
        }
        from_a.into_iter().for_each(|mut t| b.handle_datagram(Duration::ZERO, at_a, &mut t.bytes));
        from_b.into_iter().for_each(|mut t| a.handle_datagram(Duration::ZERO, at_b, &mut t.bytes));
    }
}

fn keys_of(event: Event) -> Option<Keys> {
    if let Event::Keys { keys, .. } = event { Some(keys) } else { None }
}

pub fn shm() -> Pair {
    let (a, b) = (Shm::new().unwrap(), Shm::new().unwrap());
    let (at_a, at_b) = meet(&a, &b, 1 << 18);
    let mut pair = Pair::new(a, b, true);
    pair.keep.push(Box::new((at_a.life, at_b.life)));
    pair.attach(Peer::Shm(at_a.rings.into_iter().next().unwrap()), Peer::Shm(at_b.rings.into_iter().next().unwrap()))
}

/// Lets two lanes meet through a socket.
pub fn meet(a: &Shm, b: &Shm, ring_size: usize) -> (Session, Session) {
    let directory = tempfile::tempdir().unwrap();
    let offer = |lane: &Shm| Offer {
        doorbells: vec![lane.doorbell().unwrap()],
        ring_size,
        hello: b"hello".to_vec(),
        users: Vec::new(),
    };
    let listener = Listener::bind(directory.path(), "a").unwrap();
    let mut calling = connect(directory.path(), "a", &offer(b)).unwrap();
    let mut called = listener.accept(&offer(a)).unwrap().unwrap();
    assert!(matches!(calling.advance().unwrap(), Progress::Pending));
    let at_a = called.advance().unwrap();
    let at_b = done(calling.advance().unwrap());
    let at_a = match at_a {
        Progress::Pending => finish(&mut called),
        at_a => done(at_a),
    };
    (at_a, at_b)
}

fn finish(joining: &mut Joining) -> Session {
    done(joining.advance().unwrap())
}

fn done(progress: Progress) -> Session {
    match progress {
        Progress::Done(session) => *session,
        Progress::Pending => panic!("the peers did not finish"),
    }
}
