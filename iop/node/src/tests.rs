//! A stack against a station that only has a client, over rings on the heap, in virtual time.

use crate::{Config, Ends, Machine, Stack, Station, config::tests::config, device::Port};
use alloc::{format, string::String, vec, vec::Vec};
use core::{cell::Cell, time::Duration};
use fabric_ring::{Consumer, Producer, model::Heap};
use messenger_core::Time;
use smoltcp::{
    iface::{Config as InterfaceConfig, Interface, SocketHandle, SocketSet},
    socket::{tcp, udp},
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr},
};
use std::rc::Rc;

type Ring = (Producer<Heap>, Consumer<Heap>);
type Bell = std::boxed::Box<dyn FnMut()>;

const RING: usize = 1 << 18;

fn ring() -> Ring {
    let memory = Heap::new(RING);
    (Producer::offer(memory.clone(), RING).unwrap(), Consumer::join(memory).unwrap())
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) stack: Stack<Heap, Bell>,
    pub(crate) client: Station<Heap, Bell>,
    interface: Interface,
    sockets: SocketSet<'static>,
    rung: Rc<Cell<u32>>,
}

/// The stack is node 9, the client node 1.
pub(crate) fn world(change: impl Fn(&mut Config)) -> World {
    let now = Time::from_millis(5);
    let ((to, reads), (from, heard)) = (ring(), ring());
    let rung = Rc::new(Cell::new(0));
    let count = rung.clone();
    let bell = move || count.set(count.get() + 1);
    let [mut here, mut there] = [config(1, "host"), config(9, "io1")];
    here.addresses[1].0 = "fd4d::1".parse().unwrap();
    (here.seed, here.incarnation) = (5, messenger_core::Incarnation::new(8));
    change(&mut here);
    change(&mut there);
    let (mut client, mut server) = (Station::new(here, now), Station::new(there, now));
    client.join(now, Ends::with(to, vec![heard], std::boxed::Box::new(bell) as Bell));
    server.join(now, Ends::with(from, vec![reads], std::boxed::Box::new(|| {}) as Bell));
    let mac = messenger_core::Mac::of(client.config().id);
    let config = InterfaceConfig::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
    let mut interface = Interface::new(config, &mut Port { frames: &mut client, now }, Instant::ZERO);
    interface.update_ip_addrs(|own| {
        own.push(IpCidr::new(IpAddress::v4(10, 77, 0, 1), 16)).unwrap();
        own.push(IpCidr::new("fd4d::1".parse().unwrap(), 64)).unwrap();
    });
    World { now, stack: Stack::new(server, now), client, interface, sockets: SocketSet::new(Vec::new()), rung }
}

impl World {
    fn step(&mut self) {
        self.step_client();
        self.stack.handle(self.now, || Machine { kind: "a test".into(), memory: (1, 2) });
    }

