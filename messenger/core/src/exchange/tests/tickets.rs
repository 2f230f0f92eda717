//! Tickets: how slots end.

use super::*;
use crate::{Answer, Incarnation, Limits, Mode, Node, NodeConfig, Tier, node::tests::config};

/// Node 2 starts again: another incarnation on the same cables.
fn restart(w: &mut World, n: u32) {
    let life = Incarnation::new(7_000 + n);
    let config = NodeConfig { incarnation: life, version: 1 << 40, seed: 77, ..config(n, &std::format!("n{n}")) };
    let mut again = Node::new(config, w.now);
    for cable in &mut w.cables {
        for (at, link) in cable.ends.iter_mut().filter(|(at, _)| *at == n as usize - 1) {
            let spec = w.nodes[*at].link(*link).unwrap().spec().clone();
            *link = again.open_link(w.now, spec);
        }
    }
    w.nodes[n as usize - 1] = again;
}

/// PROTOCOL 7.11.
/// Rows: SS-2.
#[test]
fn a_ticket_to_a_node_that_restarts_before_its_receipt_settles_as_node_down() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    w.send(1, path, &Message::request(&b"lost"[..])).unwrap();
    w.carry();
    assert_eq!(w.messages(2).len(), 1, "it was there, and died with the node");
    w.send(1, path, &Message::confirmed(&b"under way"[..])).unwrap();
    let under_way = w.nodes[0].poll_transmit().unwrap();
    restart(&mut w, 2);
    w.carry();
    let ends: Vec<_> = w.outcomes(1).iter().map(|o| o.status()).collect();
    assert_eq!(ends, [Status::new(Code::NodeDown); 2]);
    assert_eq!(ends[0].tier(), Tier::Transport);
    // What was for the old life is nothing to the new one, even at the same port.
    w.open(2, "b");
    let (now, link) = (w.now, w.cables[0].ends[1].1);
    w.nodes[1].handle_message(now, link, &under_way.bytes);
    assert_eq!((w.messages(2).len(), w.at(2).traffic().stale), (0, 1));
    // A refusal by the receiver is of the other tier.
    let path = w.path(1, Target::Port(node(2), PortId { index: 99, generation: 0 }));
    w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    w.run(Duration::from_secs(1));
    assert_eq!(w.outcomes(1)[0].status().tier(), Tier::Service);
}

/// **Admission**: the verdict goes out before the receiver's client has the message, or had a look at it at all.
///
/// PROTOCOL 7.12.
/// Rows: MP-15, VI-31.
#[test]
fn the_receipt_goes_before_the_client_has_the_message() {
    for mode in [Mode::Handler, Mode::Held] {
        let mut w = world(2);
        let now = w.now;
        let port = w.at(2).open_port(now, PortSpec { mode, ..PortSpec::named(name("b")) }).unwrap();
        w.carry();
        let path = w.path(1, by_name("b"));
        w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
        w.carry();
        // The client of node 2 was not asked anything yet.
        assert_eq!(w.outcomes(1)[0].status(), Status::GOOD);
        assert_eq!(w.at(2).port(port).unwrap().depth(), [0, 0, 1, 0]);
    }
}

/// Rows: MS-3.
#[test]
fn one_of_five_is_taken_back() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let send = |w: &mut World, tag| w.send(1, path, &Message { tag, ..Message::confirmed(&b""[..]) }).unwrap().ticket;
    let tickets: Vec<_> = (0..5).map(|tag| send(&mut w, tag).unwrap()).collect();
    let now = w.now;
    w.at(1).cancel(now, tickets[2]).unwrap();
    assert_eq!(w.at(1).cancel(now, tickets[2]), Err(Status::new(Code::BadHandle)));
    w.carry();
    assert_eq!(w.messages(2).iter().map(|m| m.tag).collect::<Vec<_>>(), [0, 1, 3, 4]);
    let ends: Vec<_> = w.outcomes(1).iter().map(|o| (o.ticket == tickets[2], o.status().code)).collect();
    assert_eq!(ends[0], (true, Code::Canceled));
    assert!(ends[1..].iter().all(|e| *e == (false, Code::Good)) && ends.len() == 5);
}

