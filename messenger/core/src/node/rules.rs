//! Single clauses of the protocol that no other test shows by the way.

use super::tests::{World, config, id};
use crate::{
    LinkState, NodeId,
    node::{Event, Node},
    wire::{Attachment, Flags, Header, Heartbeat, Kind, LinkBody},
};
use core::time::Duration;
use std::{vec, vec::Vec};

/// The messages that node `n` says now, with the link each is for.
fn said(w: &mut World, n: usize) -> Vec<crate::Transmit> {
    core::iter::from_fn(|| w.nodes[n - 1].poll_transmit()).collect()
}

/// Two nodes on one cable that know each other.
fn two() -> World {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w
}

/// PROTOCOL 1.6.
#[test]
fn what_is_unknown_is_dropped_or_skipped() {
    let mut w = two();
    let (now, [(_, link), _]) = (w.now, w.cables[0].ends);
    let header = |kind: u8, flags: Flags| Header { flags, kind: kind.into(), ..Header::frame(id(2), id(1), 0) };
    let unknown = |n: &Node| n.counts().unknown_kind;
    for kind in 6..=255 {
        let before = unknown(&w.nodes[0]);
        let mut message = vec![0; 40];
        header(kind, Flags::default()).emit(&mut message).unwrap();
        w.nodes[0].handle_message(now, link, &message);
        assert_eq!(unknown(&w.nodes[0]), before + 1, "{kind}");
    }
    assert!(said(&mut w, 1).is_empty(), "it is not answered");
    // A heartbeat with every flag that means nothing, and with bytes behind it, is one.
    let session = w.nodes[1].links().next().unwrap().session;
    let beat = LinkBody::Heartbeat(Heartbeat { answer: true, sent: 7, echo: 0, held: 0, digest: 0 });
    let mut message = vec![0; 16];
    Header { kind: Kind::Link, port: session, ..header(0, Flags(0xe000)) }.emit(&mut message).unwrap();
    beat.emit(&mut message);
    message.extend([0xa5; 30]);
    w.nodes[0].handle_message(now, link, &message);
    assert!(said(&mut w, 1).iter().any(|t| t.bytes.get(16) == Some(&2)), "it is answered");
}

/// PROTOCOL 3.2: every kind of message that is bound to a session is nothing under another one.
#[test]
fn what_is_not_of_the_present_session_is_dropped() {
    let mut w = two();
    let (now, [(_, link), (_, other)]) = (w.now, w.cables[0].ends);
    let session = w.nodes[1].link(other).unwrap().session;
    assert!(session != 0 && session != w.nodes[0].link(link).unwrap().session);
    let say = |w: &mut World, session: u32, body: &LinkBody<'_>| {
        let mut message = vec![0; 16];
        Header { kind: Kind::Link, port: session, ..Header::frame(id(2), id(1), 0) }.emit(&mut message).unwrap();
        body.emit(&mut message);
        w.nodes[0].handle_message(now, link, &message);
        w.nodes[0].link(link).unwrap().state()
    };
    for wrong in [0, session ^ 1, !session] {
        for body in [LinkBody::Bye, LinkBody::Quiesce] {
            assert_eq!(say(&mut w, wrong, &body), LinkState::Up, "{wrong} {body:?}");
        }
    }
    assert_eq!(say(&mut w, session, &LinkBody::Quiesce), LinkState::Quiesced);
    assert_ne!(say(&mut w, session, &LinkBody::Bye), LinkState::Quiesced);
    // A new beginning of the same two has other sessions.
    let again = two();
    let sessions = |w: &World| [0, 1].map(|n| w.nodes[n].links().next().unwrap().session);
    let mut third = World::new(2);
    third.nodes[0] = Node::new(crate::NodeConfig { seed: 77, ..config(1, "n1") }, third.now);
    third.connect(1, 2, 10);
    third.run(Duration::from_secs(1));
    assert_ne!(sessions(&again)[0], sessions(&third)[0]);
}

/// PROTOCOL 3.3: a link comes up by an echo, a greeting sender is answered, and one that takes less than 128 bytes is not met.
#[test]
fn a_hello_that_leaves_no_room_is_dropped() {
    for (message, meets) in [(127, false), (128, true)] {
        let mut w = World::new(2);
        let spec = |message| crate::LinkSpec {
            carrier: "cable",
            priority: 10,
            message,
            expect: None,
            miss_limit: None,
            lasting: true,
        };
        let ends = [(0, 600), (1, message)].map(|(n, message)| (n, w.nodes[n].open_link(w.now, spec(message))));
        w.cables.push(super::tests::Cable { ends, cut: false });
        w.run(Duration::from_secs(3));
        assert_eq!(w.nodes[0].links().all(|l| l.is_live()), meets, "{message}");
        assert_eq!(w.nodes[0].counts().malformed > 0, !meets, "{message}");
    }
}

