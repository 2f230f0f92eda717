//! How many handshakes an origin, and all together, may cost.

use crate::Address;
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Places of the table; origins that share one share its budget. A fixed size: a flood makes nothing grow.
const PLACES: usize = 1024;
/// Handshakes of one place in a window.
const EACH: u16 = 20;
/// Handshakes of all in a window. Each costs about 0.2 ms.
const ALL: u16 = 200;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts what came in this window.
pub(crate) struct Limiter {
    hasher: RandomState,
    counts: Box<[u16]>,
    all: u16,
    since: Duration,
}

impl Limiter {
    pub(crate) fn new() -> Limiter {
        Limiter {
            hasher: RandomState::new(),
            counts: vec![0; PLACES].into_boxed_slice(),
            all: 0,
            since: Duration::ZERO,
        }
    }

    /// Whether one more from there may be dealt with.
    pub(crate) fn allow(&mut self, now: Duration, from: &Address) -> bool {
        if now.saturating_sub(self.since) >= WINDOW || now < self.since {
            self.counts.fill(0);
            self.all = 0;
            self.since = now;
        }
        let place = (self.hasher.hash_one(from.origin()) % PLACES as u64) as usize;
        match self.counts.get_mut(place) {
            Some(count) if *count < EACH && self.all < ALL => {
                *count += 1;
                self.all += 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_does_not_use_up_the_others() {
        let mut limiter = Limiter::new();
        let at = |n: u8| Address::from([n; 6]);
        let now = Duration::from_secs(5);
        assert_eq!((0..1000).filter(|_| limiter.allow(now, &at(1))).count(), usize::from(EACH));
        assert!(limiter.allow(now, &at(2)));
        let all = (0..10_000u32).filter(|n| limiter.allow(now, &Address::new(&n.to_le_bytes()).unwrap())).count();
        assert_eq!(all + usize::from(EACH) + 1, usize::from(ALL));
        assert!(limiter.allow(now + WINDOW, &at(1)));
    }
}
