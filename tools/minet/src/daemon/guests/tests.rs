use super::*;
use messenger::{Answer, Guest, GuestError, Life, Message, NodeId, PortSpec, To};
use messenger_core::{Incarnation, Name, NodeConfig};
use mio::{Events, Poll};
use std::{io::ErrorKind, path::PathBuf, thread};
use tempfile::TempDir;

mod hostile;
mod paths;
mod shared;
mod waits;
mod ways;

const DOOR: Token = Token(0);
const FIRST: usize = 100;
const SOON: Duration = Duration::from_secs(10);

/// A node without a fabric, and its guests' door.
struct House {
    dir: TempDir,
    poll: Poll,
    guests: Guests,
    node: Node,
    start: Instant,
}

impl House {
    fn new() -> House {
        let (dir, poll) = (tempfile::tempdir().unwrap(), Poll::new().unwrap());
        let guests = Guests::bind(&dir.path().join("a.guest"), poll.registry(), DOOR, FIRST).unwrap();
        let config = NodeConfig {
            node: NodeId::new(1).unwrap(),
            name: Name::new("a").unwrap(),
            fabric: Name::new("f").unwrap(),
            incarnation: Incarnation::new(1),
            version: 1,
            seed: 1,
            interval: Duration::from_secs(1),
            miss_limit: 3,
            relay: false,
            frame: 0,
            offloads: 0,
        };
        House { dir, poll, guests, node: Node::new(config, Time::ZERO), start: Instant::now() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a.guest")
    }

    /// Serves guests while `work` goes on in another thread, then once more.
    fn serve<T: Send + 'static>(&mut self, work: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let path = self.path();
        let thread = thread::spawn(move || work(path));
        let mut events = Events::with_capacity(64);
        let mut last = false;
        while !last {
            last = thread.is_finished();
            match self.poll.poll(&mut events, Some(Duration::from_millis(5))) {
                // A signal, as to the daemon's own loop, is nothing that came.
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                polled => polled.unwrap(),
            }
            let now = Time::from_nanos(self.start.elapsed().as_nanos() as u64);
            for event in &events {
                self.guests.handle(event.token(), &mut self.node, now);
            }
            self.guests.handle_timeout(&mut self.node, now);
            self.node.handle_timeout(now);
            self.guests.deliver(&mut self.node, now);
        }
        thread.join().unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        self.guests.counts().iter().find(|(n, _)| *n == name).unwrap().1
    }
}

fn refusal<T: std::fmt::Debug>(told: Result<T, GuestError>) -> Code {
    told.unwrap_err().status().unwrap().code
}

/// PROTOCOL 12.4.
#[test]
fn guests_talk_and_each_has_only_its_own() {
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        assert_eq!((a.node().get(), a.node_name()), (1, "a"));
        let port = a.open(&PortSpec::named("p")).unwrap();
        assert_eq!(refusal(b.open(&PortSpec::named("p"))), Code::Exists);
        assert_eq!(refusal(b.attach("p")), Code::Busy);
        assert_eq!(refusal(b.attach("q")), Code::NotFound);
        assert_eq!(refusal(b.receive(port, Some(Duration::ZERO))), Code::BadHandle);
        assert_eq!(refusal(b.close(port)), Code::BadHandle);
        assert_eq!(refusal(b.detach(port)), Code::BadHandle);
        let stolen = Message { from: Some(port), ..Message::new("x") };
        assert_eq!(refusal(b.send(&To::Name("p".into()), &stolen)), Code::BadHandle);
        let watch = a.watch("*").unwrap();
        assert_eq!(refusal(b.unwatch(watch)), Code::BadHandle);
        assert!(a.change(watch, Some(SOON)).unwrap().unwrap().edge);

        let asked = b.send(&To::Name("p".into()), &Message { wants: messenger::Wants::Answer, ..Message::new("?") });
        let ticket = asked.unwrap().ticket.unwrap();
        assert_eq!(refusal(a.cancel(ticket)), Code::BadHandle);
        let got = a.receive(port, Some(SOON)).unwrap().unwrap();
        assert_eq!(refusal(b.respond(&got, &Answer::new("!"))), Code::NotFound);
        a.respond(&got, &Answer { tag: 4, ..Answer::new("!") }).unwrap();
        assert_eq!(refusal(a.respond(&got, &Answer::new("!"))), Code::NotFound, "once");
        let outcome = b.settle(ticket, Some(SOON)).unwrap().unwrap();
        assert_eq!((&*outcome.answers[0].payload, outcome.answers[0].head.tag), (&b"!"[..], 4));
        assert_eq!(refusal(b.cancel(ticket)), Code::BadHandle);

        // Refused by who was asked, and taken back by who asks.
        let asked = b.send(&To::Name("p".into()), &Message { wants: messenger::Wants::Answer, ..Message::new("?") });
        let got = a.receive(port, Some(SOON)).unwrap().unwrap();
        a.respond(&got, &Answer::refusal(Status::with(Code::Failed, 3))).unwrap();
        let ticket = asked.unwrap().ticket.unwrap();
        assert_eq!(b.settle(ticket, Some(SOON)).unwrap().unwrap().status(), Status::with(Code::Failed, 3));
        let asked = b.send(&To::Name("p".into()), &Message { wants: messenger::Wants::Answer, ..Message::new("?") });
        let ticket = asked.unwrap().ticket.unwrap();
        b.cancel(ticket).unwrap();
        assert_eq!(b.settle(ticket, Some(SOON)).unwrap().unwrap().status(), Status::new(Code::Canceled));
        let late = b.call(&To::Name("p".into()), &Message::new("?"), Duration::from_millis(20)).unwrap();
        assert_eq!(late.status(), Status::new(Code::TimedOut));
        a.close(port).unwrap();
        assert_eq!(refusal(a.receive(port, None)), Code::BadHandle);
        assert!(!a.change(watch, Some(SOON)).unwrap().unwrap().up);
    });
    assert_eq!((house.count("guests"), house.count("guest-calls-refused")), (0, 13));
}

