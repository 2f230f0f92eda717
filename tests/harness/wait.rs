//! Waiting by looking.

use crate::{Error, Result};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Long enough for anything that should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` gives something. `None` and an error both mean "not yet"; the last error is told at the deadline.
///
/// # Errors
/// [`Error::NotSeen`] after `limit`.
pub fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        let last = match look() {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => String::new(),
            Err(error) => format!("; last: {error}"),
        };
        if Instant::now() >= end {
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
    fn tells_the_last_error() {
        let never: Result<()> = eventually(Duration::ZERO, "a light", || Err(Error::unexpected("dark")));
        let told = never.unwrap_err().to_string();
        assert!(told.contains("a light") && told.contains("dark"), "{told}");
    }
}
