//! A conduit leaves links that are silent, lossy, slow or unsteady, and comes back to them.

use crate::{
    cable::{Cable, Faults},
    failover::outage,
    world::World,
};
use messenger_core::{Cause, Demotion, Event, LinkId, NodeConfig, Policy};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Two stations with a fast and a slow link, both up.
fn world(seed: u64, policy: Policy) -> (World, usize, usize) {
    let mut w = World::new(seed);
    for _ in 0..2 {
        let config = NodeConfig { interval: Duration::from_millis(500), miss_limit: 4, ..w.config() };
        let place = w.add_with(config);
        let now = w.now;
        w.stations[place].demand(now, policy);
    }
    let fast = w.join_with(Cable { priority: 10, ..Cable::new(0, 1) });
    let slow = w.join(0, 1);
    w.run(3 * SECOND);
    (w, fast, slow)
}

fn active(w: &World, place: usize) -> Option<LinkId> {
    w.stations[place].node.active_link(w.stations[1 - place].id())
}

fn carries(w: &World, cable: usize) -> bool {
    (0..2).all(|place| active(w, place) == w.cables[cable].links[place])
}

fn causes(w: &World, place: usize, mark: usize) -> Vec<Cause> {
    let seen = w.stations[place].seen[mark..].iter();
    seen.filter_map(|(_, e)| if let Event::Switched { why, .. } = e { Some(*why) } else { None }).collect()
}

/// The outage is what the policy says, though the miss limit allows two seconds; on many seeds, cut at any moment.
///
/// Rows: CS-4.
#[test]
fn a_cut_of_the_link_that_carries_costs_under_100_ms() {
    let mut worst = Duration::ZERO;
    for seed in 0..40 {
        let (mut w, fast, slow) = world(seed, Policy::default());
        w.run(Duration::from_micros(seed * 2_711));
        assert!(carries(&w, fast));
        assert_eq!(outage(&mut w, 0, 1, Duration::from_millis(100)), (Duration::ZERO, 0));
        let mark = w.stations[0].seen.len();
        w.cut(fast);
        let (time, _) = outage(&mut w, 0, 1, SECOND);
        worst = worst.max(time);
        w.check(carries(&w, slow), "the other link carries at both ends");
        assert_eq!(causes(&w, 0, mark), [Cause::Demoted(Demotion::Silence)]);
        assert_eq!(w.ups_and_downs(0, 1, mark), (0, 0), "the member never went");
        w.mend(fast);
        assert_eq!(outage(&mut w, 0, 1, 4 * SECOND), (Duration::ZERO, 0), "nothing is lost on the way back");
        w.check(carries(&w, fast), "taken back");
        w.check_stories();
    }
    assert!(worst < Duration::from_millis(100) && worst > Duration::from_millis(40), "{worst:?}");
}

/// It can be set down to 10 ms.
#[test]
fn detection_is_settable_down_to_ten_milliseconds() {
    for seed in 0..20 {
        let (mut w, fast, _) = world(seed, Policy { detect: Duration::from_millis(10), ..Policy::default() });
        w.cut(fast);
        let (time, _) = outage(&mut w, 0, 1, SECOND);
        w.check(time <= Duration::from_millis(16), format_args!("an outage of {time:?}"));
    }
}

/// Nothing is demoted in ten quiet minutes, nor where answers take long but do come.
#[test]
fn there_is_no_false_alarm() {
    for (delay, jitter) in [(100, 0), (100, 15_000), (45_000, 0)] {
        let (mut w, fast, _) = world(3, Policy::default());
        w.cables[fast].delay = delay;
        w.cables[fast].faults = Faults { jitter, ..Faults::default() };
        // What it is like is learnt at first.
        w.run(20 * SECOND);
        let mark = w.stations[0].seen.len();
        w.run(600 * SECOND);
        assert_eq!(causes(&w, 0, mark), [], "{delay} {jitter}");
        assert_eq!(outage(&mut w, 0, 1, SECOND), (Duration::ZERO, 0));
    }
}

/// Loss over the limit demotes, at both ends, and the link is taken back when it is good again.
///
/// PROTOCOL 3.12.
#[test]
fn a_lossy_link_is_left_and_taken_back() {
    for seed in 0..10 {
        let (mut w, fast, slow) = world(seed, Policy::default());
        let mark = w.stations[0].seen.len();
        w.cables[fast].faults = Faults { loss: 50, ..Faults::default() };
        w.run(10 * SECOND);
        w.check(
            !causes(&w, 0, mark).iter().any(|c| matches!(c, Cause::Demoted(Demotion::Loss(_)))),
            "a little is tolerated",
        );
        w.cables[fast].faults = Faults { loss: 400, ..Faults::default() };
        w.run(20 * SECOND);
        w.check(carries(&w, slow), "left");
        w.cables[fast].faults = Faults::default();
        w.run(60 * SECOND);
        w.check(carries(&w, fast), "taken back");
        w.check_stories();
    }
}

#[test]
fn a_slow_link_is_left_and_taken_back() {
    let (mut w, fast, slow) = world(5, Policy { delay: Duration::from_millis(20), ..Policy::default() });
    let mark = w.stations[0].seen.len();
    w.cables[fast].delay = 15_000;
    w.run(10 * SECOND);
    w.check(carries(&w, slow), "left");
    assert!(causes(&w, 0, mark).iter().any(|c| matches!(c, Cause::Demoted(Demotion::Delay(_)))));
    w.cables[fast].delay = 9_000;
    w.run(10 * SECOND);
    w.check(carries(&w, slow), "18 ms are not good enough to come back");
    w.cables[fast].delay = 1_000;
    w.run(30 * SECOND);
    w.check(carries(&w, fast), "taken back");
}

/// A link that is cut and mended all the time carries again only when it has been quiet for a while.
#[test]
fn a_link_that_flaps_is_kept_from_carrying() {
    let (mut w, fast, slow) = world(9, Policy { hold: Duration::from_millis(100), ..Policy::default() });
    let mark = w.stations[0].seen.len();
    for _ in 0..30 {
        w.cut(fast);
        w.run(Duration::from_millis(700));
        w.mend(fast);
        w.run(Duration::from_millis(700));
    }
    let switches = causes(&w, 0, mark).len();
    w.check(switches < 20, format_args!("{switches} switches in 30 flaps"));
    w.check(carries(&w, slow), "kept from carrying");
    w.run(60 * SECOND);
    w.check(carries(&w, fast), "forgiven");
}

/// Two links and no frames: what is measured costs a few messages a second, and a link that falls silent is left
/// nonetheless, before anybody has frames for it.
#[test]
fn an_idle_conduit_is_measured_at_ease() {
    let (mut w, fast, slow) = world(2, Policy::default());
    w.run(5 * SECOND);
    let before = w.said.clone();
    w.run(10 * SECOND);
    let beats = w.said.values().sum::<u64>() - before.values().sum::<u64>();
    w.check(beats < 300, format_args!("{beats} messages in ten idle seconds"));
    w.cut(fast);
    w.run(Duration::from_millis(400));
    w.check(carries(&w, slow), "left while idle");
}

/// With a single link there is nothing to choose: nobody asks, nothing is demoted.
#[test]
fn without_a_choice_nothing_is_asked() {
    let (mut w, fast, slow) = world(1, Policy::default());
    w.cut(slow);
    w.run(10 * SECOND);
    let before = w.said.clone();
    w.run(10 * SECOND);
    let beats = w.said.values().sum::<u64>() - before.values().sum::<u64>();
    w.check(beats < 150, format_args!("{beats} messages in ten idle seconds"));
    w.check(carries(&w, fast), "the only one");
}
