//! Ports: names, areas, lives, and handles.

use super::*;
use crate::{Answer, Life, MESSAGE_COST, Mode, TicketId, wire::Priority};

/// Rows: LD-1.
#[test]
fn a_port_is_found_by_name_kind_and_property_from_another_node() {
    let mut w = world(2);
    let spec = PortSpec {
        kind: Some(name("net")),
        properties: vec![(name("speed"), name("1000"))],
        ..PortSpec::named(name("net/eth0"))
    };
    let now = w.now;
    let port = w.at(2).open_port(now, spec).unwrap();
    w.carry();
    for pattern in ["net/eth0", "kind=net", "speed=1000", "net/* kind=net speed>=100"] {
        let target = Target::Pattern(crate::Pattern::parse(pattern).unwrap());
        let path = w.path(1, target);
        w.send(1, path, &Message::new(pattern.as_bytes())).unwrap();
        w.carry();
        let got = w.messages(2);
        assert_eq!((got.len(), got[0].port), (1, port), "{pattern}");
    }
}

/// Rows: LD-2.
#[test]
fn a_name_is_taken_once_in_its_scope() {
    let mut w = world(2);
    w.open(1, "a");
    let now = w.now;
    let twice = w.at(1).open_port(now, PortSpec::named(name("a")));
    assert_eq!(twice, Err(Status::new(Code::Exists)));
    // Another node may have a port of that name; a name of the fabric is taken for all.
    w.open(2, "a");
    w.open_fabric(1, "f").unwrap();
    assert_eq!(w.open_fabric(2, "f"), Err(Status::new(Code::Exists)));
    assert!(w.at(2).open_port(now, PortSpec::named(name("f"))).is_ok(), "the scope of a node is another one");
}

/// Rows: LD-3.
#[test]
fn a_name_moves_to_another_node_and_senders_need_no_change() {
    let mut w = world(3);
    let old = w.open_fabric(2, "disk").unwrap();
    let path = w.path(1, by_name("disk"));
    w.send(1, path, &Message::new(&b"1"[..])).unwrap();
    w.carry();
    assert_eq!(w.messages(2).len(), 1);
    let now = w.now;
    w.at(2).close_port(now, old).unwrap();
    w.carry();
    w.open_fabric(3, "disk").unwrap();
    // A path that does not hunt has to be told to look again.
    w.at(1).reset_path(now, path).unwrap();
    w.send(1, path, &Message::new(&b"2"[..])).unwrap();
    w.carry();
    assert_eq!((w.messages(2).len(), w.messages(3).len()), (0, 1));
}

/// Rows: OH-4.
#[test]
fn stale_handles_never_meet_new_objects() {
    let mut w = world(2);
    let now = w.now;
    let mut old = Vec::new();
    for _ in 0..20 {
        let port = w.at(1).open_port(now, PortSpec::default()).unwrap();
        let spec = PathSpec { from: port, ..PathSpec::to(Target::Port(node(2), PortId { index: 9, generation: 9 })) };
        let path = w.at(1).open_path(now, spec).unwrap();
        let ticket = w.send(1, path, &Message::request(&b""[..])).unwrap().ticket.unwrap();
        assert!(old.iter().all(|(p, q, t)| *p != port && *q != path && *t != ticket));
        w.at(1).close_port(now, port).unwrap();
        old.push((port, path, ticket));
    }
    let bad = Err(Status::new(Code::BadHandle));
    for (port, path, ticket) in old {
        let x = w.at(1);
        assert!(x.port(port).is_none() && x.path(path).is_none() && x.ticket(ticket).is_none());
        assert_eq!((x.close_port(now, port), x.close_path(now, path), x.cancel(now, ticket)), (bad, bad, bad));
        assert_eq!(x.receive(now, port, |_| true).map(|_| ()), bad);
        assert_eq!(w.send(1, path, &Message::default()).map(|_| ()), bad);
    }
}

