//! Paths: states, choice, and what travels.

use super::*;
use crate::{Answer, Choice, PathState, Pattern, Payload};
use std::collections::BTreeMap;

fn states(told: &[Delivery]) -> Vec<(PathState, PathState)> {
    told.iter()
        .filter_map(|d| if let Delivery::Path { from, to, .. } = d { Some((*from, *to)) } else { None })
        .collect()
}

/// Rows: PP-4.
#[test]
fn a_path_hunts_or_fails_at_once() {
    let mut w = world(2);
    let now = w.now;
    let spec = PathSpec::to(by_name("b"));
    assert_eq!(w.at(1).open_path(now, spec.clone()), Err(Status::new(Code::NotFound)));
    let path = w.at(1).open_path(now, PathSpec { hunt: true, ..spec }).unwrap();
    assert_eq!(w.at(1).path(path).unwrap().state(), PathState::Opening);
    assert_eq!(w.send(1, path, &Message::default()), Err(Status::new(Code::NotFound)));
    w.open(2, "b");
    assert_eq!(states(&w.told(1)), [(PathState::Opening, PathState::Enabled)]);
    assert!(w.send(1, path, &Message::default()).is_ok());
}

/// Rows: CP-5.
#[test]
fn a_hunting_path_survives_the_restart_of_its_target() {
    let mut w = world(2);
    let now = w.now;
    let port = w.open(2, "b");
    let path = w.at(1).open_path(now, PathSpec { hunt: true, ..PathSpec::to(by_name("b")) }).unwrap();
    w.at(2).close_port(now, port).unwrap();
    w.carry();
    w.open(2, "b");
    use PathState::{Enabled, Failed, Opening};
    assert_eq!(states(&w.told(1)), [(Enabled, Failed), (Failed, Opening), (Opening, Enabled)]);
    w.send(1, path, &Message::default()).unwrap();
    w.carry();
    assert_eq!(w.messages(2).len(), 1);
}

/// PROTOCOL 4.10. Who is about to leave is sent nothing new by anybody and sends nothing new; what was begun ends well; and
/// where there is a choice it is not chosen.
#[test]
fn a_node_about_to_leave_finishes_and_begins_nothing() {
    let mut w = world(3);
    for n in [1, 2] {
        w.open(n, "b");
    }
    w.open(3, "c");
    let one = w.path(3, Target::Nodes([node(1)].into(), name("b")));
    let any = w.path(3, by_name("b"));
    let from = w.path(1, by_name("c"));
    w.send(3, one, &Message::request(&b"under way"[..])).unwrap();
    w.carry();
    let ask = ask_of(&w.messages(1));
    let now = w.now;
    w.nodes[0].drain(now, true);
    w.run(Duration::from_millis(200));
    assert!(w.nodes[0].is_agreed() && w.nodes[2].member(node(1)).unwrap().leaving);
    assert_eq!(w.send(3, one, &Message::confirmed(&b""[..])), Err(Status::new(Code::Quiesced)));
    assert_eq!(w.send(1, from, &Message::confirmed(&b""[..])), Err(Status::new(Code::Quiesced)));
    w.send(3, any, &Message::confirmed(&b"for who stays"[..])).unwrap();
    w.carry();
    assert_eq!((w.messages(1).len(), w.messages(2).len()), (0, 1));
    assert_eq!(w.at(1).under_way(), crate::UnderWay { nodes: 1, asks: 1, ..Default::default() });
    w.at(1).respond(now, &ask, Answer::new(&b"!"[..])).unwrap();
    w.carry();
    assert!(w.at(1).under_way().is_nothing());
    assert!(w.outcomes(3).iter().all(|outcome| outcome.status() == Status::GOOD));
    let now = w.now;
    w.nodes[0].drain(now, false);
    w.run(Duration::from_millis(200));
    w.send(3, one, &Message::confirmed(&b"again"[..])).unwrap();
    w.send(1, from, &Message::confirmed(&b"again"[..])).unwrap();
    w.carry();
    assert_eq!((w.messages(1).len(), w.messages(3).len()), (1, 1));
}