    fn step_client(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        self.client.handle(self.now);
        let at = Instant::from_millis((self.now.as_nanos() / 1_000_000) as i64);
        let mut port = Port { frames: &mut self.client, now: self.now };
        self.interface.poll(at, &mut port, &mut self.sockets);
        self.client.flush();
    }

    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut World) -> bool) {
        for _ in 0..5_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("never: {what}; {:?}", self.stack.station().counters().drops().filter(|d| d.1 > 0).collect::<Vec<_>>());
    }

    pub(crate) fn meet(&mut self) {
        self.until("both are members", |w| {
            w.client.node().members().count() == 2 && w.stack.station().node().members().count() == 2
        });
    }

    fn connect(&mut self, to: IpAddress, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 64 << 10]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let from = 40_000 + self.sockets.iter().count() as u16;
        socket.connect(self.interface.context(), (to, port), from).unwrap();
        self.sockets.add(socket)
    }

    /// Sends all and reads until the end, or as much as was sent.
    fn exchange(&mut self, handle: SocketHandle, bytes: &[u8], to_the_end: bool) -> Vec<u8> {
        let (mut sent, mut got) = (0, Vec::new());
        let expected = bytes.len();
        self.until("all was exchanged", |w| {
            let socket = w.sockets.get_mut::<tcp::Socket<'_>>(handle);
            if sent < bytes.len() && socket.can_send() {
                sent += socket.send_slice(&bytes[sent..]).unwrap();
            }
            while socket.can_recv() {
                socket.recv(|part| (part.len(), got.extend_from_slice(part))).unwrap();
            }
            if to_the_end {
                sent == expected && !socket.may_recv() && socket.state() != tcp::State::SynSent
            } else {
                got.len() >= expected
            }
        });
        self.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
        got
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[test]
fn they_meet_and_what_is_sent_to_the_echo_comes_back() {
    for (mtu, ip) in [(1500, IpAddress::v4(10, 77, 0, 9)), (9000, "fd4d::9".parse().unwrap())] {
        let mut world = world(|c| c.mtu = mtu);
        world.meet();
        let handle = world.connect(ip, 7);
        let bytes = pattern(200_000);
        assert!(world.exchange(handle, &bytes, false) == bytes, "MTU {mtu}");
        let counters = world.stack.station().counters();
        assert_eq!((counters.dropped_total(), counters.rx_packets > 20), (0, true));
    }
}

#[test]
fn datagrams_come_back() {
    let mut world = world(|_| {});
    world.meet();
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5000).unwrap();
    socket.send_slice(b"hello", (IpAddress::v4(10, 77, 0, 9), 7)).unwrap();
    let handle = world.sockets.add(socket);
    world.until("an answer", |w| w.sockets.get_mut::<udp::Socket<'_>>(handle).can_recv());
    assert_eq!(world.sockets.get_mut::<udp::Socket<'_>>(handle).recv().unwrap().0, b"hello");
}

#[test]
fn the_page_says_who_it_is_and_bad_requests_are_refused() {
    let mut world = world(|_| {});
    world.meet();
    let mut ask = |request: &[u8]| {
        let handle = world.connect(IpAddress::v4(10, 77, 0, 9), 80);
        String::from_utf8(world.exchange(handle, request, true)).unwrap()
    };
    let page = ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for part in
        ["node io1 (id 9) of fabric default", "a test", "memory 1 of 2 bytes", "link 1 to host: up", "member host"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(ask(b"GET /other HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(b"POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(b"\xff\xfe\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(ask(&[b'x'; 6000]).starts_with("HTTP/1.1 431 "));
    assert!(ask(b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "), "the places are free again");
}

#[test]
fn the_source_gives_as_much_as_is_taken_and_the_sink_takes_all() {
    let mut world = world(|_| {});
    world.meet();
    let sink = world.connect(IpAddress::v4(10, 77, 0, 9), 9);
    let bytes = pattern(300_000);
    let mut sent = 0;
    world.until("all was taken", |w| {
        let socket = w.sockets.get_mut::<tcp::Socket<'_>>(sink);
        if socket.can_send() && sent < bytes.len() {
            sent += socket.send_slice(&bytes[sent..]).unwrap();
        }
        sent == bytes.len() && socket.send_queue() == 0
    });
    let source = world.connect(IpAddress::v4(10, 77, 0, 9), 19);
    let mut got = 0;
    world.until("much was given", |w| {
        let socket = w.sockets.get_mut::<tcp::Socket<'_>>(source);
        while socket.can_recv() {
            got += socket.recv(|part| (part.len(), part.len())).unwrap();
        }
        got > 500_000
    });
}

/// A peer that asked to be rung is rung once, and an idle pair is quiet but for its heartbeats.
#[test]
fn an_idle_stack_sleeps() {
    let mut world = world(|_| {});
    world.meet();
    for _ in 0..2_000 {
        world.step();
    }
    assert!(world.stack.arm(), "nothing is left to do");
    let before = world.rung.get();
    let due = world.stack.poll_timeout(world.now).unwrap();
    assert!(due > world.now && due.since(world.now) <= Duration::from_millis(600), "a heartbeat is due: {due}");
    world.connect(IpAddress::v4(10, 77, 0, 9), 7);
    for _ in 0..5 {
        world.step_client();
    }
    assert_eq!(world.rung.get(), before + 1, "it slept and was rung once");
    assert!(!world.stack.arm(), "there is something to do now");
}

/// The host's rings are not trusted: whatever stands in them, the station goes on or says that it is lost.
#[test]
fn garbage_in_the_rings_is_counted_or_ends_it() {
    let now = Time::from_millis(5);
    let memory = Heap::new(RING);
    let mut to = Producer::offer(memory.clone(), RING).unwrap();
    let mut station = Station::new(config(9, "io1"), now);
    let own = Heap::new(RING);
    station.join(now, Ends::new(own, [memory.clone()], || {}).unwrap());
    for seed in 0..200u32 {
        let bytes: Vec<u8> = (0..seed).map(|n| (n.wrapping_mul(2_654_435_761) ^ seed) as u8).collect();
        to.push(&[fabric_ring::View::from(&bytes[..])]).unwrap();
        to.publish();
        station.handle(now);
    }
    assert!(!station.is_lost());
    memory.poke(128, &[0x11; 4]);
    station.handle(now);
    assert!(station.is_lost(), "a position that cannot be");
    assert!(!format!("{:?}", station.counters()).is_empty());
}