/// A full area is an answer, to the sender of the message and to nobody else. Rows of the port's own bound.
///
/// Rows: SS-3.
#[test]
fn each_area_has_a_bound_of_its_own() {
    let mut w = world(2);
    let now = w.now;
    let areas = [2 * (MESSAGE_COST + 10); 4];
    let spec = PortSpec { areas, mode: Mode::Held, ..PortSpec::named(name("b")) };
    let port = w.at(2).open_port(now, spec).unwrap();
    w.carry();
    let path = w.path(1, by_name("b"));
    for priority in [Priority::Normal, Priority::Urgent] {
        for _ in 0..3 {
            w.send(1, path, &Message { priority, ..Message::confirmed(&[7; 10][..]) }).unwrap();
        }
    }
    w.carry();
    let ends: Vec<_> = w.outcomes(1).iter().map(Outcome::status).collect();
    let full = Status::with(Code::Full, 0);
    assert_eq!(ends.iter().filter(|s| s.is_good()).count(), 4);
    assert_eq!(ends.iter().filter(|s| **s == full).count(), 2);
    assert_eq!(w.at(2).port(port).unwrap().depth(), [2, 0, 2, 0]);
    // The most urgent first; and what was taken makes room.
    let first = w.at(2).receive(now, port, |_| true).unwrap().unwrap();
    assert_eq!(first.priority, Priority::Urgent);
    w.send(1, path, &Message { priority: Priority::Urgent, ..Message::confirmed(&[7; 10][..]) }).unwrap();
    w.carry();
    assert_eq!(w.outcomes(1)[0].status(), Status::GOOD);
    let counts = w.at(2).port(port).unwrap().counts();
    assert_eq!((counts.admitted, counts.refused, counts.taken, counts.bytes), (5, 2, 1, 50));
}

#[test]
fn held_messages_are_chosen_by_their_receiver() {
    let mut w = world(1);
    let now = w.now;
    let port = w.at(1).open_port(now, PortSpec { mode: Mode::Held, ..PortSpec::named(name("a")) }).unwrap();
    let path = w.path(1, by_name("a"));
    for tag in [1, 2] {
        w.send(1, path, &Message { tag, ..Message::default() }).unwrap();
    }
    let ready = w.told(1).into_iter().filter(|d| matches!(d, Delivery::Ready { .. })).count();
    assert_eq!(ready, 1, "told once until it is empty");
    assert_eq!(w.at(1).receive(now, port, |m| m.tag == 2).unwrap().unwrap().tag, 2);
    assert_eq!(w.at(1).receive(now, port, |m| m.tag == 2), Ok(None));
    assert_eq!(w.at(1).receive(now, port, |_| true).unwrap().unwrap().tag, 1);
}

/// A receive that found nothing it wanted is told of the next message, whatever waits beside it.
///
/// PROTOCOL 12.5.
#[test]
fn who_passed_over_messages_is_told_of_the_next_one() {
    let mut w = world(1);
    let now = w.now;
    let port = w.at(1).open_port(now, PortSpec { mode: Mode::Held, ..PortSpec::named(name("a")) }).unwrap();
    let path = w.path(1, by_name("a"));
    let told_of = |w: &mut World, tag| {
        w.send(1, path, &Message { tag, ..Message::default() }).unwrap();
        w.told(1).into_iter().filter(|d| matches!(d, Delivery::Ready { .. })).count()
    };
    assert_eq!((told_of(&mut w, 1), told_of(&mut w, 2)), (1, 0));
    assert_eq!(w.at(1).receive(now, port, |m| m.tag == 3), Ok(None));
    assert_eq!((told_of(&mut w, 3), told_of(&mut w, 4)), (1, 0));
    assert_eq!(w.at(1).receive(now, port, |m| m.tag == 3).unwrap().unwrap().tag, 3);
    assert_eq!(told_of(&mut w, 5), 0, "the last receive found one");
}

