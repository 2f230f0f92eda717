//! Wait sets and futures.

use super::{
    ways::{asking, tagged, to, until},
    *,
};
use messenger::{PathSpec, Sign, Take, WaitSet, Waitable};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    future::Future,
    io::Write,
    os::fd::AsFd,
    pin::pin,
    sync::Arc,
    task::{Context, Poll as Polled, Wake, Waker},
};

/// Whether descriptors are readable, after so many milliseconds at the most.
fn readable<const N: usize>(fds: [&dyn AsFd; N], ms: i64) -> [bool; N] {
    let mut all = fds.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
    let limit = Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
    poll(&mut all, Some(&limit)).unwrap();
    all.map(|fd| fd.revents().contains(PollFlags::IN))
}

const NOW: Option<Duration> = Some(Duration::ZERO);

/// A port, a ticket, a path, a watch, a time and a descriptor in one list: each is told alone, under its key, when it is ready, as
/// long as it is, and not after.
///
/// PROTOCOL 12.5.
/// Rows: WL-1.
#[test]
fn a_set_tells_which_of_many_kinds_is_ready() {
    let mut house = House::new();
    house.serve(|path| {
        let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let far = other.open(&PortSpec::named("q")).unwrap();
        let ticket = guest.send(&to("q"), &asking("?")).unwrap().ticket.unwrap();
        let path = guest.open_path(&PathSpec { hunt: true, ..PathSpec::to(to("later")) }).unwrap();
        let watch = guest.watch("r").unwrap();
        let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut set = WaitSet::new(&guest).unwrap();
        set.add("port", port).unwrap();
        set.add("ticket", ticket).unwrap();
        set.add("path", path).unwrap();
        set.add("watch", watch).unwrap();
        set.add("never", Instant::now() + Duration::from_secs(3600)).unwrap();
        set.add_fd("fd", &here).unwrap();
        assert_eq!(refusal(set.add("fd", port)), Code::Exists);
        let only = |set: &WaitSet<&'static str>, key| {
            assert_eq!(set.wait(Some(SOON)).unwrap(), [(key, Sign::Ready)]);
            assert_eq!((set.wait(NOW).unwrap(), readable([set], 0)), (vec![(key, Sign::Ready)], [true]), "still");
        };
        let none = |set: &WaitSet<&'static str>| {
            assert_eq!((set.wait(NOW).unwrap(), readable([set], 0)), (vec![], [false]), "not any more");
        };
        none(&set);

        other.send(&to("p"), &tagged(1)).unwrap();
        only(&set, "port");
        guest.receive(port, NOW).unwrap().unwrap();
        none(&set);
        let ask = other.receive(far, Some(SOON)).unwrap().unwrap();
        other.respond(&ask, &Answer::new("!")).unwrap();
        only(&set, "ticket");
        assert!(guest.settle(ticket, NOW).unwrap().unwrap().status().is_good());
        assert_eq!(set.wait(NOW).unwrap(), [("ticket", Sign::Closed)], "its outcome was taken");
        set.remove(&"ticket");
        none(&set);
        let later = other.open(&PortSpec::named("later")).unwrap();
        only(&set, "path");
        assert_eq!(guest.path_change(path, NOW).unwrap(), Some(messenger::PathState::Enabled));
        none(&set);
        other.open(&PortSpec::named("r")).unwrap();
        only(&set, "watch");
        assert!(guest.change(watch, NOW).unwrap().unwrap().up);
        none(&set);
        there.write_all(b"x").unwrap();
        only(&set, "fd");
        io::Read::read(&mut &here, &mut [0; 8]).unwrap();
        none(&set);
        set.add("soon", Instant::now() + Duration::from_millis(20)).unwrap();
        only(&set, "soon");
        set.remove(&"soon");
        none(&set);
        // Two at once.
        there.write_all(b"x").unwrap();
        other.send(&to("p"), &tagged(1)).unwrap();
        until("both", || set.wait(Some(SOON)).unwrap() == [("fd", Sign::Ready), ("port", Sign::Ready)]);
        other.close(later).unwrap();
    });
}

/// Rows: WL-2.
#[test]
fn a_set_waits_not_at_all_or_for_a_time_or_for_ever() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let mut set = WaitSet::new(&guest).unwrap();
        set.add(1, port).unwrap();
        let start = Instant::now();
        assert_eq!(set.wait(NOW).unwrap(), []);
        assert!(start.elapsed() < SOON);
        let limit = Duration::from_millis(50);
        let start = Instant::now();
        assert_eq!(set.wait(Some(limit)).unwrap(), []);
        assert!((limit..SOON).contains(&start.elapsed()));
        let waiter = thread::spawn(move || set.wait(None).unwrap());
        assert!(!waiter.is_finished());
        guest.send(&to("p"), &tagged(1)).unwrap();
        assert_eq!(waiter.join().unwrap(), [(1, Sign::Ready)]);
    });
}

