//! The clock: the processor's counter, whose rate its machine knows or has measured.

use crate::arch::counter;
use messenger_core::Time;

/// A monotonic clock that starts at zero.
#[derive(Clone, Copy)]
pub struct Clock {
    start: u64,
    /// Ticks of the counter in 10 ms.
    rate: u64,
}

impl Clock {
    /// The counter began at `start`, and has so many ticks in 10 ms, not 0.
    pub const fn new(start: u64, rate: u64) -> Clock {
        Clock { start, rate }
    }

    /// Time since the start.
    pub fn now(&self) -> Time {
        let ticks = u128::from(counter().wrapping_sub(self.start));
        Time::from_nanos((ticks * 10_000_000 / u128::from(self.rate)) as u64)
    }
}