#[test]
fn a_held_message_keeps_its_room() {
    let mut w = world(1);
    let now = w.now;
    let areas = [2 * (MESSAGE_COST + 10); 4];
    let spec = PortSpec { areas, mode: Mode::Held, life: Life::Persistent, ..PortSpec::named(name("a")) };
    let port = w.at(1).open_port(now, spec).unwrap();
    let path = w.path(1, by_name("a"));
    let fits = |w: &mut World| {
        w.send(1, path, &Message::confirmed(&[7; 10][..])).unwrap();
        w.outcomes(1)[0].status().is_good()
    };
    assert!(fits(&mut w) && fits(&mut w) && !fits(&mut w));
    let holds = [(); 2].map(|()| w.at(1).receive_held(now, port, |_| true).unwrap().unwrap().1);
    assert_eq!(w.at(1).receive_held(now, port, |_| true), Ok(None));
    assert_eq!((w.at(1).port(port).unwrap().held(), fits(&mut w)), (2, false));
    assert_eq!(w.at(1).release_held(now, port, holds[1]), Ok(()));
    assert_eq!(w.at(1).release_held(now, port, holds[1]), Err(Status::new(Code::BadHandle)));
    assert!(fits(&mut w) && !fits(&mut w));
    // What its receiver held is given back when it leaves; what waits stays.
    w.at(1).detach(now, port).unwrap();
    assert_eq!(w.at(1).release_held(now, port, holds[0]), Err(Status::new(Code::BadHandle)));
    assert!(fits(&mut w) && !fits(&mut w));
    assert_eq!(w.at(1).port(port).unwrap().depth(), [0, 0, 2, 0]);
}

#[test]
fn lives_of_ports() {
    let mut w = world(1);
    let now = w.now;
    let open = |w: &mut World, life| w.at(1).open_port(now, PortSpec { life, ..PortSpec::default() }).unwrap();
    let (dies, stays) = (open(&mut w, Life::Receiver), open(&mut w, Life::Persistent));
    let waits = open(&mut w, Life::Retained(Duration::from_secs(1)));
    assert_eq!(w.at(1).attach(now, stays), Err(Status::new(Code::Busy)));
    for port in [dies, stays, waits] {
        w.at(1).detach(now, port).unwrap();
    }
    assert_eq!(w.at(1).detach(now, stays), Err(Status::new(Code::NotOpen)));
    assert!(w.at(1).port(dies).is_none());
    // What comes meanwhile waits for the next receiver.
    let path = w.path(1, Target::Port(node(1), stays));
    w.send(1, path, &Message::default()).unwrap();
    assert_eq!(w.messages(1).len(), 0);
    w.at(1).attach(now, stays).unwrap();
    assert_eq!(w.messages(1).len(), 1);
    w.run(Duration::from_millis(900));
    assert!(w.at(1).port(waits).is_some());
    w.run(Duration::from_millis(200));
    assert!(w.at(1).port(waits).is_none() && w.at(1).port(stays).is_some());
}

/// Rows: MR-3.
#[test]
fn a_message_for_an_absent_port_is_refused_and_counted() {
    let mut w = world(2);
    for target in [PortId { index: 7, generation: 1 }, PortId { index: 0, generation: 1 }] {
        let path = w.path(1, Target::Port(node(2), target));
        w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
        w.send(1, path, &Message::request(&b""[..])).unwrap();
        w.send(1, path, &Message::default()).unwrap();
        w.carry();
        let ends: Vec<_> = w.outcomes(1).iter().map(|o| o.status().code).collect();
        assert_eq!(ends, [Code::NoPort, Code::NoPort]);
    }
    assert_eq!((w.nodes[1].counts().no_port, w.at(2).traffic().refused), (6, 6));
}

/// The node itself does not know the opcode: a failed answer, not silence.
///
/// Rows: LD-6.
#[test]
fn the_node_refuses_an_opcode_it_does_not_know() {
    let mut w = world(2);
    let path = w.path(1, Target::Port(node(2), PortId::NODE));
    w.send(1, path, &Message { opcode: 0xffff, ..Message::request(&b""[..]) }).unwrap();
    w.carry();
    assert_eq!(w.outcomes(1)[0].status(), Status::new(Code::NotSupported));
}