/// A whole node that is sent nothing new: whoever sends there is told so at once, others are sent to, and what is under way ends
/// well.
#[test]
fn a_quiesced_node_is_sent_nothing_new_and_others_are() {
    let mut w = world(3);
    w.open(2, "b");
    w.open(3, "b");
    let (one, all) = (w.path(1, Target::Nodes([node(2)].into(), name("b"))), w.path(1, Target::Everywhere(name("b"))));
    w.send(1, one, &Message::confirmed(&b"under way"[..])).unwrap();
    w.at(1).quiesce_node(node(2));
    assert!(!w.at(1).is_idle(node(2)));
    assert_eq!(w.send(1, one, &Message::confirmed(&b""[..])), Err(Status::new(Code::Quiesced)));
    let sent = w.send(1, all, &Message::confirmed(&b""[..])).unwrap();
    assert_eq!((sent.targets, sent.taken), (2, 1));
    w.carry();
    let outcomes = w.outcomes(1);
    assert!(outcomes[0].status().is_good() && outcomes[0].slots.len() == 1, "{outcomes:?}");
    let of = |n: usize| outcomes[1].slots.iter().find(|s| s.node == node(n)).unwrap().status;
    assert_eq!((of(2), of(3)), (Some(Status::new(Code::Quiesced)), Some(Status::GOOD)));
    assert!(w.at(1).is_idle(node(2)));
    w.at(1).enable_node(node(2));
    assert!(w.send(1, one, &Message::default()).is_ok());
}

/// Rows: CS-2.
#[test]
fn quiesce_lets_what_is_under_way_finish() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    for _ in 0..100 {
        w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    }
    let now = w.now;
    w.at(1).quiesce_path(now, path).unwrap();
    assert_eq!(w.at(1).path(path).unwrap().outstanding(), 100);
    assert_eq!(w.send(1, path, &Message::confirmed(&b""[..])), Err(Status::new(Code::Quiesced)));
    w.carry();
    assert_eq!(w.outcomes(1).iter().filter(|o| o.status().is_good()).count(), 100);
    assert_eq!(w.messages(2).len(), 100);
}

/// Rows: CS-3.
#[test]
fn reset_settles_each_message_once_and_enable_lets_in_again() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let now = w.now;
    w.at(1).quiesce_path(now, path).unwrap();
    w.at(1).enable_path(now, path).unwrap();
    for _ in 0..5 {
        w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    }
    w.at(1).reset_path(now, path).unwrap();
    w.carry();
    let ends: Vec<_> = w.outcomes(1).iter().map(|o| o.status()).collect();
    assert_eq!(ends, [Status::new(Code::Reset); 5]);
    assert_eq!(w.messages(2).len(), 0, "what was not sent yet is not sent");
    w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    w.carry();
    assert_eq!((w.outcomes(1).len(), w.messages(2).len()), (1, 1));
}

#[test]
fn each_rule_chooses_as_it_says() {
    let mut w = world(3);
    for n in 1..=3 {
        w.open(n, "disk/0");
        w.open(n, "disk/1");
    }
    let all = Target::Pattern(Pattern::parse("disk/*").unwrap());
    let mut chosen = |choice, times: usize| {
        let now = w.now;
        let path = w.at(2).open_path(now, PathSpec { choice, ..PathSpec::to(all.clone()) }).unwrap();
        let mut got: Vec<(usize, u16)> = Vec::new();
        for _ in 0..times {
            w.send(2, path, &Message::default()).unwrap();
            w.carry();
            for n in 1..=3 {
                got.extend(w.messages(n).iter().map(|m| (n, m.port.index)));
            }
        }
        got
    };
    assert_eq!(chosen(Choice::First, 3), [(1, 1); 3]);
    assert_eq!(chosen(Choice::RoundRobin, 7), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2), (1, 1)]);
    assert_eq!(chosen(Choice::LocalRoundRobin, 3), [(2, 1), (2, 2), (2, 1)]);
    assert_eq!(chosen(Choice::LocalBest, 2), [(2, 1), (2, 1)]);
    assert_eq!(chosen(Choice::All, 1), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]);
}

