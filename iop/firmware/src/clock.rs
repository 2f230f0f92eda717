//! The clock: the processor's counter, whose rate the machine knows, or which is measured once against a timer whose period is known.
#![allow(dead_code, reason = "a machine either knows its rate or measures it")]

use crate::arch::counter;
use messenger_core::Time;

/// How long is measured, in femtoseconds: 10 ms.
const MEASURE: u64 = 10_000_000_000_000;

/// A monotonic clock that starts at zero.
#[derive(Clone, Copy)]
pub struct Clock {
    start: u64,
    /// Ticks of the counter in 10 ms.
    rate: u64,
}

/// The counter, the timer and what the caller measures, at one moment.
struct Moment {
    counter: u64,
    timer: u32,
    other: u32,
}

impl Clock {
    /// The counter began at `start`, and has so many ticks in 10 ms, not 0.
    pub const fn new(start: u64, rate: u64) -> Clock {
        Clock { start, rate }
    }

    /// Measures the counter against `timer`, which takes `period` femtoseconds a tick, and with it what `other` counts;
    /// returns that in 10 ms, too.
    pub fn measure(period: u64, timer: impl Fn() -> u32, other: impl Fn() -> u32) -> (Clock, u32) {
        let first = Moment::now(&timer, &other);
        let last = loop {
            let last = Moment::now(&timer, &other);
            if first.passed(&last) * period >= MEASURE {
                break last;
            }
        };
        let passed = (first.passed(&last) * period).max(1);
        let scale = |ticks: u64| (u128::from(ticks) * u128::from(MEASURE) / u128::from(passed)) as u64;
        let rate = scale(last.counter.wrapping_sub(first.counter)).max(1);
        let others = scale(u64::from(last.other.wrapping_sub(first.other)));
        (Clock { start: first.counter, rate }, others as u32)
    }

    /// Time since the start.
    pub fn now(&self) -> Time {
        let ticks = u128::from(counter().wrapping_sub(self.start));
        Time::from_nanos((ticks * 10_000_000 / u128::from(self.rate)) as u64)
    }
}

impl Moment {
    /// The host may have stopped this processor between two looks: of several tries the shortest counts.
    fn now(timer: &impl Fn() -> u32, other: &impl Fn() -> u32) -> Moment {
        let look = || {
            let before = counter();
            let (timer, other) = (timer(), other());
            let spread = counter().wrapping_sub(before);
            (spread, Moment { counter: before.wrapping_add(spread / 2), timer, other })
        };
        let best = (0..7).map(|_| look()).min_by_key(|(spread, _)| *spread);
        best.unwrap_or_else(look).1
    }

    /// Ticks of the timer to a later moment.
    fn passed(&self, later: &Moment) -> u64 {
        u64::from(later.timer.wrapping_sub(self.timer))
    }
}
