use super::*;
use messenger::{Answer, Guest, GuestError, Life, Message, NodeId, PortSpec, To};
use messenger_core::{Incarnation, Name, NodeConfig};
use mio::{Events, Poll};
use std::{path::PathBuf, thread};
use tempfile::TempDir;

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
            self.poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
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

/// A guest's descriptor stands beside others in one wait.
///
/// Rows: MA-19.
#[test]
fn a_guest_is_waited_for_beside_other_descriptors() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = a.open(&PortSpec::named("p")).unwrap();
        let (other, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(a.receive(port, Some(Duration::ZERO)).unwrap(), None);
        let ready = |a: &Guest, wait| {
            let mut all = [PollFd::new(a, PollFlags::IN), PollFd::new(&other, PollFlags::IN)];
            poll(&mut all, Some(&Timespec { tv_sec: wait, tv_nsec: 0 })).unwrap();
            all.map(|fd| !fd.revents().is_empty())
        };
        assert_eq!((a.has_news(), ready(&a, 0)), (false, [false, false]));
        io::Write::write_all(&mut far, b"x").unwrap();
        assert_eq!(ready(&a, 10), [false, true]);
        b.send(&To::Name("p".into()), &Message::new("y")).unwrap();
        let end = Instant::now() + SOON;
        while ready(&a, 10) != [true, true] {
            assert!(Instant::now() < end, "no news");
        }
        assert_eq!(a.receive(port, Some(Duration::ZERO)).unwrap().unwrap().payload, b"y");
    });
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
