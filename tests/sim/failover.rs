//! A conduit, and a way, move to what still carries.

use crate::{cable::Cable, world::World};
use messenger_core::{Event, NodeConfig, Time};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(100);
const MISSES: u32 = 3;

fn world(n: usize) -> World {
    let mut w = World::new(7);
    for _ in 0..n {
        let config = NodeConfig { interval: INTERVAL, miss_limit: MISSES, ..w.config() };
        w.add_with(config);
    }
    w
}

/// Sends a frame a millisecond and tells how long none arrived, from the first that was lost to the first that was not.
pub fn outage(w: &mut World, from: usize, to: usize, time: Duration) -> (Duration, usize) {
    let mut sent: Vec<(Time, Option<u64>)> = Vec::new();
    for _ in 0..time.as_millis() {
        sent.push((w.now, w.send_to(from, to, 100).ok()));
        w.run(Duration::from_millis(1));
    }
    w.run(Duration::from_millis(50));
    let lost = |tag: &Option<u64>| tag.is_none_or(|tag| w.times(to, tag) == 0);
    let missing: Vec<Time> = sent.iter().filter(|(_, tag)| lost(tag)).map(|(at, _)| *at).collect();
    let twice = sent.iter().filter(|(_, t)| t.is_some_and(|t| w.times(to, t) > 1)).count();
    w.check(twice == 0, format_args!("{twice} frames came twice"));
    match (missing.first(), missing.last()) {
        (Some(first), Some(last)) => (last.since(*first) + Duration::from_millis(1), missing.len()),
        _ => (Duration::ZERO, 0),
    }
}

/// A peer with two links: the active one is cut, and the other carries on when the first has been silent for the
/// interval times the miss limit, no later than one interval and a round trip after that.
#[test]
fn a_conduit_leaves_a_silent_link_in_time() {
    let mut w = world(2);
    let fast = w.join_with(Cable { priority: 10, ..Cable::new(0, 1) });
    let slow = w.join(0, 1);
    w.run(Duration::from_secs(2));
    let peer = w.stations[1].id();
    assert_eq!(w.stations[0].node.active_link(peer), w.cables[fast].links[0]);
    assert_eq!(outage(&mut w, 0, 1, Duration::from_millis(500)), (Duration::ZERO, 0));
    w.cut(fast);
    let mark = w.stations[0].seen.len();
    let (time, lost) = outage(&mut w, 0, 1, Duration::from_secs(2));
    let limit = INTERVAL * MISSES;
    w.check(time >= limit - INTERVAL, format_args!("the outage of {time:?} is shorter than silence can be known"));
    w.check(time <= limit + Duration::from_millis(2), format_args!("the outage of {time:?} is longer than {limit:?}"));
    assert_eq!(lost as u128, time.as_millis(), "no frame is lost but these");
    assert_eq!(w.stations[0].node.active_link(peer), w.cables[slow].links[0]);
    assert_eq!(w.ups_and_downs(0, 1, mark), (0, 0), "the member never went");
    // Mended, the better link takes the traffic back, and nothing is lost by that.
    w.mend(fast);
    assert_eq!(outage(&mut w, 0, 1, Duration::from_secs(3)), (Duration::ZERO, 0));
    assert_eq!(w.stations[0].node.active_link(peer), w.cables[fast].links[0]);
    w.check_stories();
}

/// One node that is reached only by relay; its relay dies, another takes over.
///
/// ```text
///        ┌── 1 ──┐
///    0 ──┤       ├── 3
///        └── 2 ──┘
/// ```
///
/// Rows: MN-6.
#[test]
fn another_relay_takes_over_from_a_dead_one() {
    let mut w = world(4);
    for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        w.join(a, b);
    }
    w.run(Duration::from_secs(2));
    let far = w.stations[3].id();
    let via = |w: &World| w.stations[0].node.route(far).map(|r| r.via);
    assert_eq!(via(&w), Some(w.stations[1].id()), "the lower number among equals");
    assert_eq!(outage(&mut w, 0, 3, Duration::from_millis(200)), (Duration::ZERO, 0));
    let aside = &w.stations[2];
    let seen = aside.switch.counters.relayed + aside.switch.counters.dropped_total() + aside.got.len() as u64;
    w.check(seen == 0, "who is not on the way sees no frame");
    w.kill(1);
    let (time, _) = outage(&mut w, 0, 3, Duration::from_secs(2));
    w.check(time <= INTERVAL * (MISSES + 1), format_args!("outage of {time:?}"));
    assert_eq!(via(&w), Some(w.stations[2].id()));
    w.check_members();
    w.check_stories();
    w.check_frames(1514);
}