/// Rows: CP-3.
#[test]
fn a_thousand_paths_share_a_conduit() {
    let mut w = world(2);
    let ports: BTreeMap<u32, PortId> = (0..10).map(|n| (n, w.open(2, &std::format!("p{n}")))).collect();
    let paths: Vec<_> = (0..1000u32).map(|n| w.path(1, Target::Port(node(2), ports[&(n % 10)]))).collect();
    let now = w.now;
    for (n, path) in paths.iter().enumerate() {
        w.send(1, *path, &Message { tag: n as u32, ..Message::confirmed(&b""[..]) }).unwrap();
        if n % 3 == 0 {
            w.at(1).close_path(now, *path).unwrap();
        }
    }
    w.carry();
    let ends: Vec<_> = w.outcomes(1).iter().map(|o| o.status().code).collect();
    assert_eq!(ends.iter().filter(|c| **c == Code::Good).count(), 666);
    assert_eq!(ends.iter().filter(|c| **c == Code::Closed).count(), 334);
    assert_eq!(w.messages(2).len(), 666);
}

/// Rows: SG-1.
#[test]
fn a_thousand_pieces_are_sent_from_where_they_are() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let pieces: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 40]).collect();
    let places: Vec<_> = pieces.iter().map(|p| p.as_ptr_range()).collect();
    let all = pieces.concat();
    let payload = Payload::gather(pieces.into_iter().map(Payload::from));
    w.send(1, path, &Message { tag: 7, ..Message::new(payload) }).unwrap();
    let (mut sent, mut bytes) = (Vec::new(), 0);
    while let Some((mut transmit, payload)) = w.nodes[0].poll_gather() {
        for chunk in payload.chunks() {
            bytes += chunk.len();
            assert!(places.iter().any(|p| p.contains(&chunk.as_ptr())), "a byte was copied on its way to the carrier");
        }
        payload.copy_to(&mut transmit.bytes);
        sent.push(transmit);
    }
    assert_eq!(bytes, all.len());
    let ([_, end], now) = (w.cables[0].ends, w.now);
    for transmit in sent {
        w.nodes[1].handle_message(now, end.1, &transmit.bytes);
    }
    let got = w.messages(2);
    assert_eq!((got.len(), got[0].tag, got[0].payload.to_vec()), (1, 7, all));
}

/// To a port of the same node nothing is copied at all.
#[test]
fn at_home_the_receiver_gets_the_senders_memory() {
    let mut w = world(1);
    w.open(1, "a");
    let path = w.path(1, by_name("a"));
    let bytes = vec![1u8; 100_000];
    let at = bytes.as_ptr();
    w.send(1, path, &Message::new(bytes)).unwrap();
    assert_eq!(w.messages(1)[0].payload.chunks()[0].as_ptr(), at);
}

#[test]
fn payloads_of_any_size_travel() {
    let mut w = world(2);
    w.open(2, "b");
    let now = w.now;
    let path = w.path(1, by_name("b"));
    for len in [0, 1, 500, 600, 601, 5_000, 65_536, 1 << 17] {
        let payload: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
        w.send(1, path, &Message::confirmed(payload.clone())).unwrap();
        w.run(Duration::from_millis(100));
        let got = w.messages(2);
        assert_eq!((got.len(), got[0].payload.to_vec() == payload), (1, true), "{len}");
        assert_eq!(w.outcomes(1)[0].status(), Status::GOOD);
    }
    let most = w.at(1).limits().message;
    let huge = Message::new(vec![0; most + 1]);
    assert_eq!(w.at(1).send(now, path, &huge), Err(Status::with(Code::TooLarge, most)));
}

