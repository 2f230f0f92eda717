//! How many bytes may go to a line of a given speed now.

use std::time::{Duration, Instant};

/// So much may be in the kernel's queue ahead of the line: what is urgent waits no longer for that. A wake-up that comes
/// later than this leaves the line idle.
const AHEAD: Duration = Duration::from_millis(30);
/// It pays to write again when so much of that is free.
const STEP: Duration = Duration::from_millis(10);

/// The line's clock: when it will have sent what it was given.
pub(super) struct Pace {
    /// How long one byte takes; none: as fast as it takes them.
    byte: Option<Duration>,
    done: Option<Instant>,
}

impl Pace {
    /// Of a line with so many bits a second, each byte with a start and a stop bit.
    pub(super) fn new(speed: Option<u32>) -> Pace {
        let byte = speed.filter(|speed| *speed > 0).map(|speed| Duration::from_secs(10) / speed);
        Pace { byte, done: None }
    }

    /// How many bytes may be given to it now.
    pub(super) fn allows(&self, now: Instant) -> usize {
        let Some(byte) = self.byte else { return usize::MAX };
        let under_way = self.done.map_or(Duration::ZERO, |done| done.saturating_duration_since(now));
        (AHEAD.saturating_sub(under_way).as_nanos() / byte.as_nanos().max(1)) as usize
    }

    /// It was given so many.
    pub(super) fn gave(&mut self, now: Instant, bytes: usize) {
        let Some(byte) = self.byte else { return };
        let start = self.done.map_or(now, |done| done.max(now));
        self.done = Some(start + byte * u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// How long until it pays to give it more.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let under_way = self.done.map_or(Duration::ZERO, |done| done.saturating_duration_since(now));
        under_way.saturating_sub(AHEAD - STEP)
    }

    /// How long it takes for so many bytes; nothing when its speed is not known.
    pub(super) fn time_of(&self, bytes: usize) -> Option<Duration> {
        Some(self.byte? * u32::try_from(bytes).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gets_what_it_takes() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(115_200));
        let (mut given, mut now) = (0, start);
        while now < start + Duration::from_secs(10) {
            let bytes = pace.allows(now);
            pace.gave(now, bytes);
            given += bytes;
            now += pace.wait(now).max(Duration::from_millis(1));
        }
        assert!((115_100..=116_000).contains(&given), "{given} bytes in ten seconds");
        assert_eq!(Pace::new(None).allows(start), usize::MAX);
    }
}
