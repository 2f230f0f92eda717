//! Many nodes.

use crate::{cable::Cable, world::World};
use messenger_core::NodeConfig;
use std::{collections::BTreeSet, time::Duration};

/// Five nodes in a line and roles swapped: whoever is in the middle relays, and every pair talks, by messages without
/// payload too.
///
/// Rows: MA-11, MA-17, MA-21.
#[test]
fn five_nodes_in_any_order_reach_each_other() {
    for order in [[0, 1, 2, 3, 4], [4, 2, 0, 1, 3], [1, 4, 3, 0, 2]] {
        let mut w = World::with(11, 5);
        w.line(&order);
        w.run(Duration::from_secs(3));
        w.check_members();
        w.check_frames(60);
        w.check_frames(1514);
        for from in 0..5 {
            for to in (0..5).filter(|to| *to != from) {
                let (node, now) = (w.stations[to].id(), w.now + w.stations[from].skew);
                let token = w.stations[from].node.ping(now, node, 0).unwrap();
                w.pump(from);
                w.run(Duration::from_millis(20));
                let answered = w.stations[from]
                    .seen
                    .iter()
                    .any(|(_, e)| matches!(e, messenger_core::Event::Pong(p) if p.token == token && p.node == node));
                w.check(answered, format_args!("{from} hears nothing of {to}"));
            }
        }
        w.check_stories();
        w.check_silence(Duration::from_secs(5));
    }
}

/// 256 nodes on a ring of hubs: all know all; one dies, and all know that.
///
/// Rows: VI-58.
#[test]
fn two_hundred_and_fifty_six_nodes_know_each_other() {
    const N: usize = 256;
    const HUBS: usize = 8;
    let mut w = World::new(1);
    for _ in 0..N {
        let config = NodeConfig { interval: Duration::from_secs(1), ..w.config() };
        w.add_with(config);
    }
    for hub in 0..HUBS {
        w.join_with(Cable { message: 65_600, ..Cable::new(hub, (hub + 1) % HUBS) });
    }
    for leaf in HUBS..N {
        w.join_with(Cable { message: 65_600, ..Cable::new(leaf % HUBS, leaf) });
    }
    w.run(Duration::from_secs(8));
    let all_know = |w: &World, n: usize| {
        let sizes: BTreeSet<usize> =
            w.running().into_iter().map(|place| w.stations[place].node.members().count()).collect();
        assert_eq!(sizes, BTreeSet::from([n]));
    };
    all_know(&w, N);
    w.kill(N - 1);
    w.run(Duration::from_secs(6));
    all_know(&w, N - 1);
    let tag = w.send(N - 2, messenger_core::Mac::BROADCAST, 100).unwrap();
    w.run(Duration::from_secs(1));
    assert_eq!((0..N).map(|p| w.times(p, tag)).sum::<usize>(), N - 2, "every other living one, once");
    assert!(w.wrong.is_empty(), "{:?}", w.wrong);
}

/// `PROTOCOL 4.5`: two nodes that reach different members agree nonetheless, beside a node that does not relay and at the
/// end of the hop limit; they fall silent, and find each other when a way opens.
#[test]
fn neighbours_that_reach_different_members_agree() {
    let mut w = World::new(5);
    for place in 0..14 {
        let config = NodeConfig { relay: place != 3, ..w.config() };
        w.add_with(config);
    }
    // 3 does not relay; the line from 3 to 13 is longer than a way may be.
    w.line(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    w.run(Duration::from_secs(20));
    w.check_members();
    w.check_silence(Duration::from_secs(20));
    let around = w.join(2, 4);
    w.run(Duration::from_secs(10));
    w.check_members();
    w.check_frames(200);
    w.check_silence(Duration::from_secs(20));
    w.kill(0);
    w.cut(around);
    w.run(Duration::from_secs(20));
    w.check_members();
    w.check_stories();
    w.check_silence(Duration::from_secs(20));
}