/// PROTOCOL 7.1.
#[test]
fn a_message_passes_nodes_in_between_and_is_confirmed_end_to_end() {
    let mut w = World::new(4);
    for n in 1..4 {
        w.connect(n, n + 1, 10);
    }
    w.run(Duration::from_secs(1));
    w.open(4, "far");
    w.run(Duration::from_millis(100));
    let path = w.path(1, by_name("far"));
    w.send(1, path, &Message { receipt: true, ..Message::request(vec![5; 10_000]) }).unwrap();
    w.run(Duration::from_millis(100));
    let (got, now) = (w.messages(4), w.now);
    assert_eq!((got.len(), got[0].payload.len()), (1, 10_000));
    w.at(4).respond(now, &ask_of(&got), Answer::new(vec![6; 5_000])).unwrap();
    w.run(Duration::from_millis(100));
    assert_eq!(w.outcomes(1)[0].status(), Status::GOOD);
}

/// Rows: MA-18, LD-7.
#[test]
fn one_call_sends_a_payload_to_a_name() {
    let mut w = world(2);
    w.open(2, "io/disk0");
    let now = w.now;
    let sent = w.at(1).send_to(now, by_name("io/disk0"), &Message::confirmed(&b"data"[..])).unwrap();
    w.carry();
    assert_eq!(w.messages(2)[0].payload.to_vec(), b"data");
    assert_eq!(w.outcomes(1)[0].ticket, sent.ticket.unwrap());
    assert_eq!(w.at(1).paths().count(), 0);
    assert_eq!(w.at(1).send_to(now, by_name("nobody"), &Message::default()), Err(Status::new(Code::NotFound)));
}

#[test]
fn a_closed_path_takes_nothing() {
    let mut w = world(1);
    w.open(1, "a");
    let (path, now) = (w.path(1, by_name("a")), w.now);
    w.at(1).close_path(now, path).unwrap();
    assert!(matches!(w.told(1)[..], [Delivery::PathClosed { path: p, .. }] if p == path));
    assert_eq!(w.send(1, path, &Message::default()), Err(Status::new(Code::BadHandle)));
}

/// PROTOCOL 7.13.
/// Rows: MF-1.
#[test]
fn a_link_takes_what_the_smaller_end_takes() {
    let mut w = World::new(2);
    let ends = [(1, 512), (2, 2048)].map(|(n, message)| {
        let spec =
            crate::LinkSpec { carrier: "cable", priority: 1, message, expect: None, miss_limit: None, lasting: true };
        (n - 1, w.nodes[n - 1].open_link(w.now, spec))
    });
    w.cables.push(crate::node::tests::Cable { ends, cut: false });
    w.run(Duration::from_millis(300));
    w.open(1, "a");
    w.open(2, "b");
    for (from, to) in [(1, "b"), (2, "a")] {
        let path = w.path(from, by_name(to));
        w.send(from, path, &Message::new(vec![9; 5_000])).unwrap();
        let (mut longest, now) = (0, w.now);
        while let Some(t) = w.nodes[from - 1].poll_transmit() {
            longest = longest.max(t.bytes.len());
            let (other, link) = w.cables[0].ends[2 - from];
            w.nodes[other].handle_message(now, link, &t.bytes);
        }
        assert_eq!(longest, 512);
        assert_eq!(w.messages(3 - from)[0].payload.len(), 5_000);
        w.carry();
    }
}

