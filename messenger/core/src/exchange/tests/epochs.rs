//! Streams that begin anew: `PROTOCOL 7.10`.

use super::*;
use crate::{Incarnation, Time};

/// Both nodes know both names, and a message comes and is confirmed.
fn all_is_well(w: &mut World) {
    for n in [1, 2] {
        let known: Vec<_> = w.at(n).names().map(|(node, ..)| node).collect();
        assert_eq!(known, [node(1), node(2)], "what node {n} knows");
    }
    w.told(2);
    let path = w.path(1, by_name("b"));
    w.send(1, path, &Message::confirmed(&b"hello"[..])).unwrap();
    w.carry();
    assert_eq!((w.messages(2).len(), w.outcomes(1)[0].status()), (1, Status::GOOD));
}

fn named_world() -> (World, Time) {
    let mut w = world(2);
    w.open(1, "a");
    w.open(2, "b");
    all_is_well(&mut w);
    let now = w.now;
    (w, now)
}

/// A record of the life before comes once more, and then this life's again, and only one of two nodes saw that.
///
/// PROTOCOL 7.10.
#[test]
fn the_floor_of_a_life_outlasts_the_life_before_it() {
    let (mut w, now) = named_world();
    let life = w.nodes[1].incarnation();
    for seen in [Incarnation::new(9), life, Incarnation::new(9), life] {
        w.at(1).handle_member(now, node(2), seen);
    }
    w.run(Duration::from_secs(1));
    all_is_well(&mut w);
}

/// Likewise, what was stored of this life is known again: another try does not come twice.
#[test]
fn what_was_stored_of_a_life_outlasts_the_life_before_it() {
    let mut w = world(2);
    w.open(2, "d");
    let (path, now) = (w.path(1, by_name("d")), w.now);
    let message = Message::confirmed(&b"once"[..]);
    w.send(1, path, &message).unwrap();
    // It arrives, and its receipt does not.
    while let Some(sent) = w.nodes[0].poll_transmit() {
        let there = w.cables[0].ends[1].1;
        w.nodes[1].handle_message(now, there, &sent.bytes);
    }
    while w.nodes[1].poll_transmit().is_some() {}
    assert_eq!(w.messages(2).len(), 1);
    let lives = [0, 1].map(|n| w.nodes[n].incarnation());
    w.at(1).handle_departure(now, node(2));
    let mut outcome = w.outcomes(1).pop().unwrap();
    assert_eq!(statuses(&outcome), [Code::NodeDown]);
    for seen in [Incarnation::new(9), lives[0]] {
        w.at(2).handle_member(now, node(1), seen);
    }
    w.at(1).handle_member(now, node(2), lives[1]);
    w.run(Duration::from_secs(1));
    // The path failed with its node's names.
    outcome.path = w.path(1, by_name("d"));
    let later = w.now;
    w.at(1).resend(later, &outcome, &message).unwrap();
    w.run(Duration::from_secs(1));
    assert_eq!(w.outcomes(1).pop().unwrap().status(), Status::GOOD);
    assert!(w.messages(2).is_empty(), "it came twice");
}

/// A node that believes the other one's epochs up to a far one to be over gets a later one, at the first try.
///
/// PROTOCOL 7.10.
#[test]
fn a_demand_for_a_far_epoch_is_met_at_once() {
    for far in [1, 0x1234, 0x2000_0000, 0x7fff_fff0] {
        let (mut w, now) = named_world();
        let epoch = w.at(1).peers[&node(2)].epoch.wrapping_add(far);
        w.at(2).peers.get_mut(&node(1)).unwrap().its_epoch = epoch;
        w.at(2).handle_departure(now, node(1));
        w.at(2).handle_member(now, node(1), Incarnation::new(100));
        w.run(Duration::from_secs(1));
        let began = w.at(1).peers[&node(2)].epoch;
        assert_eq!((began, w.at(2).peers[&node(1)].its_epoch), (epoch.wrapping_add(1).max(1), began));
        all_is_well(&mut w);
        // Whoever leaves and comes back after that begins a later one still.
        w.at(1).handle_departure(now, node(2));
        w.at(1).handle_member(now, node(2), Incarnation::new(200));
        w.run(Duration::from_secs(1));
        all_is_well(&mut w);
    }
}
