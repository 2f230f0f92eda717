//! Somebody with another node's number, and records of lives that are over.

use crate::world::World;
use messenger_core::{Name, NodeConfig};
use std::time::Duration;

/// A node with the number of `of`, of another life and name.
fn impostor(w: &mut World, of: usize) -> usize {
    let node = w.stations[of].id();
    let config = NodeConfig { node, name: Name::new("impostor").unwrap(), ..w.config() };
    w.add_with(config)
}

#[track_caller]
fn stays_out(w: &mut World, false_one: usize, of: usize, honest: &[usize]) {
    for _ in 0..100 {
        w.run(Duration::from_millis(100));
        let live = w.stations[false_one].node.links().filter(|l| l.is_live()).count();
        w.check(live == 0, "the impostor has a link");
        let life = w.stations[of].config.incarnation;
        for place in honest {
            let known = w.stations[*place].node.member(w.stations[of].id()).map(|m| m.incarnation);
            w.check(known == Some(life), format_args!("station {place} knows {known:?}"));
        }
    }
}

#[test]
fn a_neighbours_number_is_not_given_twice() {
    let mut w = World::with(3, 3);
    w.line(&[0, 1, 2]);
    w.run(Duration::from_secs(2));
    let false_one = impostor(&mut w, 2);
    w.join(1, false_one);
    stays_out(&mut w, false_one, 2, &[0, 1]);
}

/// The first is known by its record alone: it lives far away.
#[test]
fn a_far_members_number_is_not_given_twice() {
    let mut w = World::with(4, 4);
    w.line(&[0, 1, 2, 3]);
    w.run(Duration::from_secs(2));
    let false_one = impostor(&mut w, 3);
    w.join(0, false_one);
    stays_out(&mut w, false_one, 3, &[0, 1, 2]);
}

/// Once the first is dead, its number is free: there is no quarantine.
#[test]
fn a_dead_nodes_number_is_free() {
    let mut w = World::with(5, 4);
    w.line(&[0, 1, 2, 3]);
    w.run(Duration::from_secs(2));
    let heir = impostor(&mut w, 3);
    w.join(0, heir);
    w.run(Duration::from_secs(2));
    w.kill(3);
    w.run(Duration::from_secs(10));
    w.check_members();
    w.check_stories();
}

/// A node that came back with its clock set back, over another cable: its old record does not survive.
#[test]
fn a_record_of_an_older_life_does_not_survive() {
    for seed in 0..20 {
        let mut w = World::with(seed, 4);
        w.line(&[0, 1, 2, 3]);
        let spare = w.join(0, 3);
        w.cut(spare);
        w.run(Duration::from_secs(3));
        let last = spare - 1;
        w.kill(3);
        w.cut(last);
        w.mend(spare);
        w.start(3, true);
        w.run(Duration::from_secs(15));
        w.check_members();
        w.check_stories();
        w.mend(last);
        w.run(Duration::from_secs(15));
        w.check_members();
        w.check_frames(200);
        w.check_silence(Duration::from_secs(10));
    }
}