/// Rows: VI-25.
#[test]
fn a_deadline_settles_what_is_open_and_a_late_answer_is_counted() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let message = Message { deadline: Some(Duration::from_millis(200)), ..Message::request(&b""[..]) };
    w.send(1, path, &message).unwrap();
    w.carry();
    let (got, now) = (w.messages(2), w.now);
    assert_eq!(got[0].deadline_ms, 200);
    w.run(Duration::from_millis(190));
    assert!(w.outcomes(1).is_empty());
    w.run(Duration::from_millis(20));
    assert_eq!(w.outcomes(1)[0].status(), Status::new(Code::TimedOut));
    w.at(2).respond(now, &ask_of(&got), Answer::new(&b"late"[..])).unwrap();
    w.carry();
    assert!(w.told(1).is_empty());
    assert_eq!((w.at(1).traffic().late, w.at(1).traffic().timed_out), (1, 1));
}

/// A clock that jumps ahead lets deadlines pass and nothing else; one that is behind is not believed.
#[test]
fn a_clock_that_jumps() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let week = Duration::from_secs(7 * 24 * 3600);
    w.send(1, path, &Message { deadline: Some(week), ..Message::request(&b""[..]) }).unwrap();
    w.send(1, path, &Message::request(&b""[..])).unwrap();
    w.carry();
    w.now = w.now + week + Duration::from_secs(1);
    w.run(Duration::from_millis(50));
    assert_eq!(w.outcomes(1).len(), 1);
    let before = crate::Time::ZERO;
    w.at(1).send(before, path, &Message::confirmed(&b""[..])).unwrap();
    w.nodes[0].handle_timeout(before);
    w.run(Duration::from_secs(1));
    assert_eq!((w.outcomes(1)[0].status(), w.messages(2).len()), (Status::GOOD, 3));
}

/// One slot a target: each with an end of its own.
///
/// Rows: VI-18, VI-26, VI-27.
#[test]
fn a_broadcast_has_a_slot_for_each_other_node() {
    let mut w = world(4);
    for n in 1..=3 {
        w.open(n, "daemon");
    }
    let path = w.path(1, Target::Everywhere(name("daemon")));
    w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    w.carry();
    let outcome = w.outcomes(1).pop().unwrap();
    let slots: Vec<_> = outcome.slots.iter().map(|s| (s.node.get(), s.status.unwrap().code, s.receipted)).collect();
    assert_eq!(slots, [(2, Code::Good, true), (3, Code::Good, true), (4, Code::NoPort, false)]);
    assert_eq!((w.messages(1).len(), w.messages(2).len(), w.messages(3).len()), (0, 1, 1));
    assert_eq!(statuses(&outcome), [Code::Good, Code::Good, Code::NoPort]);
}

/// PROTOCOL 12.11.
/// Rows: VI-19.
#[test]
fn a_list_of_nodes_is_exactly_these() {
    let mut w = world(5);
    for n in 1..=5 {
        w.open(n, "daemon");
    }
    let path = w.path(1, Target::Nodes(vec![node(4), node(99), node(2)], name("daemon")));
    w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    w.carry();
    assert_eq!(statuses(&w.outcomes(1)[0]), [Code::Good, Code::NodeDown, Code::Good]);
    assert_eq!([1, 2, 3, 4, 5].map(|n| w.messages(n).len()), [0, 1, 0, 1, 0]);
}

/// Rows: VI-07, VI-13, VI-14, VI-38, VI-43.
#[test]
fn receipt_and_response_broadcast_and_directed_in_all_eight_ways() {
    for (receipt, response, broadcast) in (0..8).map(|n| (n & 1 != 0, n & 2 != 0, n & 4 != 0)) {
        let mut w = world(3);
        for n in 1..=3 {
            w.open(n, "d");
        }
        let target = if broadcast { Target::Everywhere(name("d")) } else { Target::Nodes(vec![node(2)], name("d")) };
        let path = w.path(1, target);
        let sent = w.send(1, path, &Message { receipt, response, ..Message::default() }).unwrap();
        let targets = if broadcast { 2 } else { 1 };
        assert_eq!((sent.targets, sent.ticket.is_some()), (targets, receipt || response));
        w.carry();
        let now = w.now;
        for n in 2..=3 {
            let got = w.messages(n);
            assert_eq!(got.len(), usize::from(broadcast || n == 2));
            for m in &got {
                assert_eq!((m.receipt, m.ask.is_some()), (receipt, response));
                if let Some(ask) = m.ask {
                    w.at(n).respond(now, &ask, Answer::new(&b""[..])).unwrap();
                }
            }
        }
        w.carry();
        let told = w.told(1);
        let answers = told.iter().filter(|d| matches!(d, Delivery::Response { .. })).count();
        assert_eq!(answers, if response { targets } else { 0 });
        let settled = told.iter().filter(|d| matches!(d, Delivery::Settled(_))).count();
        assert_eq!(settled, usize::from(receipt || response));
        assert!(w.told(2).is_empty() && w.told(3).is_empty(), "answers are the asker's");
    }
}

