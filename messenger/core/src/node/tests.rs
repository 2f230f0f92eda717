use super::*;
use crate::{
    SegmentId, Transmit,
    wire::{Flags, Hello, Refusal},
};
use std::{string::String, vec};

/// Nodes joined by cables, a virtual clock and no loss unless a cable is cut.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) cables: Vec<Cable>,
    pub(crate) seen: Vec<(u32, Event)>,
}

pub(crate) struct Cable {
    pub(crate) ends: [(usize, LinkId); 2],
    pub(crate) cut: bool,
}

const STEP: Duration = Duration::from_millis(10);
/// At one time nodes answer each other at most so often.
const ROUNDS: usize = 100_000;

pub(crate) fn config(n: u32, name: &str) -> NodeConfig {
    NodeConfig {
        node: NodeId::new(n).unwrap(),
        name: Name::new(name).unwrap(),
        fabric: Name::new("default").unwrap(),
        incarnation: Incarnation::new(n * 100),
        version: 1,
        seed: u64::from(n),
        interval: Duration::from_millis(500),
        miss_limit: 4,
        relay: true,
        frame: 1514,
        offloads: 0,
    }
}

impl World {
    pub(crate) fn new(n: u32) -> World {
        let nodes = (1..=n).map(|n| Node::new(config(n, &std::format!("n{n}")), Time::ZERO)).collect();
        World { now: Time::ZERO, nodes, cables: Vec::new(), seen: Vec::new() }
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize, priority: u8) -> usize {
        let spec = LinkSpec { carrier: "cable", priority, message: 600, expect: None, miss_limit: None, lasting: true };
        let ends = [a, b].map(|n| (n - 1, self.nodes[n - 1].open_link(self.now, spec.clone())));
        self.cables.push(Cable { ends, cut: false });
        self.cables.len() - 1
    }

    pub(crate) fn carry(&mut self) {
        for _ in 0..ROUNDS {
            let mut quiet = true;
            for at in 0..self.nodes.len() {
                while let Some(Transmit { link, bytes }) = self.nodes[at].poll_transmit() {
                    quiet = false;
                    let end = (at, link);
                    let to = self.cables.iter().filter(|c| !c.cut).find_map(|c| match c.ends {
                        [x, y] if x == end => Some(y),
                        [x, y] if y == end => Some(x),
                        _ => None,
                    });
                    if let Some((to, link)) = to {
                        self.nodes[to].handle_message(self.now, link, &bytes);
                    }
                }
                while let Some(event) = self.nodes[at].poll_event() {
                    self.seen.push((at as u32 + 1, event));
                }
            }
            for node in &mut self.nodes {
                if node.poll_timeout().is_some_and(|at| at <= self.now) {
                    node.handle_timeout(self.now);
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the nodes answer each other for ever");
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + STEP;
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
            self.carry();
        }
    }

    /// Lets a node tell its neighbours a record, whatever it holds itself, when things are carried next.
    pub(super) fn announce(&mut self, n: usize, entry: &Entry) {
        let Node { links, out, me, .. } = &mut self.nodes[n - 1];
        for link in links.values_mut().filter(|l| l.is_live()) {
            for part in crate::registry::parts(entry, 500) {
                link.say(self.now, me, &LinkBody::Announce(part), out);
            }
        }
    }

    pub(super) fn members(&self, n: usize) -> Vec<u32> {
        self.nodes[n - 1].members().map(|m| m.node.get()).collect()
    }
}

pub(crate) fn id(n: u32) -> NodeId {
    NodeId::new(n).unwrap()
}

/// PROTOCOL 3.3.
#[test]
fn two_nodes_meet_and_know_each_other() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.carry();
    assert_eq!((w.members(1), w.members(2)), (vec![1, 2], vec![1, 2]));
    assert!(w.seen.contains(&(1, Event::MemberUp(id(2)))) && w.seen.contains(&(2, Event::MemberUp(id(1)))));
    w.run(Duration::from_secs(3));
    assert!(w.nodes[0].links().all(|l| l.round_trip().is_some() && l.changes() == 1));
}

#[test]
fn a_long_record_travels_in_parts() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    let attachment = |n: u32| Attachment {
        segment: SegmentId(n),
        name: Name::new("lan").unwrap(),
        frame: 1514,
        offloads: 0,
        v4: vec![[10, 0, 0, n as u8]; 40],
        v6: vec![],
    };
    let all: Vec<_> = (0..20).map(attachment).collect();
    w.nodes[0].set_attachments(w.now, all.clone());
    w.carry();
    assert_eq!(w.nodes[1].member(id(1)).unwrap().attachments, all);
}