/// Rows: MI-4.
#[test]
fn an_answer_finds_the_asker_by_what_was_received() {
    let mut w = world(2);
    w.open(2, "b");
    let now = w.now;
    let from = w.open(1, "a");
    let spec = PathSpec { from, context: 11, ..PathSpec::to(by_name("b")) };
    let path = w.at(1).open_path(now, spec).unwrap();
    w.send(1, path, &Message { context: 12, tag: 3, ..Message::request(&b"?"[..]) }).unwrap();
    w.carry();
    let got = w.messages(2);
    assert_eq!((got[0].node, got[0].from, got[0].tag), (node(1), from, 3));
    let ask = ask_of(&got);
    w.at(2).respond(now, &ask, Answer { opcode: 9, ..Answer::new(&b"!"[..]) }).unwrap();
    assert_eq!(w.at(2).respond(now, &ask, Answer::new(&b"!"[..])), Err(Status::new(Code::NotFound)), "once");
    w.carry();
    let told = w.told(1);
    let [Delivery::Response { context: 12, message, slot: 0, .. }, Delivery::Settled(outcome)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((message.payload.to_vec(), message.opcode, message.node), (b"!".to_vec(), 9, node(2)));
    assert_eq!((outcome.context, outcome.path_context, outcome.status()), (12, 11, Status::GOOD));
}

#[test]
fn names_that_are_none_are_refused_before_anything_happens() {
    use crate::NameError;
    assert_eq!(Name::new("a\0b"), Err(NameError::BadCharacter(1)));
    assert_eq!(Name::new(&"n".repeat(65_536)), Err(NameError::TooLong(65_536)));
    assert_eq!(Name::from_bytes(b"caf\xe9"), Err(NameError::NotUtf8(3)));
    let mut w = world(1);
    let now = w.now;
    let properties = vec![(name("k"), name("v")); crate::PROPERTIES + 1];
    let told = w.at(1).open_port(now, PortSpec { properties, ..PortSpec::named(name("a")) });
    assert_eq!(told, Err(Status::with(Code::Invalid, crate::PROPERTIES)));
    assert_eq!(w.at(1).names().count(), 0);
}

/// All ports together hold so much and no more, whatever each of them may hold; what is taken, released or closed makes room.
#[test]
fn ports_hold_so_much_together() {
    let mut w = world(1);
    let now = w.now;
    let most = w.at(1).limits().stored;
    let size = (16 << 20) - MESSAGE_COST;
    let areas = [usize::MAX; 4];
    let spec = |text| PortSpec { areas, mode: Mode::Held, ..PortSpec::named(name(text)) };
    let ports = ["a", "b"].map(|text| w.at(1).open_port(now, spec(text)).unwrap());
    let paths = ["a", "b"].map(|text| w.path(1, by_name(text)));
    let payload = crate::Payload::from(vec![0; size]);
    let send = |w: &mut World, to: usize| {
        w.send(1, paths[to], &Message::confirmed(payload.clone())).unwrap();
        w.outcomes(1)[0].status().code
    };
    let fits = most / (size + MESSAGE_COST);
    for n in 0..fits {
        assert_eq!(send(&mut w, n % 2), Code::Good, "{n}");
    }
    assert_eq!((send(&mut w, 0), send(&mut w, 1)), (Code::Full, Code::Full));
    w.at(1).receive(now, ports[0], |_| true).unwrap().unwrap();
    assert_eq!((send(&mut w, 1), send(&mut w, 0)), (Code::Good, Code::Full));
    let (_, hold) = w.at(1).receive_held(now, ports[0], |_| true).unwrap().unwrap();
    assert_eq!(send(&mut w, 1), Code::Full);
    w.at(1).release_held(now, ports[0], hold).unwrap();
    assert_eq!(send(&mut w, 1), Code::Good);
    w.at(1).receive_held(now, ports[0], |_| true).unwrap().unwrap();
    w.at(1).detach(now, ports[0]).unwrap();
    w.at(1).close_port(now, ports[1]).unwrap();
    assert_eq!(w.at(1).stored(), 0);
}

/// A request that its asker took back keeps no place at the port either, here or on another node; nor does one whose path was reset or whose
/// asker's port closed. Others keep theirs. `PROTOCOL 7.17`.
#[test]
fn a_request_that_was_taken_back_is_let_go() {
    let mut w = world(2);
    let now = w.now;
    for (asked, port) in [(1, w.open(1, "a")), (2, w.open(2, "b"))] {
        let target = by_name(if asked == 1 { "a" } else { "b" });
        let from = w.at(1).open_port(now, PortSpec::default()).unwrap();
        let paths: Vec<PathId> = (0..3)
            .map(|_| w.at(1).open_path(now, PathSpec { from, ..PathSpec::to(target.clone()) }).unwrap())
            .collect();
        let stays = w.path(1, target);
        let mut ask = |path| w.send(1, path, &Message::request(&b"?"[..])).unwrap().ticket.unwrap();
        let tickets: Vec<TicketId> = paths.iter().map(|path| ask(*path)).collect();
        ask(stays);
        w.carry();
        let asks: Vec<Ask> = w.messages(asked).iter().filter_map(|m| m.ask).collect();
        let unanswered = |w: &mut World| {
            w.carry();
            w.at(asked).port(port).unwrap().unanswered()
        };
        assert_eq!((asks.len(), unanswered(&mut w)), (4, 4));
        w.at(1).cancel(now, tickets[0]).unwrap();
        assert_eq!(unanswered(&mut w), 3);
        w.at(1).reset_path(now, paths[1]).unwrap();
        assert_eq!(unanswered(&mut w), 2);
        w.at(1).close_port(now, from).unwrap();
        assert_eq!(unanswered(&mut w), 1);
        let answers: Vec<_> =
            asks.iter().map(|ask| w.at(asked).respond(now, ask, Answer::new(&b"!"[..])).is_ok()).collect();
        assert_eq!(answers, [false, false, false, true]);
        w.carry();
        assert!(w.at(1).tickets().next().is_none());
        assert_eq!(w.at(1).traffic().late, 0, "nobody told what nobody waits for");
    }
}

/// What was not sent yet is never sent, and to take it back does not disturb.
#[test]
fn a_request_may_be_taken_back_before_it_went() {
    let mut w = world(2);
    w.open(2, "b");
    let (path, now) = (w.path(1, by_name("b")), w.now);
    let ticket = w.send(1, path, &Message::request(&b"?"[..])).unwrap().ticket.unwrap();
    w.at(1).cancel(now, ticket).unwrap();
    w.carry();
    assert!(w.messages(2).is_empty());
    assert_eq!(w.at(2).traffic().refused, 0);
}

/// A request whose asker's time is over keeps no place at the port, and is not answered any more.
///
/// PROTOCOL 7.12.
#[test]
fn a_request_that_nobody_waits_for_is_let_go() {
    let mut w = world(2);
    let port = w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let request = |ms| Message { deadline: ms, ..Message::request(&b"?"[..]) };
    for ms in [Some(Duration::from_millis(100)), None] {
        w.send(1, path, &request(ms)).unwrap();
    }
    w.carry();
    let asks: Vec<Ask> = w.messages(2).iter().filter_map(|m| m.ask).collect();
    assert_eq!((asks.len(), w.at(2).port(port).unwrap().unanswered()), (2, 2));
    w.run(Duration::from_secs(2));
    assert_eq!(w.at(2).port(port).unwrap().unanswered(), 1);
    let now = w.now;
    let answer = || Answer::new(&b"!"[..]);
    assert_eq!(w.at(2).respond(now, &asks[0], answer()), Err(Status::new(Code::NotFound)));
    assert_eq!(w.at(2).respond(now, &asks[1], answer()), Ok(()));
}
