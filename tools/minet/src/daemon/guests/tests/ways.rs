//! The ways to be told: several threads of one guest, selection, callbacks, held messages.

use super::*;
use messenger::{Finished, Outcome, Received, Take, Wants};
use std::sync::mpsc;

pub(super) fn to(name: &str) -> To {
    To::Name(name.into())
}

pub(super) fn tagged(tag: u32) -> Message {
    Message { tag, ..Message::new(tag.to_le_bytes()) }
}

pub(super) fn asking(text: &str) -> Message {
    Message { wants: Wants::Answer, ..Message::new(text) }
}

/// Waits until something is so, without a limit of its own but that of the test.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

/// One thread waits to receive, one for a ticket, one for a watch; a fourth sends, and all are served.
#[test]
fn threads_of_one_guest_do_not_wait_for_one_another() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let other = guest.open(&PortSpec::named("q")).unwrap();
        let watch = guest.watch("r").unwrap();
        let (tell, told) = mpsc::channel();
        let ticket = guest.send(&to("q"), &asking("?")).unwrap().ticket.unwrap();
        let waiting = {
            let run = |work: fn(&Guest, PortId, messenger::Ticket, messenger::Watch) -> &'static str| {
                let (guest, tell) = (guest.clone(), tell.clone());
                thread::spawn(move || tell.send(work(&guest, port, ticket, watch)).unwrap())
            };
            [
                run(|guest, port, _, _| {
                    assert_eq!(guest.receive(port, None).unwrap().unwrap().tag(), 7);
                    "received"
                }),
                run(|guest, _, ticket, _| {
                    assert!(guest.settle(ticket, None).unwrap().unwrap().status().is_good());
                    "settled"
                }),
                run(|guest, _, _, watch| {
                    assert!(guest.change(watch, None).unwrap().unwrap().up);
                    "changed"
                }),
            ]
        };
        until("a receiver", || guest.pending(port).receivers == [Take::any()]);
        let ask = guest.receive(other, Some(SOON)).unwrap().unwrap();
        guest.send(&to("p"), &tagged(7)).unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap(), "received");
        guest.respond(&ask, &Answer::new("!")).unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap(), "settled");
        guest.open(&PortSpec::named("r")).unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap(), "changed");
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A port that is finished waits for what was sent from it, takes nothing more, and tells its end after everything else.
///
/// PROTOCOL 12.10.
#[test]
fn a_port_is_finished_when_what_it_sent_is_settled() {
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let (port, other) = (a.open(&PortSpec::named("p")).unwrap(), b.open(&PortSpec::named("q")).unwrap());
        let number = a.node().get().to_string();
        assert!(["a", &number].iter().all(|name| a.find(name).unwrap() == (a.node(), "a".to_owned())));
        assert_eq!(refusal(a.find("nobody")), Code::NotFound);
        b.send(&to("p"), &Message::new("waits")).unwrap();
        let look = a.look(port).unwrap();
        assert_eq!((look.waiting, look.held, refusal(b.look(port))), (1, 0, Code::BadHandle));
        let (tell, told) = mpsc::channel();
        let settled = tell.clone();
        let asks = Message { from: Some(port), ..asking("?") };
        a.send_then(&to("q"), &asks, move |outcome| settled.send(outcome.map(|_| None)).unwrap()).unwrap();
        let ended = tell.clone();
        assert_eq!(a.finish(port, move |end| ended.send(end.map(Some)).unwrap()).unwrap(), Finished::Later);
        assert_eq!(refusal(a.send(&to("q"), &asks)), Code::Closing);
        assert!(told.try_recv().is_err());
        let ask = b.receive(other, Some(SOON)).unwrap().unwrap();
        b.respond(&ask, &Answer::new("!")).unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap().unwrap(), None, "first what was sent");
        assert_eq!(told.recv_timeout(SOON).unwrap().unwrap(), Some(Finished::Later));
        assert_eq!(refusal(a.look(port)), Code::BadHandle);
        // With nothing under way it is closed when the call is back.
        let ended = tell.clone();
        assert_eq!(b.finish(other, move |end| ended.send(end.map(Some)).unwrap()).unwrap(), Finished::AtOnce);
        assert_eq!(refusal(b.look(other)), Code::BadHandle);
        assert_eq!(told.recv_timeout(SOON).unwrap().unwrap(), Some(Finished::AtOnce));
        assert_eq!(refusal(b.finish(other, |_| ())), Code::BadHandle);
    });
}

