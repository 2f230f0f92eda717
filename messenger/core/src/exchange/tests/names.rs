//! Names and watches across nodes.

use super::*;
use crate::{Change, Choice, Pattern};

fn changes(told: Vec<Delivery>) -> Vec<(bool, bool, std::string::String)> {
    let change = |Change { up, edge, entry, .. }: Change| (up, edge, (*entry.name).into());
    told.into_iter()
        .filter_map(|d| if let Delivery::Watch { change: c, .. } = d { Some(change(c)) } else { None })
        .collect()
}

/// PROTOCOL 8.4.
/// Rows: PP-3.
#[test]
fn a_watch_sees_who_joins_and_leaves_and_a_send_follows() {
    let mut w = world(3);
    let now = w.now;
    let pattern = || Pattern::parse("disk/*").unwrap();
    w.open(2, "disk/0");
    let watch = w.at(1).open_watch(now, pattern(), 5).unwrap();
    assert_eq!(changes(w.told(1)), [(true, true, "disk/0".into())]);
    let one = w.open(3, "disk/1");
    w.open(3, "net/0");
    assert_eq!(changes(w.told(1)), [(true, false, "disk/1".into())]);
    let spec = PathSpec { choice: Choice::All, ..PathSpec::to(Target::Pattern(pattern())) };
    let path = w.at(1).open_path(now, spec).unwrap();
    assert_eq!(w.send(1, path, &Message::default()).unwrap().targets, 2);
    w.at(3).close_port(now, one).unwrap();
    w.carry();
    assert_eq!(changes(w.told(1)), [(false, false, "disk/1".into())]);
    assert_eq!(w.send(1, path, &Message::default()).unwrap().targets, 1);
    // A node that goes takes its names with it: the last one.
    w.nodes[1].shut_down(now);
    w.carry();
    assert_eq!(changes(w.told(1)), [(false, true, "disk/0".into())]);
    w.at(1).close_watch(now, watch).unwrap();
    w.open(3, "disk/2");
    assert!(w.told(1).is_empty());
    assert_eq!(w.at(1).close_watch(now, watch), Err(Status::new(Code::BadHandle)));
}

/// PROTOCOL 7.12.
/// Rows: LD-4.
#[test]
fn a_port_that_closes_settles_what_waits_for_it() {
    let mut w = world(2);
    let port = w.open(2, "b");
    let (path, now) = (w.path(1, by_name("b")), w.now);
    w.send(1, path, &Message::request(&b"taken"[..])).unwrap();
    w.carry();
    assert_eq!(w.messages(2).len(), 1);
    w.send(1, path, &Message::request(&b"stored"[..])).unwrap();
    w.carry();
    w.at(2).close_port(now, port).unwrap();
    w.carry();
    let ends: Vec<_> = w.told(1);
    let closed = |d: &&Delivery| matches!(d, Delivery::Settled(o) if o.status().code == Code::PortClosed);
    assert_eq!(ends.iter().filter(closed).count(), 2);
    assert_eq!(w.at(1).path(path).unwrap().state(), crate::PathState::Failed);
    assert_eq!(w.send(1, path, &Message::default()), Err(Status::new(Code::NotFound)));
}

/// PROTOCOL 8.3.
#[test]
fn two_claims_to_one_name_end_with_one_owner() {
    // Both claim while they cannot see each other.
    let mut w = world(2);
    let now = w.now;
    w.cables[0].cut = true;
    w.run(Duration::from_secs(4));
    let (a, b) = (w.open_fabric(1, "x").unwrap(), w.open_fabric(2, "x").unwrap());
    w.cables[0].cut = false;
    w.run(Duration::from_secs(4));
    let lost = |w: &mut World, n| w.told(n).iter().filter(|d| matches!(d, Delivery::NameLost { .. })).count();
    assert_eq!((lost(&mut w, 1), lost(&mut w, 2)), (0, 1), "of equal claims the lower node's is the better");
    assert!(w.at(1).port(a).unwrap().name().is_some() && w.at(2).port(b).unwrap().name().is_none());
    // A later claim is better: whoever takes over keeps the name.
    w.cables[0].cut = true;
    w.run(Duration::from_secs(4));
    w.open_fabric(2, "x").unwrap();
    w.cables[0].cut = false;
    w.run(Duration::from_secs(4));
    assert_eq!((lost(&mut w, 1), lost(&mut w, 2)), (1, 0));
    for n in [1, 2] {
        assert_eq!(w.at(n).names().map(|(node, ..)| node).collect::<Vec<_>>(), [node(2)]);
    }
    let _ = now;
}

/// A pattern that matches ten thousand ports: each gets the message, each has a slot, all are settled.
#[test]
fn ten_thousand_ports_match_a_pattern() {
    let mut w = world(2);
    let now = w.now;
    for n in 0..10_000 {
        w.at(2).open_port(now, PortSpec::named(name(&std::format!("p/{n}")))).unwrap();
    }
    w.run(Duration::from_secs(1));
    let spec = PathSpec { choice: Choice::All, ..PathSpec::to(Target::Pattern(Pattern::parse("p/*").unwrap())) };
    let path = w.at(1).open_path(now, spec).unwrap();
    let message = Message::confirmed(&b"to all"[..]);
    let sent = w.send(1, path, &message).unwrap();
    assert_eq!(sent.targets, 10_000);
    w.run(Duration::from_secs(1));
    assert_eq!(w.messages(2).len(), sent.taken);
    let outcome = w.outcomes(1).pop().unwrap();
    let count = |code| outcome.slots.iter().filter(|s| s.status.unwrap().code == code).count();
    // What the queue of one peer does not hold is an answer.
    assert_eq!((count(Code::Good), count(Code::WouldBlock)), (sent.taken, 10_000 - sent.taken));
    assert!(sent.taken > 5_000);
}

/// Names that are too many for one message come in several, and none of them is taken for gone in between.
///
/// PROTOCOL 8.1, 8.2.
#[test]
fn many_names_travel_in_several_messages() {
    let mut w = World::new(2);
    let now = w.now;
    let value = |n: u32| name(&std::format!("{n:-<63}"));
    for n in 0..700 {
        let properties = (0..16).map(|m| (value(m), value(n))).collect();
        w.at(1).open_port(now, PortSpec { properties, ..PortSpec::named(value(n)) }).unwrap();
    }
    w.connect(1, 2, 10);
    w.run(Duration::from_secs(2));
    assert_eq!(w.at(2).names().count(), 700);
    // One who lags too far is told all again: what stayed is not told to come or go.
    w.at(2).open_watch(now, Pattern::parse("*").unwrap(), 1).unwrap();
    w.told(2);
    for n in 0..=crate::limits::CHANGES as u32 {
        let port = w.at(1).open_port(now, PortSpec::named(value(10_000 + n))).unwrap();
        if n > 0 {
            w.at(1).close_port(now, port).unwrap();
        }
    }
    w.run(Duration::from_secs(2));
    assert_eq!(changes(w.told(2)), [(true, false, (*value(10_000)).into())]);
    assert_eq!(w.at(2).names().count(), 701);
}
