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
