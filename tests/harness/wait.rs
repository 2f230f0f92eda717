//! Waiting by looking.

use crate::{Error, Result, processor_times};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Long enough for anything that should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The end of a wait. Where the host takes processors for others, the time counts by the part of what was wanted that it left: programs
/// that run half as fast get twice as long, ten times at the most. Elsewhere it is the time on the wall.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    begun: Instant,
    limit: Duration,
    before: Vec<f64>,
}

impl Deadline {
    /// Begins to wait.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { begun: Instant::now(), limit, before: processor_times() }
    }

    /// How long to wait before the next look at it; none when it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        let passed = self.begun.elapsed();
        match self.limit.checked_sub(passed) {
            Some(left) if !left.is_zero() => Some(left),
            _ => (passed.mul_f64(share(&self.before, &processor_times())) < self.limit).then_some(RATHER),
        }
    }
}

/// Between two looks at a deadline that the wall clock has passed.
const RATHER: Duration = Duration::from_millis(100);

/// The part of the wanted processor time between two readings that was given, from a tenth to 1.
fn share(before: &[f64], after: &[f64]) -> f64 {
    let spent: Vec<f64> = after.iter().zip(before).map(|(now, then)| now - then).collect();
    let &[user, nice, system, _, _, hard, soft, stolen] = spent.as_slice() else { return 1.0 };
    let used = user + nice + system + hard + soft;
    if stolen > 0.0 { (used / (used + stolen)).clamp(0.1, 1.0) } else { 1.0 }
}

/// Looks until `look` gives something. `None` and an error both mean "not yet"; the last error is told at the deadline.
///
/// # Errors
/// [`Error::NotSeen`] after `limit`.
pub fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Deadline::after(limit);
    loop {
        let last = match look() {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => String::new(),
            Err(error) => format!("; last: {error}"),
        };
        if end.left().is_none() {
            return Err(Error::NotSeen { what: what.to_owned(), limit, last });
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_seen() {
        let mut looks = 0;
        let seen = eventually(SOON, "third look", || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn time_counts_by_what_the_host_leaves() {
        let before = [5.0; 8];
        let after = |used: f64, idle: f64, stolen: f64| [5.0 + used, 5.0, 5.0, 5.0 + idle, 5.0, 5.0, 5.0, 5.0 + stolen];
        assert_eq!(share(&before, &after(100.0, 900.0, 0.0)), 1.0);
        assert_eq!(share(&before, &after(0.0, 1000.0, 0.0)), 1.0);
        assert_eq!(share(&before, &after(100.0, 900.0, 300.0)), 0.25);
        assert_eq!(share(&before, &after(1.0, 9.0, 990.0)), 0.1);
        assert_eq!(share(&before, &[1.0; 4]), 1.0, "a kernel that does not tell");
        let over = Deadline { begun: Instant::now(), limit: Duration::ZERO, before: processor_times() };
        assert_eq!(over.left(), None);
        assert!(Deadline::after(SOON).left().is_some_and(|left| left <= SOON));
    }

    #[test]
    fn tells_the_last_error() {
        let never: Result<()> = eventually(Duration::ZERO, "a light", || Err(Error::unexpected("dark")));
        let told = never.unwrap_err().to_string();
        assert!(told.contains("a light") && told.contains("dark"), "{told}");
    }
}