/// Many threads send and receive through one handle: nothing is lost, nothing comes twice.
#[test]
fn a_handle_is_shared_by_many_threads() {
    const EACH: u32 = 200;
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let senders: Vec<_> = (0..4)
            .map(|n| {
                let guest = guest.clone();
                thread::spawn(move || {
                    for tag in n * EACH..(n + 1) * EACH {
                        let message = Message { wants: Wants::Receipt, ..tagged(tag) };
                        let ticket = guest.send(&to("p"), &message).unwrap().ticket.unwrap();
                        assert!(guest.settle(ticket, Some(SOON)).unwrap().unwrap().status().is_good());
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let guest = guest.clone();
                thread::spawn(move || -> Vec<u32> {
                    (0..EACH).map(|_| guest.receive(port, Some(SOON)).unwrap().unwrap().tag()).collect()
                })
            })
            .collect();
        senders.into_iter().for_each(|thread| thread.join().unwrap());
        let mut all: Vec<u32> = receivers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..4 * EACH).collect::<Vec<_>>());
        assert_eq!(guest.pending(port), messenger::Pending::default());
    });
}

pub(super) trait Tag {
    fn tag(&self) -> u32;
}

impl Tag for Received {
    fn tag(&self) -> u32 {
        assert_eq!(self.payload, self.head.tag.to_le_bytes());
        self.head.tag
    }
}

/// A message is taken by its tag, out of the port in the daemon; the others stay in order. Who waits for a tag is not woken for
/// another one, and misses none that comes while the port has others.
///
/// PROTOCOL 12.6.
#[test]
fn messages_are_taken_by_tag() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        for tag in [1, 2, 3, 2] {
            guest.send(&to("p"), &tagged(tag)).unwrap();
        }
        assert_eq!(guest.receive_tagged(port, 9, Some(Duration::ZERO)).unwrap(), None);
        assert_eq!(guest.receive_tagged(port, 2, Some(SOON)).unwrap().unwrap().tag(), 2);
        assert_eq!(guest.receive_with(port, Take::masked(3, 3), Some(SOON)).unwrap().unwrap().tag(), 3);
        let waiter = {
            let guest = guest.clone();
            thread::spawn(move || guest.receive_tagged(port, 9, None).unwrap().unwrap().tag())
        };
        until("a receiver", || guest.pending(port).receivers == [Take::tagged(9)]);
        for tag in [4, 9] {
            guest.send(&to("p"), &tagged(tag)).unwrap();
        }
        assert_eq!(waiter.join().unwrap(), 9);
        let rest: Vec<u32> = (0..3).map(|_| guest.receive(port, None).unwrap().unwrap().tag()).collect();
        assert_eq!(rest, [1, 2, 4]);
    });
}

#[test]
fn who_waits_is_sent_away_or_told_of_the_end() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let wait = || {
            let guest = guest.clone();
            thread::spawn(move || guest.receive(port, None).map(drop))
        };
        let first = wait();
        until("a receiver", || guest.pending(port).receivers.len() == 1);
        assert_eq!(guest.cancel_receives(port), 1);
        assert_eq!(refusal(first.join().unwrap()), Code::Canceled);
        let second = wait();
        until("a receiver", || guest.pending(port).receivers.len() == 1);
        guest.close(port).unwrap();
        assert_eq!(refusal(second.join().unwrap()), Code::BadHandle);
        let watch = guest.watch("*").unwrap();
        let third = {
            let guest = guest.clone();
            thread::spawn(move || guest.change(watch, None).map(drop))
        };
        guest.leave();
        assert!(matches!(third.join().unwrap(), Err(GuestError::Io(_))));
        assert!(guest.open(&PortSpec::named("q")).is_err());
    });
}