#[test]
fn silence_ends_a_link_and_a_healed_cable_brings_it_back() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w.cables[cable].cut = true;
    w.run(Duration::from_millis(2_600));
    assert!(w.seen.iter().any(|(n, e)| *n == 1 && matches!(e, Event::LinkDown { reason: Reason::Silent, .. })));
    assert_eq!(w.members(1), [1]);
    assert_eq!(w.nodes[0].departed().map(|d| d.node.get()).collect::<Vec<_>>(), [2]);
    w.cables[cable].cut = false;
    w.run(Duration::from_secs(2));
    assert_eq!(w.members(1), [1, 2]);
    assert_eq!(w.nodes[0].departed().count(), 0);
}

/// `PROTOCOL 3.5`: the peer is told, more than once, since a hello may be lost.
#[test]
fn a_link_takes_another_size_of_message_while_it_runs() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    let sizes = |w: &World| [0, 1].map(|n| w.nodes[n].links().next().unwrap().peer().unwrap().message);
    let [(at, link), _] = w.cables[cable].ends;
    w.seen.clear();
    for (size, lost) in [(300, false), (500, true), (900, false)] {
        w.cables[cable].cut = lost;
        let now = w.now;
        w.nodes[at].set_link_message(now, link, size);
        w.carry();
        w.cables[cable].cut = false;
        w.run(Duration::from_secs(2));
        assert_eq!(sizes(&w), [size.min(600); 2], "the other end takes 600");
    }
    let resized = |e: &Event| matches!(e, Event::LinkResized { .. });
    assert_eq!(w.seen.iter().filter(|(_, e)| resized(e)).count(), 6, "{:?}", w.seen);
    assert!(w.seen.iter().all(|(_, e)| !matches!(e, Event::LinkDown { .. })), "{:?}", w.seen);
    // A busy link has no heartbeats; the new size is told all the same.
    let now = w.now;
    w.nodes[at].set_link_message(now, link, 200);
    let hellos = |node: &mut Node| std::iter::from_fn(|| node.poll_transmit()).filter(|t| t.bytes[16] == 1).count();
    let said = hellos(&mut w.nodes[at]);
    for _ in 0..300 {
        w.now = w.now + STEP;
        let now = w.now;
        w.nodes[at].handle_traffic(now, link, true, true);
        w.nodes[at].handle_timeout(now);
    }
    let again = hellos(&mut w.nodes[at]);
    assert_eq!((said, again), (1, 2));
}

/// PROTOCOL 3.8.
#[test]
fn traffic_is_a_sign_of_life() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w.cables[cable].cut = true;
    let links = w.cables[cable].ends;
    for _ in 0..500 {
        for (n, link) in links {
            w.nodes[n].handle_traffic(w.now, link, true, true);
        }
        w.run(STEP);
    }
    assert_eq!(w.members(1), [1, 2]);
}

/// PROTOCOL 3.8.
/// Rows: HB-3.
#[test]
fn an_idle_link_says_one_thing_an_interval_and_a_busy_one_nothing() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(5));
    let count = |w: &mut World, busy: bool| {
        let mut said = 0;
        for _ in 0..500 {
            w.now = w.now + STEP;
            for (n, link) in w.cables[cable].ends {
                if busy {
                    w.nodes[n].handle_traffic(w.now, link, true, true);
                }
                w.nodes[n].handle_timeout(w.now);
            }
            for at in 0..2 {
                while let Some(t) = w.nodes[at].poll_transmit() {
                    said += 1;
                    let (other, link) = w.cables[cable].ends[1 - at];
                    w.nodes[other].handle_message(w.now, link, &t.bytes);
                }
            }
        }
        said
    };
    assert_eq!(count(&mut w, true), 0);
    let idle = count(&mut w, false);
    assert!((18..=20).contains(&idle), "two ends, five seconds, one in 500 ms: {idle}");
}