/// PROTOCOL 4.10. A relay gets ready to leave under load: the ways lead around it, and nothing is lost when they move, when it
/// leaves, or when it thinks better of it.
#[test]
fn a_relay_that_drains_costs_nothing() {
    for stays in [true, false] {
        let mut w = world(4);
        for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
            w.join(a, b);
        }
        w.run(Duration::from_secs(2));
        let (far, relay) = (w.stations[3].id(), w.stations[1].id());
        assert_eq!(w.stations[0].node.route(far).map(|r| r.via), Some(relay));
        let drain = |w: &mut World, on| {
            let now = w.now + w.stations[1].skew;
            w.stations[1].node.drain(now, on);
            w.stations[1].unpublish();
            w.pump(1);
        };
        w.send_to(0, 3, 100).unwrap();
        drain(&mut w, true);
        assert_eq!(outage(&mut w, 0, 3, Duration::from_secs(1)), (Duration::ZERO, 0), "it gets ready to leave");
        w.check(w.stations[1].node.is_agreed(), "everybody knows");
        assert_eq!(w.stations[0].node.route(far).map(|r| r.via), Some(w.stations[2].id()));
        let relayed = w.stations[1].switch.counters.relayed;
        assert_eq!(outage(&mut w, 0, 1, Duration::from_millis(200)), (Duration::ZERO, 0), "it is a member still");
        if stays {
            drain(&mut w, false);
        } else {
            w.shut_down(1);
        }
        assert_eq!(outage(&mut w, 0, 3, Duration::from_secs(1)), (Duration::ZERO, 0), "it stays: {stays}");
        if !stays {
            assert_eq!(w.stations[1].switch.counters.relayed, relayed, "nothing came to be passed on");
        }
        w.check_members();
        w.check_stories();
    }
}

/// A node is added under load: nothing is lost on the ways that were there.
///
/// Rows: MA-13.
#[test]
fn a_new_node_costs_the_others_nothing() {
    let mut w = world(3);
    w.line(&[0, 1, 2]);
    w.run(Duration::from_secs(2));
    let new = {
        let config = NodeConfig { interval: INTERVAL, miss_limit: MISSES, ..w.config() };
        w.add_with(config)
    };
    w.join(1, new);
    assert_eq!(outage(&mut w, 0, 2, Duration::from_secs(1)), (Duration::ZERO, 0));
    w.join(0, new);
    w.join(2, new);
    assert_eq!(outage(&mut w, 0, 2, Duration::from_secs(1)), (Duration::ZERO, 0), "a second way of the same length");
    w.check_members();
    // In order: it is asked for no new traffic first, and then leaves.
    for link in 0..3 {
        let cable = w.cables.len() - 1 - link;
        let end = w.cables[cable].end_of(new).unwrap();
        let (id, now) = (w.cables[cable].links[end].unwrap(), w.now + w.stations[new].skew);
        w.stations[new].node.quiesce(now, id, true);
        w.pump(new);
    }
    assert_eq!(outage(&mut w, 0, 2, Duration::from_secs(1)), (Duration::ZERO, 0), "it gets ready to leave");
    w.shut_down(new);
    assert_eq!(outage(&mut w, 0, 2, Duration::from_secs(1)), (Duration::ZERO, 0), "it left");
    w.check_members();
    w.check_stories();
}

/// Kill and restart of a member: everybody is told once that it went, and once that it came.
///
/// Rows: MA-07.
#[test]
fn a_restart_is_one_down_and_one_up() {
    for pause in [0, 100, 5_000] {
        let mut w = world(4);
        w.line(&[0, 1, 2, 3]);
        w.join(0, 2);
        w.run(Duration::from_secs(3));
        let marks: Vec<usize> = w.stations.iter().map(|s| s.seen.len()).collect();
        let before = w.stations[3].config.incarnation;
        w.kill(3);
        w.run(Duration::from_millis(pause));
        w.start(3, false);
        w.run(Duration::from_secs(5));
        assert_ne!(w.stations[3].config.incarnation, before);
        for (place, mark) in marks.into_iter().enumerate().take(3) {
            let told = w.ups_and_downs(place, 3, mark);
            w.check(told == (1, 1), format_args!("{place} was told {told:?} ups and downs after {pause} ms"));
            let links = |up: bool| {
                w.stations[place].seen[mark..]
                    .iter()
                    .filter(|(_, e)| match e {
                        Event::LinkUp { .. } => up,
                        Event::LinkDown { .. } => !up,
                        _ => false,
                    })
                    .count()
            };
            let wanted = if place == 2 { (1, 1) } else { (0, 0) };
            w.check((links(true), links(false)) == wanted, format_args!("links of {place} after {pause} ms"));
        }
        w.check_members();
        w.check_stories();
    }
}