/// PROTOCOL 12.7.
#[test]
fn what_a_guest_leaves_follows_its_life_rule() {
    let mut house = House::new();
    let open = |life| {
        move |path: PathBuf| {
            let guest = Guest::join_at(&path).unwrap();
            guest.open(&PortSpec { life, ..PortSpec::named("p") }).unwrap();
            guest.watch("*").unwrap();
        }
    };
    house.serve(open(Life::Receiver));
    assert_eq!(house.node.exchange().ports().count(), 0);
    house.serve(open(Life::Persistent));
    assert_eq!(house.node.exchange().ports().filter(|port| !port.is_attached()).count(), 1);
    // What comes meanwhile waits; who attaches has it, and the one asked for first is answered by nobody when it leaves.
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let ask = Message { wants: messenger::Wants::Answer, ..Message::new("?") };
        let tickets = [(); 2].map(|()| b.send(&To::Name("p".into()), &ask).unwrap().ticket.unwrap());
        let port = a.attach("p").unwrap();
        a.receive(port, Some(SOON)).unwrap().unwrap();
        a.detach(port).unwrap();
        assert_eq!(refusal(a.receive(port, None)), Code::BadHandle);
        let first = b.settle(tickets[0], Some(SOON)).unwrap().unwrap();
        assert_eq!(first.status(), Status::new(Code::PortClosed));
    });
    assert_eq!((house.guests.receivers.len(), house.guests.watchers.len()), (0, 0));
    assert_eq!(house.node.exchange().tickets().count(), 0);
}

/// PROTOCOL 12.8.
#[test]
fn more_guests_than_there_is_room_for_are_told_so() {
    let mut house = House::new();
    let (all, told) = house.serve(|path| {
        let all: Vec<Guest> = (0..GUESTS).map(|_| Guest::join_at(&path).unwrap()).collect();
        (all, Guest::join_at(&path).unwrap_err().to_string())
    });
    assert_eq!(told, "the daemon ended this guest: there are 256 guests already");
    assert_eq!((house.count("guests"), house.count("guests-turned-away")), (256, 1));
    // One goes, one comes.
    house.serve(move |path| {
        drop(all);
        let end = Instant::now() + SOON;
        while Guest::join_at(&path).is_err() {
            assert!(Instant::now() < end, "nobody is let in");
        }
    });
}

/// PROTOCOL 12.3, 12.4.
#[test]
fn what_is_no_name_and_more_than_there_is_room_for_is_refused() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        for (name, code) in [
            (String::new(), Code::Invalid),
            ("a\0b".into(), Code::Invalid),
            ("a b".into(), Code::Invalid),
            ("n".repeat(64), Code::NameTooLong),
            ("n".repeat(60_000), Code::NameTooLong),
        ] {
            assert_eq!(refusal(guest.open(&PortSpec::named(name))), code);
        }
        let many = PortSpec { properties: vec![("k".into(), "v".into()); 17], ..PortSpec::named("p") };
        assert_eq!(refusal(guest.open(&many)), Code::Invalid);
        assert_eq!(refusal(guest.open(&PortSpec { room: Some(u32::MAX), ..PortSpec::default() })), Code::Invalid);
        for life in [Life::Persistent, Life::Retained(1000)] {
            let nameless = PortSpec { life, ..PortSpec::default() };
            assert_eq!(refusal(guest.open(&nameless)), Code::Invalid, "nobody could attach to it again");
        }
        assert_eq!(refusal(guest.watch("a b")), Code::Invalid);
        assert_eq!(refusal(guest.send(&To::Everywhere("p".into()), &Message::new("x"))), Code::NotFound);
        for _ in 0..256 {
            guest.watch("*").unwrap();
        }
        assert_eq!(refusal(guest.watch("*")), Code::Exhausted);
        // A value that is larger than a head is the end.
        let told = guest.open(&PortSpec::named("n".repeat(70_000))).unwrap_err().to_string();
        assert_eq!(told, "the daemon ended this guest: a frame is malformed");
    });
    assert_eq!((house.count("guests"), house.count("guests-malformed")), (0, 1));
}