/// A handler has each message in order, in a thread that is not the sender's; its failures and its panics are counted, told
/// to who waits for an answer, and end nothing. Other ports' messages, and tags that it does not want, are received beside.
#[test]
fn a_handler_has_every_message_and_may_fail() {
    let mut house = House::new();
    house.serve(|path| {
        let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let port = guest.open(&PortSpec::named("p")).unwrap();
        other.send(&to("p"), &tagged(0)).unwrap();
        let (tell, told) = mpsc::channel();
        guest
            .on_message(port, move |message: Received| {
                let name = thread::current().name().map(str::to_owned);
                tell.send((message.head.tag, name)).unwrap();
                match message.head.tag {
                    2 => Err(Code::NotSupported.into()),
                    3 => panic!("this panic is part of the test"),
                    _ => Ok(()),
                }
            })
            .unwrap();
        assert_eq!(refusal(guest.on_message(port, |_| Ok(()))), Code::Busy);
        assert_eq!(refusal(guest.receive(port, Some(SOON))), Code::Busy);
        other.send(&to("p"), &tagged(1)).unwrap();
        for (tag, code) in [(2, Code::NotSupported), (3, Code::Failed)] {
            let outcome = other.call(&to("p"), &tagged(tag), SOON).unwrap();
            assert_eq!(outcome.status(), Status::new(code));
        }
        other.send(&to("p"), &tagged(4)).unwrap();
        for tag in 0..5 {
            assert_eq!(told.recv_timeout(SOON).unwrap(), (tag, Some("guest-callbacks".into())));
        }
        assert_eq!(guest.failures(port), 2);
        guest.end_handler(port).unwrap();
        assert!(told.recv_timeout(SOON).is_err(), "it is dropped");
        other.send(&to("p"), &tagged(5)).unwrap();
        assert_eq!(guest.receive(port, Some(SOON)).unwrap().unwrap().tag(), 5);

        // Some are handled, others received.
        let (tell, told) = mpsc::channel();
        let odd = Take::masked(1, 1);
        guest
            .on_message_with(port, odd, move |message| tell.send(message.head.tag).map_err(|_| Code::Failed.into()))
            .unwrap();
        for tag in 0..6 {
            other.send(&to("p"), &tagged(tag)).unwrap();
        }
        let odd: Vec<u32> = (0..3).map(|_| told.recv_timeout(SOON).unwrap()).collect();
        let even: Vec<u32> = (0..3).map(|_| guest.receive(port, Some(SOON)).unwrap().unwrap().tag()).collect();
        assert_eq!((odd, even), (vec![1, 3, 5], vec![0, 2, 4]));
    });
}

/// What a callback of a ticket is told, it is told once and in the guest's own thread; one that panics stops no other, and one
/// may send and wait itself.
#[test]
fn callbacks_are_told_of_settled_tickets() {
    let mut house = House::new();
    let (told, open) = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let (tell, told) = mpsc::channel::<(u32, Result<Outcome, GuestError>)>();
        let callback = |n: u32| {
            let tell = tell.clone();
            move |outcome| tell.send((n, outcome)).unwrap()
        };
        let confirmed = Message { from: Some(port), ..Message::confirmed("x") };
        guest.send_then(&to("p"), &confirmed, |_| panic!("this panic is part of the test")).unwrap();
        guest.send_then(&to("p"), &confirmed, callback(1)).unwrap();
        let ticket = guest.send(&to("p"), &confirmed).unwrap().ticket.unwrap();
        until("the receipt", || guest.pending(port).tickets.is_empty());
        guest.on_settled(ticket, callback(2)).unwrap();
        assert_eq!(refusal(guest.on_settled(ticket, callback(3))), Code::BadHandle);
        assert_eq!(refusal(guest.settle(ticket, None)), Code::BadHandle);
        for n in [1, 2] {
            let (which, outcome) = told.recv_timeout(SOON).unwrap();
            assert_eq!((which, outcome.unwrap().status()), (n, Status::GOOD));
        }
        // From within a callback.
        let (inner, inner_tell) = (guest.clone(), tell.clone());
        guest
            .send_then(&to("p"), &confirmed, move |_| {
                let ticket = inner.send(&To::Name("p".into()), &Message::confirmed("y")).unwrap().ticket.unwrap();
                let outcome = inner.settle(ticket, Some(SOON)).map(|outcome| outcome.unwrap());
                inner_tell.send((4, outcome)).unwrap();
            })
            .unwrap();
        let (which, outcome) = told.recv_timeout(SOON).unwrap();
        assert_eq!((which, outcome.unwrap().status()), (4, Status::GOOD));
        let sent = guest.send_then(&to("p"), &asking("nobody answers"), callback(5)).unwrap();
        (told, (guest, sent))
    });
    // The end of the connection is told to who waits for a ticket.
    drop(open);
    let (which, outcome) = told.recv_timeout(SOON).unwrap();
    assert!(which == 5 && matches!(outcome, Err(GuestError::Io(_))));
}