/// Both ends see a path's life in one order: it opens, carries data, rests, goes on, is reset and closes.
///
/// PROTOCOL 7.15.
/// Rows: MA-16, CP-4.
#[test]
fn both_ends_see_a_path_open_carry_rest_and_close_in_one_order() {
    use crate::Control::{Closed, Enabled, Opened, Quiesced, Reset};
    let mut w = world(2);
    let now = w.now;
    let (here, there) = (w.open(1, "a"), w.open(2, "b"));
    let spec = PathSpec { from: here, announced: true, ..PathSpec::to(by_name("b")) };
    let path = w.at(1).open_path(now, spec).unwrap();
    let data = |w: &mut World, tag| w.send(1, path, &Message { tag, ..Message::default() });
    data(&mut w, 1).unwrap();
    w.at(1).quiesce_path(now, path).unwrap();
    w.at(1).quiesce_path(now, path).unwrap();
    assert_eq!(data(&mut w, 2), Err(Status::new(Code::Quiesced)));
    w.at(1).enable_path(now, path).unwrap();
    data(&mut w, 3).unwrap();
    w.at(1).reset_path(now, path).unwrap();
    data(&mut w, 4).unwrap();
    w.at(1).close_path(now, path).unwrap();
    assert_eq!(data(&mut w, 5), Err(Status::new(Code::BadHandle)));
    w.carry();
    let got = w.messages(2);
    assert!(got.iter().all(|m| (m.node, m.from, m.port) == (node(1), here, there)));
    let seen: Vec<_> = got.iter().map(|m| m.control().ok_or(m.tag)).collect();
    let expected = [Ok(Opened), Err(1), Ok(Quiesced), Ok(Enabled), Err(3), Ok(Reset), Err(4), Ok(Closed)];
    assert_eq!(seen, expected);
    assert!(got.iter().filter(|m| m.control().is_some()).all(|m| m.tag == path.number()));
    let own: Vec<_> = w
        .told(1)
        .into_iter()
        .filter_map(|d| match d {
            Delivery::Path { to, .. } => Some(Some(to)),
            Delivery::PathClosed { .. } => Some(None),
            _ => None,
        })
        .collect();
    assert_eq!(own, [Some(PathState::Quiesced), Some(PathState::Enabled), None]);
}

/// Who is meant later hears of the opening before its first message; all hear of the end, also when it comes with the port's.
///
/// PROTOCOL 7.15.
#[test]
fn a_path_is_announced_to_who_comes_later_too() {
    use crate::Control::{Closed, Opened};
    let mut w = world(3);
    let now = w.now;
    let (here, _) = (w.open(1, "a"), w.open(2, "b/1"));
    let to = Target::Pattern(Pattern::parse("b/*").unwrap());
    let spec = PathSpec { from: here, announced: true, choice: Choice::All, ..PathSpec::to(to) };
    let path = w.at(1).open_path(now, spec).unwrap();
    w.open(3, "b/2");
    assert_eq!(w.messages(3), []);
    w.send(1, path, &Message { tag: 7, ..Message::default() }).unwrap();
    w.at(1).close_port(now, here).unwrap();
    w.carry();
    for n in [2, 3] {
        let seen: Vec<_> = w.messages(n).iter().map(|m| m.control().ok_or(m.tag)).collect();
        assert_eq!(seen, [Ok(Opened), Err(7), Ok(Closed)], "node {n}");
    }
}

/// A client that turns its path on and off fills no memory: when what it says cannot go out it is refused.
///
/// PROTOCOL 7.15.
#[test]
fn announcing_is_bounded() {
    let mut w = world(2);
    let now = w.now;
    w.open(2, "b");
    let path = w.at(1).open_path(now, PathSpec { announced: true, ..PathSpec::to(by_name("b")) }).unwrap();
    let refused = (0..100_000).find_map(|n| match n % 2 {
        0 => w.at(1).quiesce_path(now, path).err(),
        _ => w.at(1).enable_path(now, path).err(),
    });
    assert_eq!(refused, Some(Status::new(Code::WouldBlock)));
    w.run(Duration::from_secs(1));
    let said = w.messages(2).len();
    let state = w.at(1).path(path).unwrap().state();
    assert!(
        (1_000..10_000).contains(&said) && (state == PathState::Quiesced) == said.is_multiple_of(2),
        "{said} {state:?}"
    );
}