#[test]
fn guests_are_told_of_the_end() {
    let mut house = House::new();
    let guest = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        (guest, port)
    });
    house.guests.stop(&mut house.node, Time::ZERO);
    let told = guest.0.receive(guest.1, Some(SOON)).unwrap_err().to_string();
    assert_eq!(told, "the daemon ended this guest: the daemon ends");
    assert_eq!(house.node.exchange().ports().count(), 0);
}

/// A connection that says nothing, or too little, keeps no place; one that greeted may be silent for ever.
///
/// PROTOCOL 12.8.
#[test]
fn who_does_not_greet_in_time_is_ended() {
    let mut house = House::new();
    let (mut silent, mut crumbs, guest) = house.serve(|path| {
        let [silent, mut crumbs] = [(); 2].map(|()| std::os::unix::net::UnixStream::connect(&path).unwrap());
        io::Write::write_all(&mut crumbs, b"MNG").unwrap();
        (silent, crumbs, Guest::join_at(&path).unwrap())
    });
    assert_eq!(house.count("guests"), 3);
    let wait = house.guests.timeout().unwrap();
    assert!(wait > Duration::ZERO && wait <= guest::GREETING_TIME);
    let later = Instant::now() + guest::GREETING_TIME;
    house.guests.end_late(later, &mut house.node, Time::ZERO);
    house.guests.end_late(later + LINGER, &mut house.node, Time::ZERO);
    assert_eq!((house.count("guests"), house.count("guests-silent")), (1, 2));
    for stream in [&mut silent, &mut crumbs] {
        let mut told = String::new();
        let _ = io::Read::read_to_string(stream, &mut told);
        assert!(told.contains("it did not greet"), "{told:?}");
    }
    assert_eq!(house.guests.timeout(), None);
    drop(guest);
}

/// An error of the door is not its end: when there are descriptors again, those who wait are let in.
#[test]
fn the_door_is_looked_at_again_after_an_error() {
    let mut house = House::new();
    house.guests.accept_again = Some(Instant::now());
    assert_eq!(house.guests.timeout(), Some(Duration::ZERO));
    let _waiting = std::os::unix::net::UnixStream::connect(house.path()).unwrap();
    house.guests.handle_timeout(&mut house.node, Time::ZERO);
    assert_eq!((house.count("guests"), house.guests.accept_again), (1, None));
}

/// Ports that outlive their guests are counted for all guests together, until they are closed.
///
/// PROTOCOL 12.8.
#[test]
fn ports_that_outlive_their_guests_are_bounded() {
    let mut house = House::new();
    for _ in 0..2 {
        house.serve(|path| {
            let guest = Guest::join_at(&path).unwrap();
            for n in 0..calls::LASTING / 2 {
                let spec = PortSpec { life: Life::Persistent, ..PortSpec::default() };
                guest.open(&PortSpec { name: Some(format!("{}/{n}", thread_name())), ..spec }).unwrap();
            }
        });
    }
    assert_eq!(house.count("guest-ports-lasting"), calls::LASTING as u64);
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let spec = PortSpec { life: Life::Retained(1), ..PortSpec::named("more") };
        assert_eq!(refusal(guest.open(&spec)), Code::Exhausted);
        let mine = guest.open(&PortSpec::named("mine")).unwrap();
        guest.close(mine).unwrap();
    });
    let port = house.node.exchange().ports().next().unwrap().id();
    house.node.exchange_mut().close_port(Time::ZERO, port).unwrap();
    house.serve(|path| {
        let spec = PortSpec { life: Life::Retained(60_000), ..PortSpec::named("more") };
        Guest::join_at(&path).unwrap().open(&spec).unwrap();
    });
    assert_eq!(house.count("guest-ports-lasting"), calls::LASTING as u64);
}

/// A name that no other call of it has.
fn thread_name() -> String {
    format!("{:?}", thread::current().id()).replace(['(', ')'], "")
}