/// Rows: VI-36.
#[test]
fn a_request_to_all_of_five_has_four_entries() {
    let mut w = world(5);
    for n in 1..=5 {
        w.open(n, "d");
    }
    let path = w.path(1, Target::Everywhere(name("d")));
    let ticket = w.send(1, path, &Message::request(&b""[..])).unwrap().ticket.unwrap();
    assert_eq!(w.at(1).ticket(ticket).unwrap().slots().len(), 4);
    w.carry();
    assert_eq!(w.at(1).ticket(ticket).unwrap().open(), 4);
    let now = w.now;
    for n in 2..=5 {
        let ask = ask_of(&w.messages(n));
        w.at(n).respond(now, &ask, Answer::new(&b""[..])).unwrap();
        w.carry();
        assert_eq!(w.at(1).ticket(ticket).map_or(0, |t| t.open()), 5 - n);
    }
}

/// Rows: VI-28.
#[test]
fn one_of_three_is_silent_and_only_its_entry_fails() {
    let mut w = world(4);
    for n in 2..=4 {
        w.open(n, "d");
    }
    for cable in w.cables.iter_mut().filter(|c| c.ends.iter().any(|(n, _)| *n == 3)) {
        cable.cut = true;
    }
    let path = w.path(1, Target::Everywhere(name("d")));
    w.send(1, path, &Message { deadline: Some(Duration::from_millis(300)), ..Message::confirmed(&b""[..]) }).unwrap();
    w.run(Duration::from_millis(310));
    assert_eq!(statuses(&w.outcomes(1)[0]), [Code::Good, Code::Good, Code::TimedOut]);
}

/// PROTOCOL 7.12.
/// Rows: VI-39.
#[test]
fn an_answer_is_not_confirmed() {
    use crate::wire::{Header, Kind};
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    w.send(1, path, &Message { receipt: true, ..Message::request(&b""[..]) }).unwrap();
    w.carry();
    let (ask, now) = (ask_of(&w.messages(2)), w.now);
    w.at(2).respond(now, &ask, Answer::new(&b""[..])).unwrap();
    let link = w.cables[0].ends[0].1;
    while let Some(t) = w.nodes[1].poll_transmit() {
        w.nodes[0].handle_message(now, link, &t.bytes);
    }
    let said: Vec<Kind> =
        core::iter::from_fn(|| w.nodes[0].poll_transmit()).map(|t| Header::parse(&t.bytes).unwrap().kind).collect();
    assert_eq!(said, [Kind::Ack]);
    assert_eq!(w.outcomes(1)[0].status(), Status::GOOD);
}

