//! What one lane keeps for itself on one segment.

use crate::{
    Counters, Sighting,
    limit::{Bucket, Limiter},
    sightings::Sightings,
};

/// The lane's own state: counters, rate limits, stations seen lately, the number of the next slice run. Limits are kept
/// per lane: a node with two lanes may let through twice as much.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The counts. The lane adds what only it can know: guesses, full carriers, frames written to the interface.
    pub counters: Counters,
    pub(crate) broadcasts: Limiter,
    pub(crate) icmp: Bucket,
    pub(crate) sightings: Sightings,
    pub(crate) run: u16,
}

impl Switch {
    /// Of a node's only lane. Nothing counted or seen yet.
    pub fn new() -> Switch {
        Switch::for_lane(0)
    }

    /// Of one of a node's lanes; at most 16 may send slices to one peer. Nothing counted or seen yet.
    pub fn for_lane(lane: u8) -> Switch {
        Switch {
            counters: Counters::default(),
            broadcasts: Limiter::new(),
            icmp: Bucket::default(),
            sightings: Sightings::new(),
            run: u16::from(lane) << 12,
        }
    }

    /// Stations seen since the last call, on either side; for the control thread's [`crate::Stations`]. Bounded: what
    /// did not fit is reported later. Always empty where learning is off.
    pub fn drain_sightings(&mut self) -> impl Iterator<Item = Sighting> + '_ {
        self.sightings.drain()
    }
}

impl Default for Switch {
    fn default() -> Switch {
        Switch::new()
    }
}
