//! Token buckets: how much of something one source may do, for a bounded number of sources.

use alloc::{boxed::Box, vec};
use messenger_core::{NodeId, Time};

/// One bucket. Holds tokens in billionths, so that a rate needs no division.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    nano_tokens: u64,
    filled: Time,
    begun: bool,
}

const TOKEN: u64 = 1_000_000_000;

impl Bucket {
    /// Takes a token if there is one. `rate` tokens a second come in, `burst` fit.
    pub(crate) fn take(&mut self, now: Time, rate: u32, burst: u32) -> bool {
        let most = u64::from(burst.max(1)) * TOKEN;
        if self.begun {
            let gone = now.as_nanos().saturating_sub(self.filled.as_nanos());
            self.nano_tokens = self.nano_tokens.saturating_add(gone.saturating_mul(u64::from(rate))).min(most);
        } else {
            self.nano_tokens = most;
            self.begun = true;
        }
        self.filled = self.filled.max(now);
        match self.nano_tokens.checked_sub(TOKEN) {
            Some(left) => {
                self.nano_tokens = left;
                true
            }
            None => false,
        }
    }
}

/// A bucket for each of the sources heard of most recently.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    slots: Box<[Option<(NodeId, Bucket)>]>,
}

impl Limiter {
    const SLOTS: usize = 256;
    const WAYS: usize = 4;

    pub(crate) fn new() -> Limiter {
        Limiter { slots: vec![None; Self::SLOTS].into_boxed_slice() }
    }

    /// Whether `source` may do it once more. A rate of 0 is no limit.
    pub(crate) fn take(&mut self, now: Time, source: NodeId, rate: u32, burst: u32) -> bool {
        if rate == 0 {
            return true;
        }
        let group = source.get().wrapping_mul(0x9e37_79b1) as usize >> 8 & (Self::SLOTS / Self::WAYS - 1);
        let Some(ways) = self.slots.get_mut(group * Self::WAYS..(group + 1) * Self::WAYS) else { return false };
        let known = ways.iter().position(|slot| slot.is_some_and(|(node, _)| node == source));
        let oldest = || {
            let age = |i: &usize| ways.get(*i).and_then(|s| s.as_ref()).map(|(_, b)| b.filled);
            (0..Self::WAYS).min_by_key(age).unwrap_or(0)
        };
        let at = known.unwrap_or_else(oldest);
        let Some(slot) = ways.get_mut(at) else { return false };
        if known.is_none() {
            *slot = Some((source, Bucket::default()));
        }
        slot.as_mut().is_some_and(|(_, bucket)| bucket.take(now, rate, burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new();
        let takes = |l: &mut Limiter, ms| (0..100).filter(|_| l.take(Time::from_millis(ms), node(1), 1000, 10)).count();
        assert_eq!(takes(&mut limiter, 0), 10);
        assert_eq!(takes(&mut limiter, 5), 5);
        assert_eq!(takes(&mut limiter, 4), 0, "a clock that goes back gives nothing");
        assert_eq!(takes(&mut limiter, 5000), 10);
    }

    #[test]
    fn sources_do_not_share_and_their_number_is_bounded() {
        let mut limiter = Limiter::new();
        assert!(limiter.take(Time::ZERO, node(1), 1, 1));
        assert!(!limiter.take(Time::ZERO, node(1), 1, 1));
        assert!(limiter.take(Time::ZERO, node(2), 1, 1));
        for n in 1..100_000 {
            limiter.take(Time::from_millis(u64::from(n)), node(n), 1, 1);
        }
        assert_eq!(limiter.slots.len(), Limiter::SLOTS);
        assert!((0..100).all(|_| limiter.take(Time::ZERO, node(1), 0, 0)), "rate 0 is no limit");
    }
}
