//! What a member that lies does to the others: little.

use super::tests::{World, config, id};
use crate::{
    Incarnation, Name, Time,
    node::{Event, Node, NodeConfig},
    registry::{Entry, LEAP, VERSION_MOST, VERSION_TOLD},
    wire::{Attachment, Header, LinkBody, Record},
};
use core::time::Duration;
use std::vec::Vec;

/// `2 -- 1 -- 3 -- 4`, all up.
fn line() -> World {
    let mut w = World::new(4);
    for (a, b) in [(1, 2), (1, 3), (3, 4)] {
        w.connect(a, b, 10);
    }
    w.run(Duration::from_secs(1));
    w
}

/// Gives a node a new interface; whether node 1 comes to know of it.
fn is_heard(w: &mut World, n: usize, name: &str) -> bool {
    let attachment = Attachment {
        segment: crate::SegmentId::from_name(name),
        name: Name::new(name).unwrap(),
        frame: 1514,
        offloads: 0,
        v4: Vec::new(),
        v6: Vec::new(),
    };
    let now = w.now;
    w.nodes[n - 1].set_attachments(now, [attachment.clone()].into());
    w.run(Duration::from_secs(3));
    let life = w.nodes[n - 1].incarnation();
    w.nodes[0].member(id(n as u32)).is_some_and(|m| m.attachments == [attachment] && m.incarnation == life)
}

/// Node 2 forges a record of a far node and of a neighbour. They are heard nonetheless, and so is their next life with its
/// clock set back. `PROTOCOL 4.8`.
#[test]
fn a_forged_version_silences_nobody() {
    for version in [VERSION_TOLD - LEAP, VERSION_TOLD, VERSION_TOLD + 1, VERSION_MOST - LEAP, VERSION_MOST, u64::MAX] {
        for n in [3, 4] {
            let mut w = line();
            let true_one = w.nodes[0].member(id(n)).unwrap().clone();
            let forged = Record { version, incarnation: Incarnation::new(u32::MAX), ..true_one };
            w.announce(2, &Entry::new(forged));
            w.run(Duration::from_secs(3));
            assert!(is_heard(&mut w, n as usize, "first"), "node {n}, version {version:#x}");
            let old = w.nodes[n as usize - 1].clone();
            w.restart(n as usize, 7);
            w.run(Duration::from_secs(3));
            assert!(is_heard(&mut w, n as usize, "second"), "node {n} again, version {version:#x}");
            assert!(old.version < VERSION_MOST - LEAP);
            assert_eq!(w.nodes[0].counts().high_version > 0, version > VERSION_TOLD);
        }
    }
}

/// A neighbour forges what could not be written over: it is not even tried.
#[test]
fn what_cannot_be_written_over_is_ignored() {
    for (ahead, ignored) in [(0, false), (1, true), (LEAP, true)] {
        let mut w = line();
        let own = w.nodes[0].member(id(1)).unwrap().clone();
        let version = VERSION_MOST - LEAP + ahead;
        w.announce(2, &Entry::new(Record { version, incarnation: Incarnation::new(7), ..own }));
        w.run(Duration::from_secs(1));
        assert_eq!((w.nodes[0].version <= version, w.nodes[0].counts().high_version), (ignored, u64::from(ignored)));
    }
}

/// Six lives of one number, all lower than this: their records are written over, but not each at once. `PROTOCOL 4.7`.
#[test]
fn records_of_many_lives_are_written_over_in_peace() {
    let mut w = line();
    let own = w.nodes[0].member(id(1)).unwrap().clone();
    for i in 0..600u32 {
        let (version, incarnation) = (own.version + u64::from(i + 1) * 4 * LEAP, Incarnation::new(1 + i % 6));
        w.announce(2, &Entry::new(Record { version, incarnation, ..own.clone() }));
    }
    let (now, mut said) = (w.now, 0);
    let [(_, at), (two, _)] = w.cables[0].ends;
    let told: Vec<_> = std::iter::from_fn(|| w.nodes[two].poll_transmit()).collect();
    for t in &told {
        w.nodes[0].handle_message(now, at, &t.bytes);
        w.nodes[0].handle_timeout(now);
        while let Some(t) = w.nodes[0].poll_transmit() {
            let body = LinkBody::parse(&t.bytes[16..]);
            said += usize::from(t.link == at && matches!(body, Ok(LinkBody::Announce(a)) if a.offset == 0));
        }
    }
    assert!(told.len() >= 600 && said == 1, "{} told, {said} answered", told.len());
    w.run(Duration::from_secs(2));
    for n in [2, 3, 4] {
        assert_eq!(w.nodes[n - 1].member(id(1)).map(|m| m.incarnation), Some(own.incarnation));
    }
}