/// A message that comes between the look and the sleep of who waits wakes it: a thousand times, with nothing else to wake it, the
/// next one is sent only when the last was told.
///
/// Rows: WL-3.
#[test]
fn no_wake_up_is_lost() {
    let mut house = House::new();
    house.serve(|path| {
        let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let back = other.open(&PortSpec::named("q")).unwrap();
        let echo = thread::spawn(move || {
            for tag in 0..1000 {
                other.send(&to("p"), &tagged(tag)).unwrap();
                assert_eq!(other.receive(back, Some(SOON)).unwrap().unwrap().head.tag, tag);
            }
        });
        let mut set = WaitSet::new(&guest).unwrap();
        set.add((), port).unwrap();
        for tag in 0..1000 {
            assert_eq!(set.wait(Some(SOON)).unwrap(), [((), Sign::Ready)], "message {tag}");
            assert_eq!(guest.receive(port, NOW).unwrap().unwrap().head.tag, tag);
            guest.send(&to("q"), &tagged(tag)).unwrap();
        }
        echo.join().unwrap();
    });
}

/// Whatever closes while it is waited for is told as closed: a port, a ticket that somebody else asked for, a path, a watch, the
/// other end of a descriptor; and the end of the connection is an error.
///
/// Rows: WL-4.
#[test]
fn who_waits_is_told_of_the_end() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let ticket = guest.send(&to("p"), &asking("?")).unwrap().ticket.unwrap();
        let path = guest.open_path(&PathSpec::to(to("p"))).unwrap();
        let watch = guest.watch("nobody").unwrap();
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let set = |key: &'static str, what: Waitable| {
            let mut set = WaitSet::new(&guest).unwrap();
            set.add(key, what).unwrap();
            thread::spawn(move || set.wait(None))
        };
        let all = [
            set("ticket", ticket.into()),
            set("path", path.into()),
            set("watch", watch.into()),
            set("fd", Waitable::Fd(here.into())),
        ];
        // The port has a message until it closes.
        let mut port_set = WaitSet::new(&guest).unwrap();
        port_set.add("port", port).unwrap();
        assert_eq!(port_set.wait(Some(SOON)).unwrap(), [("port", Sign::Ready)]);
        let end = set("end", Waitable::Notices);
        guest.on_settled(ticket, drop).unwrap();
        guest.close_path(path).unwrap();
        guest.unwatch(watch).unwrap();
        drop(there);
        for (thread, key) in all.into_iter().zip(["ticket", "path", "watch", "fd"]) {
            assert_eq!(thread.join().unwrap().unwrap(), [(key, Sign::Closed)]);
        }
        guest.close(port).unwrap();
        until("the end of the port", || port_set.wait(Some(SOON)).unwrap() == [("port", Sign::Closed)]);
        guest.leave();
        assert!(matches!(end.join().unwrap(), Err(GuestError::Io(_))));
        assert!(matches!(port_set.wait(None), Err(GuestError::Io(_))));
    });
}

/// The descriptor of a set stands beside a pipe in one poll(2), which returns for either.
///
/// Rows: MA-19.
#[test]
fn a_set_is_waited_for_beside_other_descriptors() {
    let mut house = House::new();
    house.serve(|path| {
        let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let mut set = WaitSet::new(&guest).unwrap();
        set.add("p", port).unwrap();
        let (pipe, mut far) = io::pipe().unwrap();
        assert_eq!(readable([&set, &pipe], 0), [false, false]);
        far.write_all(b"x").unwrap();
        assert_eq!(readable([&set, &pipe], 10_000), [false, true]);
        io::Read::read(&mut &pipe, &mut [0; 8]).unwrap();
        other.send(&to("p"), &tagged(1)).unwrap();
        assert_eq!(readable([&set, &pipe], 10_000), [true, false]);
        assert_eq!(guest.receive(port, NOW).unwrap().unwrap().head.tag, 1);
        assert_eq!(readable([&set, &pipe], 0), [false, false]);
    });
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: one future, and a thread that sleeps until it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let end = Instant::now() + SOON;
    loop {
        if let Polled::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park_timeout(end.saturating_duration_since(Instant::now()));
        assert!(Instant::now() < end, "it was not woken");
    }
}