/// PROTOCOL 3.7: the time that the other end held a heartbeat is no part of the round trip, and bit 0 is answered at once.
#[test]
fn what_was_held_is_no_round_trip() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.carry();
    let [(_, link), (_, other)] = w.cables[0].ends;
    let session = w.nodes[1].link(other).unwrap().session;
    let beat = |answer, sent, echo, held| LinkBody::Heartbeat(Heartbeat { answer, sent, echo, held, digest: 0 });
    let say = |w: &mut World, body: &LinkBody<'_>| {
        let mut message = vec![0; 16];
        Header { kind: Kind::Link, port: session, ..Header::frame(id(2), id(1), 0) }.emit(&mut message).unwrap();
        body.emit(&mut message);
        let now = w.now;
        w.nodes[0].handle_message(now, link, &message);
    };
    let _ = said(&mut w, 1);
    say(&mut w, &beat(true, 77, 0, 0));
    let answers: Vec<_> = said(&mut w, 1)
        .iter()
        .filter_map(|t| match LinkBody::parse(&t.bytes[16..]) {
            Ok(LinkBody::Heartbeat(beat)) => Some(beat),
            _ => None,
        })
        .collect();
    let [answer] = answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.echo, answer.held, answer.answer), (77, 0, false));
    // Fifty milliseconds later the answer to that comes; forty of them it was held.
    for _ in 0..200 {
        w.now = w.now + Duration::from_millis(50);
        let sent = w.now.as_nanos() - 50_000_000;
        say(&mut w, &beat(false, 78, sent, 40_000_000));
    }
    let trip = w.nodes[0].link(link).unwrap().round_trip().unwrap();
    assert!((9_900..=10_100).contains(&trip.as_micros()), "{trip:?}");
}

/// PROTOCOL 3.9.
#[test]
fn a_quiesced_link_carries_nothing_new_while_another_is_there() {
    let mut w = World::new(2);
    let (first, second) = (w.connect(1, 2, 10), w.connect(1, 2, 20));
    w.run(Duration::from_secs(1));
    let links = [first, second].map(|cable| w.cables[cable].ends[0].1);
    let active = |w: &World| w.nodes[0].active_link(id(2)).unwrap();
    assert_eq!(active(&w), links[0]);
    let ask = |w: &mut World, cable: usize, on: bool| {
        let (now, (_, link)) = (w.now, w.cables[cable].ends[1]);
        w.nodes[1].quiesce(now, link, on);
        w.run(Duration::from_millis(100));
    };
    ask(&mut w, first, true);
    assert_eq!(active(&w), links[1], "the other one");
    ask(&mut w, second, true);
    assert_eq!(active(&w), links[0], "both are: the better one carries on");
    ask(&mut w, first, false);
    ask(&mut w, second, false);
    assert_eq!(active(&w), links[0], "taken back");
    let (now, (_, link)) = (w.now, w.cables[first].ends[1]);
    w.nodes[1].close_link(now, link, crate::Reason::Closed);
    w.carry();
    assert_eq!(active(&w), links[1], "ended at once by its bye");
}

/// PROTOCOL 4.4: `1 -- 2 -- 3`, and 4 at 2, too: what 1 tells anew, 2 tells 3 and 4 at once, and not 1.
#[test]
fn a_new_record_goes_to_all_others() {
    let mut w = World::new(4);
    for other in [1, 3, 4] {
        w.connect(other, 2, 10);
    }
    w.run(Duration::from_secs(2));
    let now = w.now;
    let name = crate::Name::new("lan").unwrap();
    let segment = crate::SegmentId::from_name(&name);
    let lan = Attachment { segment, name, frame: 1514, offloads: 0, v4: vec![], v6: vec![] };
    w.nodes[0].set_attachments(now, vec![lan]);
    let news = said(&mut w, 1);
    assert!(!news.is_empty());
    let at = |w: &World, cable: usize, end: usize| w.cables[cable].ends[end].1;
    for message in news {
        let link = at(&w, 0, 1);
        w.nodes[1].handle_message(now, link, &message.bytes);
    }
    w.nodes[1].handle_timeout(now);
    let announces =
        |bytes: &[u8]| matches!(LinkBody::parse(&bytes[16..]), Ok(LinkBody::Announce(part)) if part.node == id(1));
    let told: Vec<_> = said(&mut w, 2).into_iter().filter(|t| announces(&t.bytes)).map(|t| t.link).collect();
    assert_eq!(told, [at(&w, 1, 1), at(&w, 2, 1)], "3 and 4, once each");
    w.carry();
    assert!(w.seen.iter().all(|(_, e)| !matches!(e, Event::MemberDown(_))));
}

/// PROTOCOL 2.10: a message begins with seven more nodes that may relay it, and each one takes one off.
#[test]
fn each_relay_takes_one_hop() {
    let mut w = World::new(3);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    w.run(Duration::from_secs(1));
    let (now, hops) = (w.now, |bytes: &[u8]| Header::parse(bytes).unwrap().flags.hops());
    w.nodes[0].ping(now, id(3), 0).unwrap();
    let first = said(&mut w, 1).pop().unwrap();
    assert_eq!((hops(&first.bytes), first.bytes[8..12].to_vec()), (7, NodeId::get(id(3)).to_le_bytes().to_vec()));
    let link = w.cables[0].ends[1].1;
    w.nodes[1].handle_message(now, link, &first.bytes);
    let second = said(&mut w, 2).pop().unwrap();
    assert_eq!(hops(&second.bytes), 6);
    assert_eq!((&second.bytes[..2], &second.bytes[4..]), (&first.bytes[..2], &first.bytes[4..]), "and nothing else");
}