/// `PROTOCOL 3.5`.
#[test]
fn sizes_that_change_at_every_hello_are_taken_once_an_interval() {
    let mut w = World::new(2);
    let cable = w.connect(1, 2, 10);
    w.run(Duration::from_secs(1));
    w.seen.clear();
    let [(_, link), (_, other)] = w.cables[cable].ends;
    let before = w.nodes[0].version;
    for i in 0..200 {
        let Node { links, out, me, .. } = &mut w.nodes[1];
        let end = links.get_mut(&other).unwrap();
        end.spec.message = if i % 2 == 0 { 300 } else { 400 + i };
        end.greet(w.now, me, out);
        w.run(Duration::from_millis(10));
    }
    w.run(Duration::from_secs(1));
    let resized = |e: &Event| matches!(e, Event::LinkResized { .. });
    let times = w.seen.iter().filter(|(n, e)| *n == 1 && resized(e)).count();
    assert!((4..=6).contains(&times), "two seconds, one in 500 ms: {times}");
    assert!(w.nodes[0].version - before <= 6);
    assert_eq!(w.nodes[0].link(link).unwrap().peer().unwrap().message, 599, "the last counts");
}

/// A node that gave way is let in again; that it stands apart later has nothing to do with the other. `PROTOCOL 4.7`.
#[test]
fn who_was_let_in_again_has_no_rival() {
    let mut w = line();
    let own = w.nodes[0].member(id(1)).unwrap().clone();
    for times in 1..=3 {
        let version = w.nodes[0].version + times;
        let name = Name::new("rival").unwrap();
        w.announce(2, &Entry::new(Record { version, name, incarnation: Incarnation::new(u32::MAX), ..own.clone() }));
        w.run(Duration::from_secs(1));
    }
    assert_eq!(w.nodes[0].rival().cloned(), Some(Name::new("rival").unwrap()));
    assert!(w.nodes[0].counts().away > 0, "what comes meanwhile is counted");
    w.run(Duration::from_secs(60));
    assert_eq!(w.members(1), [1, 2, 3, 4]);
    w.cables.iter_mut().for_each(|c| c.cut = true);
    w.run(Duration::from_secs(5));
    assert_eq!((w.members(1).len(), w.nodes[0].rival()), (1, None));
}

impl World {
    /// Another life of a node whose clock was set back, on the same cables.
    fn restart(&mut self, n: usize, life: u32) {
        let config = config(n as u32, &std::format!("n{n}"));
        let config = NodeConfig { incarnation: Incarnation::new(life), seed: 99, ..config };
        let old = core::mem::replace(&mut self.nodes[n - 1], Node::new(config, Time::ZERO));
        for end in self.cables.iter_mut().flat_map(|c| &mut c.ends).filter(|e| e.0 == n - 1) {
            end.1 = self.nodes[n - 1].open_link(self.now, old.link(end.1).unwrap().spec().clone());
        }
    }
}

/// PROTOCOL 7.16. A member that relays forges pings of a neighbour of the receiver, and of the receiver itself; then of a node that it
/// does relay for. One that does not relay forges for that, too.
#[test]
fn nobody_speaks_for_a_neighbour() {
    let mut w = World::new(5);
    for (a, b) in [(1, 2), (1, 3), (2, 3), (2, 4), (3, 5)] {
        w.connect(a, b, 10);
    }
    w.nodes[4] = Node::new(NodeConfig { relay: false, ..config(5, "n5") }, w.now);
    let spec = w.nodes[2].links().next().unwrap().spec().clone();
    let link = w.nodes[4].open_link(w.now, spec);
    w.cables[4].ends[1].1 = link;
    w.run(Duration::from_secs(2));
    assert_eq!(w.members(3), [1, 2, 3, 4, 5]);
    let now = w.now;
    // What 4 really says to 3, by 2; as often as it is wanted.
    w.nodes[3].ping(now, id(3), 8).unwrap();
    let true_one = w.nodes[3].poll_transmit().unwrap().bytes;
    let mut forged = 0;
    for (by, source, passes) in [(2, 4, true), (2, 1, false), (2, 3, false), (5, 4, false), (5, 1, false)] {
        let mut bytes = true_one.clone();
        let header = Header { source, ..Header::parse(&bytes).unwrap() };
        header.emit(&mut bytes).unwrap();
        let cable = w.cables.iter().find(|c| c.ends.iter().any(|e| e.0 == by - 1) && c.ends.iter().any(|e| e.0 == 2));
        let end = *cable.unwrap().ends.iter().find(|end| end.0 == 2).unwrap();
        w.nodes[2].handle_message(now, end.1, &bytes);
        forged += u64::from(!passes);
        assert_eq!(w.nodes[2].counts().forged, forged, "{by} for {source}");
        assert_eq!(w.nodes[2].poll_transmit().is_some(), passes, "{by} for {source}");
    }
}
