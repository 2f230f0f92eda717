//! On which side a lane saw a station lately: finds bridge loops at once, and tells the control thread of stations.

use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;
use messenger_core::{Mac, NodeId, Time};

/// A station was seen behind a node, which may be our own. For [`crate::Stations::learn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The station.
    pub mac: Mac,
    /// The node it is behind.
    pub node: NodeId,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    mac: Mac,
    node: NodeId,
    last: Time,
    told: Time,
}

/// A small cache by address. Being forgotten costs an early report, nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Sightings {
    slots: Box<[Option<Seen>]>,
    fresh: Vec<Sighting>,
}

/// How long a station must have been silent on one side before it may speak on the other.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Sightings {
    const SLOTS: usize = 512;
    const FRESH: usize = 64;

    pub(crate) fn new() -> Sightings {
        Sightings { slots: vec![None; Self::SLOTS].into_boxed_slice(), fresh: Vec::with_capacity(Self::FRESH) }
    }

    /// Notes a frame from `mac` behind `node`; `false` when it spoke behind another node within [`SETTLE`].
    pub(crate) fn note(&mut self, now: Time, mac: Mac, node: NodeId) -> bool {
        let hash = mac.0.iter().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
        let Some(slot) = self.slots.get_mut((hash ^ hash >> 16) as usize & (Self::SLOTS - 1)) else { return true };
        let mut told = None;
        match slot {
            Some(seen) if seen.mac == mac && seen.node == node => {
                seen.last = now;
                if now.since(seen.told) < TELL_EVERY {
                    return true;
                }
                told = Some(seen.told);
            }
            Some(seen) if seen.mac == mac && now.since(seen.last) < SETTLE => return false,
            _ => {}
        }
        // When nobody drains, the report is made again later.
        let told = if self.fresh.len() < Self::FRESH {
            self.fresh.push(Sighting { mac, node });
            now
        } else {
            told.unwrap_or(Time::ZERO)
        };
        *slot = Some(Seen { mac, node, last: now, told });
        true
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Sighting> + '_ {
        self.fresh.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    const X: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    #[test]
    fn a_station_on_two_sides_is_refused_on_the_second() {
        let mut s = Sightings::new();
        assert!(s.note(Time::from_millis(10), X, node(1)));
        assert!(!s.note(Time::from_millis(11), X, node(2)));
        assert!(s.note(Time::from_millis(12), X, node(1)));
        assert!(!s.note(Time::from_millis(2011), X, node(2)));
        assert!(s.note(Time::from_millis(2012), X, node(2)), "silent for long enough: it moved");
        assert!(!s.note(Time::from_millis(2013), X, node(1)));
    }

    #[test]
    fn reports_are_sampled_and_bounded() {
        let mut s = Sightings::new();
        for ms in 0..2500 {
            s.note(Time::from_millis(ms), X, node(1));
        }
        assert_eq!(s.drain().count(), 3);
        for n in 0..10_000_u32 {
            let [a, b, c, d] = n.to_be_bytes();
            s.note(Time::from_millis(5000), Mac([0x52, 0x54, a, b, c, d]), node(1));
        }
        assert_eq!(s.drain().count(), Sightings::FRESH);
    }
}
