//! Values on the command line that say what would be right: times in seconds, and addresses.

use std::{net::SocketAddr, time::Duration};

/// The longest: a year.
const MOST: f64 = 31_536_000.0;

/// `5`, `0.2`: not negative.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    between(text, 0.0, MOST)
}

/// Between two looks: not at once again.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    between(text, 0.1, MOST)
}

/// For one answer to a ping.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    between(text, 0.001, 60.0)
}

/// Where UDP is.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "it must be an address and a port, such as 192.0.2.1:7400 or [2001:db8::1]:7400".to_owned();
    text.parse().map_err(wrong)
}

fn between(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    let wrong = || format!("it must be a number of seconds from {least} to {most}, such as 5 or 0.5");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if !(least..=most).contains(&number) {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(number).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_refused_with_what_is_allowed() {
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["-1", "-0.001", "1e300", "inf", "NaN", "5s", "", "31536001"] {
            let said = seconds(wrong).unwrap_err();
            assert_eq!(said, "it must be a number of seconds from 0 to 31536000, such as 5 or 0.5", "{wrong}");
        }
        for wrong in ["", "x", "192.0.2.1", "7400", "192.0.2.1:65536", "localhost:1"] {
            assert!(socket(wrong).unwrap_err().contains("such as 192.0.2.1:7400"), "{wrong}");
        }
        assert!(socket("[::1]:1").is_ok());
        assert!(pause("0").is_err() && pause("0.1").is_ok());
        assert!(patience("61").unwrap_err().contains("0.001 to 60"));
    }
}