/// Rows: MI-3.
#[test]
fn contexts_come_back_unchanged_in_whatever_order() {
    let mut w = world(2);
    w.open(2, "b");
    let now = w.now;
    let spec = PathSpec { context: u64::MAX - 3, ..PathSpec::to(by_name("b")) };
    let path = w.at(1).open_path(now, spec).unwrap();
    let context = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for tag in 0..200 {
        w.send(1, path, &Message { tag, context: context(tag), ..Message::request(&b""[..]) }).unwrap();
    }
    w.carry();
    for m in w.messages(2).iter().rev() {
        w.at(2).respond(now, &m.ask.unwrap(), Answer { tag: m.tag, ..Answer::new(&b""[..]) }).unwrap();
    }
    w.carry();
    let (mut answers, mut ends) = (0, 0);
    for told in w.told(1) {
        match told {
            Delivery::Response { context: c, message, .. } => {
                assert_eq!(c, context(message.tag));
                answers += 1;
            }
            Delivery::Settled(o) => {
                assert_eq!(o.path_context, u64::MAX - 3);
                ends += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((answers, ends), (200, 200));
}

/// Rows: VI-06.
#[test]
fn the_receiver_sees_who_caused_a_message() {
    use crate::wire::Agent;
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let origins = [Agent::Daemon, Agent::CommandLine, Agent::Api, Agent::ThirdParty];
    for (n, origin) in origins.into_iter().enumerate() {
        let origin_id = n as u32;
        w.send(1, path, &Message { origin, origin_id, origin_flags: 9, ..Message::default() }).unwrap();
    }
    w.carry();
    let seen: Vec<_> = w.messages(2).iter().map(|m| (m.origin, m.origin_id, m.origin_flags)).collect();
    assert_eq!(seen, [0, 1, 2, 3].map(|n| (origins[n], n as u32, 9)));
}

/// Of messages with and without a ticket. What tells lives apart is the incarnation beside it.
#[test]
fn a_million_transactions_are_unique_in_a_life() {
    let mut w = world(1);
    w.open(1, "a");
    let path = w.path(1, by_name("a"));
    let mut seen = std::collections::HashSet::new();
    for n in 0..1_000_000 {
        let receipt = n % 2 == 0;
        w.send(1, path, &Message { receipt, ..Message::default() }).unwrap();
        while let Some(told) = w.at(1).poll_deliver() {
            if let Delivery::Message { message, .. } = told {
                assert!(seen.insert(message.transaction), "the {n}th");
            }
        }
    }
    assert_eq!(seen.len(), 1_000_000);
}

/// PROTOCOL 12.11.
/// Rows: VI-32.
#[test]
fn with_more_targets_than_there_is_room_for_nothing_is_sent() {
    let mut w = world(4);
    for n in 1..=4 {
        w.open(n, "d");
    }
    let path = w.path(1, Target::Everywhere(name("d")));
    let message = Message { capacity: Some(2), ..Message::confirmed(&b""[..]) };
    assert_eq!(w.send(1, path, &message), Err(Status::with(Code::NoSpace, 3)));
    w.carry();
    assert_eq!([2, 3, 4].map(|n| w.messages(n).len()), [0; 3]);
    w.send(1, path, &Message { capacity: Some(3), ..message }).unwrap();
    w.carry();
    assert_eq!([2, 3, 4].map(|n| w.messages(n).len()), [1; 3]);
}

/// PROTOCOL 7.3.
/// Rows: VI-29.
#[test]
fn sent_again_to_those_who_gave_no_receipt_and_known_by_those_who_have_it() {
    let mut w = world(3);
    for n in 2..=3 {
        w.open(n, "d");
    }
    let path = w.path(1, Target::Everywhere(name("d")));
    let message = Message { deadline: Some(Duration::from_secs(1)), ..Message::confirmed(&b"once"[..]) };
    // Both get it; the receipt of node 2 comes too late, and that of node 3 in time.
    w.send(1, path, &message).unwrap();
    let mut late = Vec::new();
    for _ in 0..4 {
        while let Some(t) = w.nodes[0].poll_transmit() {
            let (to, link) = w.cables.iter().find(|c| c.ends[0] == (0, t.link)).unwrap().ends[1];
            let now = w.now;
            w.nodes[to].handle_message(now, link, &t.bytes);
        }
        while let Some(t) = w.nodes[1].poll_transmit() {
            late.push(t);
        }
        while let Some(t) = w.nodes[2].poll_transmit() {
            let now = w.now;
            let ends = w.cables.iter().find(|c| c.ends[1] == (2, t.link)).map(|c| c.ends[0]);
            if let Some((0, link)) = ends {
                w.nodes[0].handle_message(now, link, &t.bytes);
            }
        }
    }
    assert!(!late.is_empty());
    w.now = w.now + Duration::from_millis(1_001);
    let now = w.now;
    w.nodes[0].handle_timeout(now);
    let outcome = w.outcomes(1).pop().unwrap();
    assert_eq!(statuses(&outcome), [Code::TimedOut, Code::Good]);
    w.at(1).resend(now, &outcome, &message).unwrap();
    w.run(Duration::from_millis(500));
    let again = w.outcomes(1).pop().unwrap();
    assert_eq!((again.slots.len(), again.slots[0].node, again.status()), (1, node(2), Status::GOOD));
    assert_eq!((w.messages(2).len(), w.messages(3).len()), (1, 1), "nobody got it twice");
    assert_eq!(w.at(2).traffic().known, 1);
    let done = w.at(1).resend(now, &again, &message);
    assert_eq!(done, Err(Status::new(Code::NotFound)));
}

/// Answers of the wrong node, to the wrong slot, to nothing, and a second one: counted, and nothing else.
///
/// Rows: VI-41.
#[test]
fn made_up_answers_change_nothing() {
    let mut w = world(3);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let ticket = w.send(1, path, &Message::request(&b""[..])).unwrap().ticket.unwrap().to_u64();
    for (from, transaction, slot) in [(3, ticket, 0), (2, ticket, 1), (2, ticket ^ 1, 0), (2, u64::MAX, 9)] {
        w.at(1).handle_receipt(node(from), transaction, slot, Status::new(Code::Full));
    }
    assert_eq!((w.told(1).len(), w.at(1).traffic().late), (0, 4));
    w.carry();
    let question = w.messages(2).pop().unwrap();
    let answer = Received { node: node(2), from: question.port, ask: None, ..question };
    let made_up = |transaction| Received { transaction, ..answer.clone() };
    w.at(1).handle_response(node(2), 0, made_up(ticket ^ 1));
    w.at(1).handle_response(node(3), 0, made_up(ticket));
    w.at(1).handle_response(node(2), 0, Received { from: PortId { index: 77, generation: 0 }, ..made_up(ticket) });
    assert_eq!((w.told(1).len(), w.at(1).traffic().late), (0, 7));
    w.at(1).handle_response(node(2), 0, made_up(ticket));
    assert_eq!((w.told(1).len(), w.at(1).traffic().late), (2, 7));
    w.at(1).handle_response(node(2), 0, made_up(ticket));
    assert_eq!((w.told(1).len(), w.at(1).traffic().late), (0, 8));
}

/// Who does not take what it is told is refused more, in the end.
#[test]
fn ends_that_nobody_takes_count_as_tickets() {
    let mut w = World::new(1);
    w.nodes[0] = Node::with_limits(config(1, "n1"), Limits { tickets: 5, ..Limits::default() }, w.now);
    w.open(1, "a");
    let path = w.path(1, by_name("a"));
    let message = Message::confirmed(&b""[..]);
    for _ in 0..5 {
        w.send(1, path, &message).unwrap();
    }
    assert_eq!(w.send(1, path, &message), Err(Status::new(Code::Exhausted)));
    assert_eq!(w.outcomes(1).len(), 5);
    assert!(w.send(1, path, &message).is_ok());
}

/// Of a message that wants both, the last receipt is told before the answers, once; a ticket tells since when it is.
///
/// PROTOCOL 12.11.
#[test]
fn the_last_receipt_is_told_before_the_answers() {
    let mut w = world(3);
    w.open(2, "b");
    w.open(3, "b");
    let path = w.path(1, Target::Everywhere(name("b")));
    let message = Message { receipt: true, context: 9, ..Message::request(&b"?"[..]) };
    let since = w.now;
    w.send(1, path, &message).unwrap();
    w.carry();
    let told = w.told(1);
    assert!(matches!(told[..], [Delivery::Confirmed { context: 9, .. }]), "{told:?}");
    let ticket = w.at(1).tickets().next().unwrap().1.clone();
    assert_eq!((ticket.open(), ticket.since(), ticket.context(), ticket.wants_response()), (2, since, 9, true));
    assert!(ticket.slots().iter().all(|slot| slot.receipted && slot.status.is_none()));
    for n in [2, 3] {
        let ask = ask_of(&w.messages(n));
        let now = w.now;
        w.at(n).respond(now, &ask, Answer::new(&b"!"[..])).unwrap();
    }
    w.carry();
    let told = w.told(1);
    assert_eq!(told.iter().filter(|d| matches!(d, Delivery::Confirmed { .. })).count(), 0);
    assert!(matches!(told.last(), Some(Delivery::Settled(_) | Delivery::PathClosed { .. })), "{told:?}");
}

/// A slot keeps its port when nothing can be sent there now, so that another try means the same port and never one that took its name
/// since.
#[test]
fn a_try_that_could_not_be_sent_keeps_its_port() {
    let mut w = world(3);
    let old = w.open(2, "d");
    w.open(3, "d");
    let (path, now) = (w.path(1, Target::Everywhere(name("d"))), w.now);
    let message = Message::confirmed(&b"once"[..]);
    w.at(1).quiesce_node(node(2));
    w.send(1, path, &message).unwrap();
    w.carry();
    let outcome = w.outcomes(1).pop().unwrap();
    assert_eq!((statuses(&outcome), outcome.slots[0].port), (vec![Code::Quiesced, Code::Good], Some(old)));
    w.at(1).enable_node(node(2));
    w.at(2).close_port(now, old).unwrap();
    w.open(2, "d");
    w.at(1).resend(now, &outcome, &message).unwrap();
    w.carry();
    assert_eq!(statuses(&w.outcomes(1).pop().unwrap()), [Code::NoPort]);
    assert!(w.messages(2).is_empty());
}

/// A node that had no such port at the first try, and has one now, is sent the message, too.
///
/// PROTOCOL 12.12.
#[test]
fn a_resend_finds_the_port_of_the_name_anew() {
    let mut w = world(2);
    let path = w.path(1, Target::Everywhere(name("b")));
    let message = Message::confirmed(&b"x"[..]);
    w.send(1, path, &message).unwrap();
    w.carry();
    let outcome = w.outcomes(1).remove(0);
    assert_eq!(statuses(&outcome), [Code::NoPort]);
    w.open(2, "b");
    let now = w.now;
    w.at(1).resend(now, &outcome, &message).unwrap();
    w.carry();
    assert_eq!((statuses(&w.outcomes(1)[0]), w.messages(2).len()), (vec![Code::Good], 1));
}

/// Ten messages pass a filter, ten others do not; what is kept is bounded, and is nothing while nobody looks on. What ports and paths
/// counted is what the node counted, also of those that are no more.
///
/// Rows: ST-2.
#[test]
fn what_goes_through_is_traced_and_counted() {
    let mut w = world(2);
    let (b, _other) = (w.open(2, "b"), w.open(2, "other"));
    let (path, away) = (w.path(1, by_name("b")), w.path(1, by_name("other")));
    let filter = crate::TraceFilter { port: Some(name("b")), snap: 3, ..Default::default() };
    for _ in 0..5 {
        w.send(1, path, &Message::new(&b"before"[..])).unwrap();
    }
    w.at(1).set_trace(Some(filter.clone()));
    for _ in 0..10 {
        w.send(1, path, &Message { opcode: 7, ..Message::new(&b"hello"[..]) }).unwrap();
        w.send(1, away, &Message::new(&b"x"[..])).unwrap();
    }
    w.carry();
    let traced = w.at(1).take_traced(100);
    assert_eq!(traced.len(), 10);
    assert!(traced.iter().enumerate().all(|(n, t)| t.number == n as u64 && t.sent && t.sub.opcode == 7));
    assert_eq!((traced[0].to, traced[0].path.as_deref(), traced[0].length), (b, Some("b"), 5));
    assert!(traced[0].wire.ends_with(b"hel") && !traced[0].wire.ends_with(b"hell"));
    let header = crate::wire::Header::parse(&traced[0].wire).unwrap();
    assert_eq!((header.source, header.destination, header.kind), (1, 2, crate::wire::Kind::Message));
    for _ in 0..5_000 {
        w.send(1, path, &Message::new(&b""[..])).unwrap();
        w.carry();
        w.messages(2);
    }
    let last = w.at(1).take_traced(usize::MAX);
    assert_eq!((last.len(), last[0].number), (4_096, 5_010 - 4_096));
    w.at(1).set_trace(None);
    w.send(1, path, &Message::new(&b""[..])).unwrap();
    assert!(!w.at(1).is_tracing() && w.at(1).take_traced(9).is_empty());
    w.carry();
    for closed in [false, true] {
        if closed {
            let now = w.now;
            w.at(2).close_port(now, b).unwrap();
            w.at(1).close_path(now, path).unwrap();
        }
        let (traffic, gone) = (w.at(2).traffic(), w.at(2).gone());
        let ports: u64 = w.at(2).ports().map(|port| port.counts().admitted).sum();
        assert_eq!((ports + gone.ports.admitted, traffic.admitted), (5_026, 5_026));
        let (traffic, gone) = (w.at(1).traffic(), w.at(1).gone());
        let sent: u64 = w.at(1).paths().map(|(_, path)| path.counts().messages).sum();
        assert_eq!((sent + gone.paths.messages, traffic.sent), (5_026, 5_026));
    }
}