#[test]
fn futures_are_told_of_messages_outcomes_and_changes() {
    let mut house = House::new();
    house.serve(|path| {
        let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let watch = guest.watch("r").unwrap();
        // What is there already.
        other.send(&to("p"), &tagged(1)).unwrap();
        assert_eq!(block_on(guest.receive_async(port, Take::any())).unwrap().head.tag, 1);
        // What comes while it waits; what comes between is passed over.
        let sender = {
            let other = other.clone();
            thread::spawn(move || {
                for tag in 0..500 {
                    other.send(&to("p"), &tagged(tag)).unwrap();
                    other.send(&to("p"), &tagged(1_000_000)).unwrap();
                }
                other.open(&PortSpec::named("r")).unwrap();
                let outcome = other.call(&to("p"), &tagged(500), SOON).unwrap();
                assert_eq!(outcome.answers[0].payload, b"!");
            })
        };
        block_on(async {
            for tag in 0..500 {
                assert_eq!(guest.receive_async(port, Take::tagged(tag)).await.unwrap().head.tag, tag);
            }
            assert!(guest.change_async(watch).await.unwrap().up);
            let asked = guest.receive_async(port, Take::tagged(500)).await.unwrap();
            guest.respond(&asked, &Answer::new("!")).unwrap();
            let message = Message { from: Some(port), ..Message::confirmed("x") };
            let ticket = guest.send(&to("p"), &message).unwrap().ticket.unwrap();
            assert!(guest.settle_async(ticket).await.unwrap().status().is_good());
            assert_eq!(refusal(guest.settle_async(ticket).await), Code::BadHandle);
            guest.unwatch(watch).unwrap();
            assert_eq!(refusal(guest.change_async(watch).await), Code::BadHandle);
        });
        sender.join().unwrap();
        // What ends while it is waited for.
        let waiting = guest.receive_async(port, Take::tagged(9));
        let closer = {
            let guest = guest.clone();
            thread::spawn(move || guest.close(port).unwrap())
        };
        assert_eq!(refusal(block_on(waiting)), Code::BadHandle);
        closer.join().unwrap();
        let watch = guest.watch("s").unwrap();
        let waiting = guest.change_async(watch);
        guest.leave();
        assert!(matches!(block_on(waiting), Err(GuestError::Io(_))));
    });
}

/// A future that asked for a message and is dropped loses none: who receives next has it, in order.
#[test]
fn a_future_that_is_dropped_loses_no_message() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let mut set = WaitSet::new(&guest).unwrap();
        set.add((), port).unwrap();
        let mut dropped = 0;
        for tag in 0..200 {
            guest.send(&to("p"), &tagged(tag)).unwrap();
            assert_eq!(set.wait(Some(SOON)).unwrap(), [((), Sign::Ready)]);
            // It asks, since there is news, and is dropped before the answer comes, nearly always.
            let mut future = pin!(guest.receive_async(port, Take::any().held()));
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Polled::Ready(message) => {
                    let message = message.unwrap();
                    assert_eq!(message.head.tag, tag);
                    guest.release(&message).unwrap();
                }
                Polled::Pending => {
                    future.set(guest.receive_async(port, Take::any()));
                    dropped += 1;
                    let got = guest.receive(port, Some(SOON)).unwrap().unwrap();
                    assert_eq!((got.head.tag, got.hold), (tag, None));
                }
            }
        }
        assert!(dropped > 0);
        assert_eq!(guest.receive(port, NOW).unwrap(), None);
    });
    assert_eq!(house.node.exchange().ports().count(), 0);
}

/// A table has what is there, and a counter that rises with each change: who waits for more than it read is told when something comes or
/// goes, and not before.
///
/// Rows: LD-5.
#[test]
fn a_table_of_devices_tells_that_it_changed() {
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let disk = |n: u32| PortSpec { kind: Some("disk".into()), ..PortSpec::named(format!("disk/{n}")) };
        b.open(&disk(0)).unwrap();
        let mut table = messenger::Devices::open(&a, "disk/* kind=disk").unwrap();
        let names = |table: &messenger::Devices| table.iter().map(|disk| disk.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&table), table.changes()), (vec!["disk/0".to_owned()], 1));
        b.open(&PortSpec::named("disk/none")).unwrap();
        assert!(!table.wait(table.changes(), Some(Duration::from_millis(20))).unwrap(), "it is no disk");
        let read = table.changes();
        let waits = thread::spawn(move || (table.wait(read, None), table));
        let port = b.open(&disk(1)).unwrap();
        let (told, mut table) = waits.join().unwrap();
        assert!(told.unwrap());
        assert_eq!((names(&table).len(), table.changes()), (2, 2));
        assert!(table.wait(0, Some(Duration::ZERO)).unwrap(), "that was before");
        b.close(port).unwrap();
        assert!(table.wait(2, Some(SOON)).unwrap());
        assert_eq!((names(&table), table.changes()), (vec!["disk/0".to_owned()], 3));
    });
}