/// PROTOCOL 3.10.
#[test]
fn the_best_live_link_carries_the_conduit() {
    let mut w = World::new(2);
    let slow = w.connect(1, 2, 30);
    let fast = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    let active = |w: &World| w.nodes[0].active_link(id(2));
    assert_eq!(active(&w), Some(w.cables[fast].ends[0].1));
    let (node, link) = w.cables[fast].ends[0];
    let now = w.now;
    w.nodes[node].close_link(now, link, Reason::CarrierLost);
    assert_eq!(active(&w), Some(w.cables[slow].ends[0].1));
    w.carry();
    assert_eq!(w.members(1), [1, 2], "the conduit never was down");
}

#[test]
fn a_member_without_a_direct_link_is_reached_by_relay() {
    let mut w = World::new(3);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    w.run(Duration::from_secs(1));
    assert_eq!(w.members(1), [1, 2, 3]);
    assert_eq!(w.nodes[0].route(id(3)).map(|r| (r.via.get(), r.hops)), Some((2, 2)));
    let now = w.now;
    let token = w.nodes[0].ping(now, id(3), 100).unwrap();
    w.carry();
    assert!(w.seen.iter().any(|(n, e)| *n == 1 && matches!(e, Event::Pong(p) if p.token == token)));
    assert_eq!(w.nodes[1].counts().relayed, 2);
}

/// PROTOCOL 2.10.
#[test]
fn a_message_that_ran_out_of_hops_is_dropped_and_counted() {
    let mut w = World::new(3);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    w.run(Duration::from_secs(1));
    let now = w.now;
    w.nodes[0].ping(now, id(3), 0).unwrap();
    let mut t = w.nodes[0].poll_transmit().unwrap();
    let mut header = Header::parse(&t.bytes).unwrap();
    header.flags = header.flags.with_hops(0);
    header.emit(&mut t.bytes).unwrap();
    w.nodes[1].handle_message(now, w.cables[0].ends[1].1, &t.bytes);
    assert_eq!((w.nodes[1].counts().hop_limit, w.nodes[1].poll_transmit()), (1, None));
    assert_eq!(header.flags.hops(), 0);
    assert_eq!(Flags::MAX_HOPS, 7);
}

/// PROTOCOL 3.6.
#[test]
fn refusals_name_their_reason() {
    type Change = fn(&mut NodeConfig);
    let cases: [(Change, Refusal); 3] = [
        (|c| c.fabric = Name::new("other").unwrap(), Refusal::Fabric),
        (|c| c.node = id(1), Refusal::DuplicateNode),
        (|c| c.name = Name::new("n1").unwrap(), Refusal::DuplicateName),
    ];
    for (change, why) in cases {
        let mut w = World::new(1);
        let mut other = config(2, "n2");
        change(&mut other);
        w.nodes.push(Node::new(other, Time::ZERO));
        w.connect(1, 2, 10);
        w.run(Duration::from_secs(4));
        let told: Vec<_> = w.seen.iter().filter(|(_, e)| matches!(e, Event::LinkRefused { .. })).collect();
        assert!(told.iter().any(|(_, e)| matches!(e, Event::LinkRefused { why: w, .. } if *w == why)), "{told:?}");
        assert!(told.len() <= 4, "told once, not at every try: {told:?}");
        assert_eq!(w.members(1), [1]);
    }
}

#[test]
fn a_second_node_with_a_living_nodes_number_stays_out() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w.nodes.push(Node::new(NodeConfig { incarnation: Incarnation::new(7), ..config(2, "impostor") }, w.now));
    w.connect(1, 3, 10);
    w.run(Duration::from_secs(6));
    assert_eq!(w.nodes[0].member(id(2)).unwrap().name, Name::new("n2").unwrap());
    assert_eq!(w.members(2), [1, 2]);
}

