//! Somebody with another node's number, and records of lives that are over.

use crate::{
    cable::{Cable, Faults},
    world::World,
};
use messenger_core::{Event, Name, NodeConfig};
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

/// Two parts of the fabric have a living node of one number each, and are joined: one of the two gives way, always the same,
/// and is let in when the other is gone.
///
/// ```text
///   0 -- 1 -- 2 -- 3        4 (number of 0) -- 5 -- 6
///              later: 3 -- 6
/// ```
///
/// `PROTOCOL 4.7`.
#[test]
fn of_two_living_nodes_of_one_number_one_gives_way() {
    for (seed, same_name, loss) in [(1, false, 0), (2, false, 200), (3, true, 0), (4, true, 200), (5, false, 50)] {
        let mut w = World::with(seed, 4);
        let twin = impostor(&mut w, 0);
        if same_name {
            let name = w.stations[0].config.name.clone();
            let config = NodeConfig { name, ..w.stations[twin].config.clone() };
            w.stations[twin].config = config;
            w.start(twin, false);
        }
        let (five, six) = (w.add(), w.add());
        w.line(&[0, 1, 2, 3]);
        w.line(&[twin, five, six]);
        w.run(Duration::from_secs(3));
        w.check_stories();
        w.join_with(Cable { faults: Faults { loss, ..Faults::default() }, ..Cable::new(3, six) });
        w.run(Duration::from_secs(10));
        let life = |w: &World, place: usize| w.stations[place].config.incarnation;
        let number = |place: usize| life(&w, place).get();
        let (winner, loser) = if number(0) > number(twin) { (0, twin) } else { (twin, 0) };
        let live = w.stations[loser].node.links().filter(|l| l.is_live()).count();
        w.check(live == 0, "who gave way has a link");
        w.check(w.stations[loser].node.rival() == Some(w.stations[winner].node.name()), "it does not know to whom");
        w.check(w.stations[winner].node.rival().is_none(), "the other gave way too");
        let told = w.stations[loser].seen.iter().filter(|(_, e)| matches!(e, Event::DuplicateNode { .. })).count();
        w.check(told == 1, format_args!("told {told} times"));
        w.run(Duration::from_secs(10));
        for place in [1, 2, 3, five, six] {
            let known = w.stations[place].node.member(w.stations[winner].id()).map(|m| m.incarnation);
            w.check(known == Some(life(&w, winner)), format_args!("station {place} knows {known:?}"));
        }
        if !same_name {
            // For ever: the others refuse it by its name.
            w.run(Duration::from_secs(120));
            let live = w.stations[loser].node.links().filter(|l| l.is_live()).count();
            w.check(live == 0, "who gave way has a link");
            let told = w.stations[loser].seen.iter().filter(|(_, e)| matches!(e, Event::DuplicateNode { .. })).count();
            w.check(told <= 4, format_args!("told {told} times in two minutes"));
        }
        w.kill(winner);
        w.run(Duration::from_secs(320));
        w.cables.iter_mut().for_each(|cable| cable.faults = Faults::default());
        w.run(Duration::from_secs(5));
        w.check_members();
        w.check_stories();
        w.check_frames(200);
        w.check(w.stations[loser].node.rival().is_none(), "it is in again");
    }
}

/// Three living nodes of one number in a row: two give way, and nobody tells records at line rate until then.
///
/// ```text
///   0 -- 1 -- 3 -- 5
///             |    |
///             2    4        2 and 4 have the number of 0
/// ```
///
/// `PROTOCOL 4.7`.
#[test]
fn of_three_living_nodes_of_one_number_two_give_way() {
    for (seed, loss) in [(1, 0), (2, 0), (3, 0), (4, 100), (5, 100)] {
        let mut w = World::with(seed, 2);
        let (two, three) = (impostor(&mut w, 0), w.add());
        let (four, five) = (impostor(&mut w, 0), w.add());
        w.stations[four].config.name = Name::new("another").unwrap();
        w.start(four, false);
        w.line(&[0, 1]);
        w.line(&[two, three]);
        w.line(&[four, five]);
        w.run(Duration::from_secs(3));
        let announced = |w: &World| w.said.get(&(0, 5)).copied().unwrap_or(0);
        let before = announced(&w);
        for (a, b) in [(1, three), (three, five)] {
            w.join_with(Cable { faults: Faults { loss, ..Faults::default() }, ..Cable::new(a, b) });
        }
        w.run(Duration::from_secs(15));
        let winner = *[0, two, four].iter().max_by_key(|s| w.stations[**s].config.incarnation.get()).unwrap();
        for place in [0, two, four] {
            let live = w.stations[place].node.links().filter(|l| l.is_live()).count();
            w.check(live == usize::from(place == winner), format_args!("station {place} has {live} links"));
        }
        let life = w.stations[winner].config.incarnation;
        for place in [1, three, five] {
            let known = w.stations[place].node.member(w.stations[winner].id()).map(|m| m.incarnation);
            w.check(known == Some(life), format_args!("station {place} knows {known:?}"));
        }
        let said = announced(&w) - before;
        w.check(said < 1_000, format_args!("{said} announcements"));
    }
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
