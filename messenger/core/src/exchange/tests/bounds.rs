//! What is bounded: static messages, queues, tables.

use super::*;
use crate::{Answer, Choice, Limits, MESSAGE_COST, Node, Tier, node::tests::config};

/// Rows: SM-2, SM-3.
#[test]
fn static_messages_are_bounded_and_released() {
    let mut w = world(2);
    w.open(2, "b");
    let (path, now) = (w.path(1, by_name("b")), w.now);
    let post = w.at(1).prepare(now, path, Message::confirmed(&b"static"[..]), 3).unwrap();
    for _ in 0..3 {
        w.at(1).post(now, post).unwrap();
    }
    assert_eq!(w.at(1).post(now, post), Err(Status::with(Code::Busy, 3)));
    w.carry();
    assert!(w.at(1).post(now, post).is_ok(), "one is done, another fits");
    w.at(1).release(now, post).unwrap();
    assert_eq!(w.at(1).post(now, post), Err(Status::new(Code::BadHandle)));
    assert_eq!(w.at(1).release(now, post), Err(Status::new(Code::BadHandle)));
    w.carry();
    assert_eq!(w.messages(2).len(), 4);
}

/// Rows: MA-15, VI-20.
#[test]
fn a_silent_peer_fills_its_queue_and_nobody_elses() {
    let mut w = world(3);
    let now = w.now;
    w.at(2).open_port(now, PortSpec { areas: [4 << 20; 4], ..PortSpec::named(name("b")) }).unwrap();
    w.open(3, "c");
    let (b, c) = (w.path(1, by_name("b")), w.path(1, by_name("c")));
    let queue = w.at(1).limits().queue;
    let message = Message::new(vec![0; 1000]);
    let mut taken = 0;
    // Nothing is carried: the peer does not answer.
    while w.send(1, b, &message).is_ok() {
        taken += 1;
        assert!(taken * (1000 + MESSAGE_COST) <= queue, "bounded");
    }
    assert_eq!(w.send(1, b, &message), Err(Status::new(Code::WouldBlock)));
    assert!(w.send(1, c, &message).is_ok());
    // Other priorities have queues of their own.
    assert!(w.send(1, b, &Message { priority: crate::wire::Priority::Urgent, ..message.clone() }).is_ok());
    w.run(Duration::from_secs(1));
    assert_eq!((w.messages(2).len(), w.messages(3).len()), (taken + 1, 1));
    assert!(w.send(1, b, &message).is_ok());
}

/// Sending waits for nobody, by path or by name; what cannot be handed over is answered at once, and what is lost after that is told
/// once, as the end of its ticket.
///
/// Rows: MS-1, MS-2.
#[test]
fn hand_over_is_answered_at_once_and_a_later_failure_once() {
    let mut w = world(2);
    let now = w.now;
    w.at(2).open_port(now, PortSpec { areas: [4 << 20; 4], ..PortSpec::named(name("b")) }).unwrap();
    w.carry();
    let path = w.path(1, by_name("b"));
    let message = Message::confirmed(vec![0; 1000]);
    // Nothing is carried from here on: no call waits for the peer.
    let mut taken = 0usize;
    let refused = loop {
        let sent = if taken.is_multiple_of(2) {
            w.send(1, path, &message)
        } else {
            w.at(1).send_to(now, by_name("b"), &message)
        };
        match sent {
            Ok(sent) => taken += sent.taken,
            Err(status) => break status,
        }
    };
    assert_eq!((refused, refused.tier()), (Status::new(Code::WouldBlock), Tier::Call));
    assert_eq!((w.outcomes(1).is_empty(), w.at(1).tickets().count()), (true, taken));
    // The other end is silent until it is taken for gone.
    let heard = w.nodes.pop();
    let mut told = Vec::new();
    for _ in 0..600 {
        w.now = w.now + Duration::from_millis(10);
        let now = w.now;
        w.nodes[0].handle_timeout(now);
        while w.nodes[0].poll_transmit().is_some() {}
        while w.nodes[0].poll_event().is_some() {}
        told.extend(w.outcomes(1));
    }
    assert!(told.iter().all(|outcome| outcome.status() == Status::new(Code::NodeDown)));
    let tickets: std::collections::BTreeSet<_> = told.iter().map(|outcome| outcome.ticket).collect();
    assert_eq!((told.len(), tickets.len(), w.at(1).tickets().count()), (taken, taken, 0));
    drop(heard);
}

/// Tickets are bounded too, and so are answers that nobody takes.
#[test]
fn full_tables_are_answers() {
    let mut w = World::new(1);
    let limits = Limits { tickets: 2, ports: 2, paths: 2, watches: 1, answers: 300, ..Limits::default() };
    w.nodes[0] = Node::with_limits(config(1, "n1"), limits, w.now);
    let now = w.now;
    w.open(1, "a");
    w.open(1, "b");
    assert_eq!(w.at(1).open_port(now, PortSpec::default()), Err(Status::new(Code::Exhausted)));
    let path = w.path(1, by_name("a"));
    w.path(1, by_name("b"));
    assert_eq!(w.at(1).open_path(now, PathSpec::to(by_name("a"))), Err(Status::new(Code::Exhausted)));
    let request = Message::request(&b""[..]);
    w.send(1, path, &request).unwrap();
    w.send(1, path, &request).unwrap();
    assert_eq!(w.send(1, path, &request), Err(Status::new(Code::Exhausted)));
    let got = w.messages(1);
    for m in &got {
        w.at(1).respond(now, &m.ask.unwrap(), Answer::new(vec![0; 100])).unwrap();
    }
    let ends: Vec<_> = w.outcomes(1).iter().map(|o| o.status()).collect();
    assert_eq!(ends, [Status::GOOD, Status::with(Code::NoRoom, 100)]);
    let _ = Choice::All;
}