#[test]
fn a_far_nodes_number_is_not_given_twice() {
    let mut w = World::new(3);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    w.run(Duration::from_secs(1));
    w.nodes.push(Node::new(NodeConfig { incarnation: Incarnation::new(7), ..config(3, "impostor") }, w.now));
    w.connect(1, 4, 10);
    w.run(Duration::from_secs(6));
    assert!(w.nodes[3].links().all(|l| !l.is_live()));
    assert_eq!(w.nodes[0].member(id(3)).unwrap().name, Name::new("n3").unwrap());
}

/// 1 and 3 are linked to 2 alone, which does not relay.
#[test]
fn whoever_never_came_does_not_go() {
    let mut w = World::new(3);
    w.nodes[1] = Node::new(NodeConfig { relay: false, ..config(2, "n2") }, w.now);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    w.run(Duration::from_secs(20));
    assert_eq!((w.members(1), w.members(2), w.members(3)), (vec![1, 2], vec![1, 2, 3], vec![2, 3]));
    assert!(w.seen.iter().all(|(_, e)| !matches!(e, Event::MemberDown(_))), "{:?}", w.seen);
    assert!(w.nodes.iter().all(|n| n.departed().count() == 0));
}

/// PROTOCOL 3.4.
#[test]
fn a_restarted_node_is_taken_back_at_once_on_the_same_link() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    let mut again = Node::new(NodeConfig { incarnation: Incarnation::new(7), seed: 99, ..config(2, "n2") }, w.now);
    let link = again.open_link(w.now, w.nodes[0].links().next().unwrap().spec().clone());
    w.nodes[1] = again;
    w.cables[cable].ends[1].1 = link;
    w.carry();
    assert_eq!(w.nodes[0].member(id(2)).unwrap().incarnation, Incarnation::new(7));
    assert!(w.seen.iter().any(|(_, e)| matches!(e, Event::LinkDown { reason: Reason::PeerRestarted, .. })));
    w.run(Duration::from_secs(1));
    assert_eq!(w.members(2), [1, 2]);
}

#[test]
fn a_restarted_node_is_taken_back_though_others_believe_in_its_old_life() {
    let mut w = World::new(3);
    w.connect(1, 2, 10);
    w.connect(2, 3, 10);
    let cable = w.connect(1, 3, 10);
    w.run(Duration::from_secs(1));
    // Node 3 dies. Node 1 knows at once, node 2 does not.
    let now = w.now;
    let old = w.cables[cable].ends[0].1;
    w.nodes[0].close_link(now, old, Reason::CarrierLost);
    for old in [1, cable] {
        w.cables[old].ends[1].1 = LinkId(u32::MAX);
    }
    w.nodes[2] = Node::new(NodeConfig { incarnation: Incarnation::new(7), version: 1 << 20, ..config(3, "n3") }, now);
    w.connect(1, 3, 10);
    w.carry();
    assert_eq!(w.nodes[0].member(id(3)).unwrap().incarnation, Incarnation::new(7));
    assert_eq!(w.nodes[0].route(id(3)).map(|r| r.hops), Some(1));
}

/// PROTOCOL 3.9.
#[test]
fn a_bye_is_known_at_once() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    let now = w.now;
    w.nodes[1].shut_down(now);
    w.carry();
    assert_eq!(w.members(1), [1]);
    assert!(w.seen.iter().any(|(_, e)| matches!(e, Event::LinkDown { reason: Reason::PeerLeft, .. })));
}

/// PROTOCOL 3.8.
#[test]
fn a_node_that_slept_does_not_blame_its_peers() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w.now = w.now + Duration::from_secs(60);
    w.seen.clear();
    w.run(Duration::from_secs(1));
    assert!(w.seen.iter().all(|(_, e)| !matches!(e, Event::LinkDown { .. })), "{:?}", w.seen);
}

