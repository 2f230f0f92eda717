//! Stations behind nodes, as the control thread keeps them.

use crate::{Sighting, Station};
use alloc::collections::BTreeMap;
use core::time::Duration;
use messenger_core::{Mac, NodeId, Time};

/// What a sighting changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing: it is where it was.
    Same,
    /// A station nobody knew. The table must be made anew.
    New,
    /// It moved from that node. The table must be made anew.
    Moved(NodeId),
    /// It moves to and fro: it is blocked for a while. The table must be made anew.
    Blocked,
    /// Not taken: there are too many, or it is blocked.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    last: Time,
    moves: u8,
    moved: Time,
    blocked: Option<Time>,
}

/// Which station is behind which node. Bounded; forgets the silent.
#[derive(Clone, Debug, Default)]
pub struct Stations {
    entries: BTreeMap<Mac, Entry>,
}

impl Stations {
    /// How many stations are kept at most.
    pub const MAX: usize = 4096;
    /// How long a silent station is remembered.
    pub const AGE: Duration = Duration::from_secs(300);
    /// So many moves within [`Stations::DAMP`] and a station is blocked.
    pub const MOVES: u8 = 3;
    /// The time over which moves are counted, and for which a flapping station is blocked.
    pub const DAMP: Duration = Duration::from_secs(10);

    /// None yet.
    pub fn new() -> Stations {
        Stations::default()
    }

    /// Takes a sighting of a lane.
    pub fn learn(&mut self, now: Time, sighting: Sighting) -> Learned {
        let Sighting { mac, node } = sighting;
        if mac.is_group() || mac.node().is_some() {
            return Learned::Refused;
        }
        let room = self.entries.len() < Self::MAX;
        let Some(entry) = self.entries.get_mut(&mac) else {
            if !room {
                return Learned::Refused;
            }
            self.entries.insert(mac, Entry { node, last: now, moves: 0, moved: now, blocked: None });
            return Learned::New;
        };
        if entry.blocked.is_some() {
            return Learned::Refused;
        }
        entry.last = now;
        if entry.node == node {
            return Learned::Same;
        }
        if now.since(entry.moved) >= Self::DAMP {
            entry.moves = 0;
        }
        if entry.moves == 0 {
            entry.moved = now;
        }
        entry.moves += 1;
        if entry.moves >= Self::MOVES {
            entry.blocked = Some(now + Self::DAMP);
            return Learned::Blocked;
        }
        let before = core::mem::replace(&mut entry.node, node);
        Learned::Moved(before)
    }

    /// Forgets the silent and unblocks those whose time is over; `true` when the table must be made anew.
    pub fn expire(&mut self, now: Time) -> bool {
        let mut changed = false;
        self.entries.retain(|_, entry| {
            if entry.blocked.is_some_and(|until| until <= now) {
                changed = true;
                return false;
            }
            let keep = entry.blocked.is_some() || now.since(entry.last) < Self::AGE;
            changed |= !keep;
            keep
        });
        changed
    }

    /// Forgets what is behind a node that left; `true` when the table must be made anew.
    pub fn forget(&mut self, node: NodeId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.node != node);
        self.entries.len() != before
    }

    /// All, for [`crate::TableBuilder::extend`].
    pub fn iter(&self) -> impl Iterator<Item = Station> + '_ {
        self.entries.iter().map(|(mac, e)| Station { mac: *mac, node: e.node, blocked: e.blocked.is_some() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    const X: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    fn behind(n: u32) -> Sighting {
        Sighting { mac: X, node: node(n) }
    }

    #[test]
    fn learns_moves_and_forgets() {
        let mut s = Stations::new();
        assert_eq!(s.learn(at(0), behind(1)), Learned::New);
        assert_eq!(s.learn(at(1), behind(1)), Learned::Same);
        assert_eq!(s.learn(at(60_000), behind(2)), Learned::Moved(node(1)));
        assert!(!s.expire(at(60_001)));
        assert!(s.expire(at(360_000)));
        assert!(s.is_empty());
        s.learn(at(400_000), behind(2));
        assert!(s.forget(node(2)) && !s.forget(node(2)));
    }

    #[test]
    fn a_flapping_station_is_blocked_for_a_while() {
        let mut s = Stations::new();
        s.learn(at(0), behind(1));
        assert_eq!(s.learn(at(1), behind(2)), Learned::Moved(node(1)));
        assert_eq!(s.learn(at(2), behind(1)), Learned::Moved(node(2)));
        assert_eq!(s.learn(at(3), behind(2)), Learned::Blocked);
        assert_eq!(s.learn(at(4), behind(1)), Learned::Refused);
        assert!(s.iter().next().unwrap().blocked);
        assert!(s.expire(at(20_000)));
        assert_eq!(s.learn(at(20_001), behind(1)), Learned::New);
    }

    #[test]
    fn is_bounded_and_takes_no_computed_address() {
        let mut s = Stations::new();
        for n in 0..10_000_u32 {
            let [a, b, c, d] = n.to_be_bytes();
            s.learn(at(0), Sighting { mac: Mac([0x52, 0x54, a, b, c, d]), node: node(1) });
        }
        assert_eq!(s.len(), Stations::MAX);
        let own = Sighting { mac: Mac::of(node(7)), node: node(1) };
        assert_eq!(Stations::new().learn(at(0), own), Learned::Refused);
        assert_eq!(Stations::new().learn(at(0), Sighting { mac: Mac::BROADCAST, node: node(1) }), Learned::Refused);
    }
}