/// A message that is held keeps its room: a port whose room is all held refuses its senders until one is released, once.
///
/// PROTOCOL 12.6.
#[test]
fn who_holds_all_room_holds_up_senders() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        // Room for two of 128 bytes and four of payload.
        let port = guest.open(&PortSpec { room: Some(264), ..PortSpec::named("p") }).unwrap();
        let send = |tag| {
            let message = Message { wants: Wants::Receipt, ..tagged(tag) };
            let ticket = guest.send(&to("p"), &message).unwrap().ticket.unwrap();
            guest.settle(ticket, Some(SOON)).unwrap().unwrap().status().code
        };
        let hold = || guest.receive_with(port, Take::any().held(), Some(SOON)).unwrap().unwrap();
        assert_eq!((send(1), send(2), send(3)), (Code::Good, Code::Good, Code::Full));
        let (first, second) = (hold(), hold());
        assert_eq!((first.tag(), second.tag(), send(4)), (1, 2, Code::Full));
        guest.release(&second).unwrap();
        assert_eq!(send(5), Code::Good);
        assert_eq!(refusal(guest.release(&second)), Code::BadHandle);
        let plain = guest.receive(port, Some(SOON)).unwrap().unwrap();
        assert_eq!((refusal(guest.release(&plain)), send(6), send(7)), (Code::BadHandle, Code::Good, Code::Full));
        // Who leaves a port holds nothing of it.
        drop(guest);
    });
    assert_eq!(house.node.exchange().ports().count(), 0);
}

/// The same messages by a handler, by a call that waits, by one that does not, and by one with a time limit.
///
/// Rows: MR-1.
#[test]
fn messages_are_received_in_four_ways() {
    type Way = fn(&Guest, PortId) -> Vec<u32>;
    let handler: Way = |guest, port| {
        let (tell, told) = mpsc::channel();
        let handler = move |message: Received| tell.send(message.tag()).map_err(|_| Code::Failed.into());
        guest.on_message(port, handler).unwrap();
        (0..20).map(|_| told.recv_timeout(SOON).unwrap()).collect()
    };
    let blocking: Way = |guest, port| (0..20).map(|_| guest.receive(port, None).unwrap().unwrap().tag()).collect();
    let timed: Way = |guest, port| {
        let got = (0..20).map(|_| guest.receive(port, Some(SOON)).unwrap().unwrap().tag()).collect();
        let (limit, start) = (Duration::from_millis(20), Instant::now());
        assert_eq!(guest.receive(port, Some(limit)).unwrap(), None);
        assert!((limit..SOON).contains(&start.elapsed()));
        got
    };
    let polling: Way = |guest, port| {
        let mut got = Vec::new();
        until("messages", || {
            got.extend(guest.receive(port, Some(Duration::ZERO)).unwrap().map(|message| message.tag()));
            got.len() == 20
        });
        got
    };
    let mut house = House::new();
    for way in [handler, blocking, timed, polling] {
        house.serve(move |path| {
            let (guest, other) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
            let port = guest.open(&PortSpec::named("p")).unwrap();
            let sender = thread::spawn(move || {
                for tag in 0..20 {
                    other.send(&to("p"), &tagged(tag)).unwrap();
                }
            });
            assert_eq!(way(&guest, port), (0..20).collect::<Vec<_>>());
            sender.join().unwrap();
        });
    }
}