/// A link may be less patient than its node: silence ends it after its own limit of the peer's intervals, and not before.
///
/// PROTOCOL 3.8.
#[test]
fn a_link_has_a_patience_of_its_own() {
    for (limit, intervals) in [(None, 4), (Some(2), 2), (Some(3), 3), (Some(0), 1)] {
        let mut w = World::new(2);
        let spec =
            LinkSpec { carrier: "cable", priority: 1, message: 600, expect: None, miss_limit: limit, lasting: true };
        let ends = [0, 1].map(|n| (n, w.nodes[n].open_link(w.now, spec.clone())));
        w.cables.push(Cable { ends, cut: false });
        w.run(Duration::from_secs(2));
        w.cables[0].cut = true;
        let heard = w.nodes[0].link(ends[0].1).unwrap().last_heard;
        while w.nodes[0].link(ends[0].1).unwrap().is_live() {
            w.run(Duration::from_millis(10));
        }
        let silent = w.now.since(heard).as_millis() as i64;
        assert!((silent - intervals * 500).abs() <= 20, "{limit:?}: {silent} ms");
    }
}

/// PROTOCOL 1.4.
#[test]
fn another_major_version_is_answered_and_counted() {
    let mut w = World::new(1);
    let spec = LinkSpec { carrier: "cable", priority: 1, message: 600, expect: None, miss_limit: None, lasting: false };
    let link = w.nodes[0].open_link(w.now, spec);
    while w.nodes[0].poll_transmit().is_some() {}
    let mut hello = vec![0x92; 40];
    hello[1] = 0;
    let now = w.now;
    w.nodes[0].handle_message(now, link, &hello);
    assert_eq!(w.nodes[0].counts().version, 1);
    let answer = w.nodes[0].poll_transmit().unwrap();
    let body = LinkBody::parse(&answer.bytes[16..]).unwrap();
    assert_eq!(body, LinkBody::Refuse { why: Refusal::Version, versions: (1, 1) });
    w.run(Duration::from_secs(6));
    assert!(w.nodes[0].link(link).is_none(), "a stranger that never greets is forgotten");
}

/// Nodes of different releases meet in the version that both speak; with none in common it is said at once.
///
/// Rows: MP-48.
#[test]
fn nodes_that_speak_several_versions_meet_in_a_common_one() {
    let greet = |versions: (u8, u8)| {
        let mut w = World::new(2);
        w.connect(1, 2, 10);
        let [(_, at_1), (_, at_2)] = w.cables[0].ends;
        // What node 1 says until both are quiet, as one of another release would say it.
        loop {
            let (mut quiet, now) = (true, w.now);
            while let Some(Transmit { bytes, .. }) = w.nodes[0].poll_transmit() {
                quiet = false;
                let mut other = bytes[..16].to_vec();
                match LinkBody::parse(&bytes[16..]).unwrap() {
                    LinkBody::Hello(hello) => LinkBody::Hello(Hello { versions, ..hello }).emit(&mut other),
                    _ => other = bytes,
                }
                w.nodes[1].handle_message(now, at_2, &other);
            }
            while let Some(Transmit { bytes, .. }) = w.nodes[1].poll_transmit() {
                quiet = false;
                w.nodes[0].handle_message(now, at_1, &bytes);
            }
            while let Some(event) = w.nodes[1].poll_event() {
                w.seen.push((2, event));
            }
            if quiet {
                return (w.members(2), w.seen);
            }
        }
    };
    for versions in [(1, 1), (1, 2), (0, 9)] {
        assert_eq!(greet(versions).0, [1, 2], "{versions:?}");
    }
    for versions in [(2, 2), (9, 9), (0, 0)] {
        let (members, seen) = greet(versions);
        assert_eq!(members, [2], "{versions:?}: {seen:?}");
    }
}

#[test]
fn random_messages_never_panic() {
    let mut w = World::new(2);
    w.connect(1, 2, 10);
    w.carry();
    let link = w.cables[0].ends[0].1;
    let mut seed = 1u64;
    for _ in 0..50_000 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let len = (seed >> 33) as usize % 90;
        let mut message: Vec<u8> = (0..len).map(|i| (seed.rotate_left(i as u32 * 7) >> 24) as u8).collect();
        if let Some(first) = message.first_mut() {
            *first = 0x12 + (seed >> 60) as u8;
        }
        if let Some(kind) = message.get_mut(1) {
            *kind %= 6;
        }
        let now = w.now;
        w.nodes[0].handle_message(now, link, &message);
        while w.nodes[0].poll_transmit().is_some() {}
        while w.nodes[0].poll_event().is_some() {}
    }
    let _ = String::new();
}
