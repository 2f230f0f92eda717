//! What must be true when the world is calm.

use crate::world::World;
use messenger_core::{Event, Mac, NodeId, wire::Flags};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Kind and opcode of a heartbeat.
const HEARTBEAT: (u8, u8) = (0, 2);

impl World {
    /// The stations that a station can reach: over cables that carry, by nodes that relay, at most eight links far.
    pub fn reach(&self, from: usize) -> BTreeMap<usize, u8> {
        let mut found = BTreeMap::from([(from, 0)]);
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            let far = found[&at];
            if far > Flags::MAX_HOPS || (at != from && !self.stations[at].config.relay) {
                continue;
            }
            for cable in self.cables.iter().filter(|c| !c.cut) {
                let Some(end) = cable.end_of(at) else { continue };
                let next = cable.ends[1 - end];
                if self.stations[next].runs() && !found.contains_key(&next) {
                    found.insert(next, far + 1);
                    queue.push_back(next);
                }
            }
        }
        found
    }

    /// All stations that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.stations.len()).filter(|p| self.stations[*p].runs()).collect()
    }

    /// Every node knows exactly the members it can reach, and of each the record that the member itself has.
    #[track_caller]
    pub fn check_members(&self) {
        for place in self.running() {
            let expected: BTreeSet<NodeId> = self.reach(place).keys().map(|p| self.stations[*p].id()).collect();
            let known: BTreeSet<NodeId> = self.stations[place].node.members().map(|m| m.node).collect();
            self.check(known == expected, format_args!("station {place} knows {known:?}, not {expected:?}"));
            for (other, far) in self.reach(place) {
                let there = &self.stations[other];
                let record = self.stations[place].node.member(there.id());
                self.check(
                    record == there.node.member(there.id()),
                    format_args!("station {place} has another record of {other} than it itself"),
                );
                let hops = self.stations[place].node.route(there.id()).map_or(0, |r| r.hops);
                self.check(hops == far, format_args!("{other} is {far} links from {place}, not {hops}"));
            }
        }
    }

    /// A unicast frame from each station arrives exactly once at each one it can reach, by the shortest way, and
    /// nowhere else; a broadcast frame at all of them and never at its sender.
    #[track_caller]
    pub fn check_frames(&mut self, len: usize) {
        let mut sent = Vec::new();
        for from in self.running() {
            for (to, far) in self.reach(from).into_iter().filter(|(to, _)| *to != from) {
                let tag = self.send_to(from, to, len);
                self.check(tag.is_ok(), format_args!("a frame from {from} to {to} is dropped: {tag:?}"));
                sent.push((tag.unwrap_or(0), BTreeMap::from([(to, far)])));
            }
            let all: BTreeMap<usize, u8> = self.reach(from).into_iter().filter(|(to, _)| *to != from).collect();
            let tag = self.send(from, Mac::BROADCAST, len);
            self.check(tag.is_ok(), format_args!("a broadcast from {from} is dropped: {tag:?}"));
            sent.push((tag.unwrap_or(0), all));
        }
        self.run(Duration::from_millis(100));
        for (tag, to) in sent {
            for place in self.running() {
                let times = self.times(place, tag);
                let wanted = usize::from(to.contains_key(&place));
                self.check(
                    times == wanted,
                    format_args!("frame {tag} for {to:?} came {times} times to {place}, not {wanted}"),
                );
            }
            for (place, far) in to {
                let got = self.stations[place].got.iter().find(|g| g.tag == tag).map(|g| g.relays + 1);
                self.check(got == Some(far), format_args!("frame {tag} took {got:?} links to {place}, not {far}"));
            }
        }
    }

    /// Nothing is said but heartbeats, of these one an interval and link end, and each answered at most once.
    #[track_caller]
    pub fn check_silence(&mut self, time: Duration) {
        self.said.clear();
        self.run(time);
        let ends = 2 * self.cables.len() as u64;
        let least = self.stations.iter().map(|s| s.config.interval.as_millis()).min().unwrap_or(1) as u64;
        let millis = time.as_millis() as u64;
        // Where links are judged, the one that carries is asked five times a detection time, and all four times an
        // interval; each is answered.
        let step = self.stations.iter().map(|s| s.node.policy().detect.as_millis() as u64 / 5).max().unwrap_or(0);
        let asked = millis.checked_div(step).map_or(0, |steps| 2 * (steps + 4 * millis / least + 2));
        let most = ends * (millis / least + 1 + asked);
        let beats = self.said.get(&HEARTBEAT).copied().unwrap_or(0);
        self.check(beats <= most, format_args!("{beats} heartbeats, at most {most} are needed"));
        // Towards the dead and the cut off, greetings go on, one a second.
        let silent: BTreeMap<_, _> = self.said.iter().filter(|(k, _)| **k != HEARTBEAT && **k != (0, 1)).collect();
        self.check(silent.is_empty(), format_args!("said in a calm world, by kind and opcode: {silent:?}"));
        let broken = self.cables.iter().filter(|c| c.cut || c.ends.iter().any(|p| !self.stations[*p].runs())).count();
        let hellos = self.said.get(&(0, 1)).copied().unwrap_or(0);
        let most = 2 * broken as u64 * (time.as_secs() + 2);
        self.check(hellos <= most, format_args!("{hellos} greetings, {broken} cables do not carry"));
    }

    /// What the cores told makes sense: members and links come and go in turn.
    #[track_caller]
    pub fn check_stories(&self) {
        for (place, station) in self.stations.iter().enumerate() {
            let (mut members, mut links) = (BTreeSet::new(), BTreeSet::new());
            let life = station.lives.last().copied().unwrap_or(0);
            for (at, event) in station.seen.iter().skip(life) {
                let fits = match event {
                    Event::MemberUp(n) => members.insert(*n),
                    Event::MemberDown(n) => members.remove(n),
                    Event::MemberChanged(n) => members.contains(n),
                    Event::LinkUp { link, .. } => links.insert(*link),
                    Event::LinkDown { link, .. } => links.remove(link),
                    Event::Switched { from, to, .. } => from != to,
                    _ => true,
                };
                self.check(fits, format_args!("station {place} told at {at} out of turn: {event:?}"));
            }
        }
        self.check(self.wrong.is_empty(), format_args!("went wrong: {:#?}", self.wrong));
    }

    /// How often a station was told that a member came, and went, since `from` in its story.
    pub fn ups_and_downs(&self, place: usize, of: usize, from: usize) -> (usize, usize) {
        let id = self.stations[of].id();
        let story = || self.stations[place].seen.iter().skip(from).map(|(_, e)| e);
        (
            story().filter(|e| **e == Event::MemberUp(id)).count(),
            story().filter(|e| **e == Event::MemberDown(id)).count(),
        )
    }
}
