//! How long to wait for an acknowledgement (RFC 6298).

use crate::limits::{RTO_FIRST, RTO_LEAST, RTO_MOST};
use core::time::Duration;

/// The measured round trip and what follows from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rtt {
    /// Smoothed, and its variation.
    smoothed: Option<(Duration, Duration)>,
    /// How often the wait ended without an answer since the last one.
    backoff: u32,
}

impl Rtt {
    pub(crate) fn measure(&mut self, sample: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2),
            Some((mean, variation)) => ((mean * 7 + sample) / 8, (variation * 3 + mean.abs_diff(sample)) / 4),
        });
    }

    pub(crate) fn mean(&self) -> Option<Duration> {
        self.smoothed.map(|s| s.0)
    }

    pub(crate) fn answered(&mut self) {
        self.backoff = 0;
    }

    pub(crate) fn expired(&mut self) {
        self.backoff = (self.backoff + 1).min(10);
    }

    /// The wait before something is taken for lost.
    pub(crate) fn timeout(&self) -> Duration {
        let base = self.smoothed.map_or(RTO_FIRST, |(mean, variation)| mean + variation * 4);
        (base.clamp(RTO_LEAST, RTO_MOST) * (1 << self.backoff)).min(RTO_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PROTOCOL 7.8.
    #[test]
    fn the_wait_follows_the_round_trip_and_doubles_in_silence() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), RTO_FIRST);
        for _ in 0..100 {
            rtt.measure(Duration::from_millis(40));
        }
        assert!((40..45).contains(&(rtt.timeout().as_millis())), "{:?}", rtt.timeout());
        let before = rtt.timeout();
        rtt.expired();
        assert_eq!(rtt.timeout(), before * 2);
        for _ in 0..100 {
            rtt.expired();
        }
        assert_eq!(rtt.timeout(), RTO_MOST);
        rtt.answered();
        assert_eq!((rtt.timeout(), rtt.mean().is_some()), (before, true));
        rtt.measure(Duration::from_secs(3600));
        assert_eq!(rtt.timeout(), RTO_MOST);
    }
}
