//! Warnings that somebody else can cause as often as he likes: the log does not grow with them.

use std::time::{Duration, Instant};

/// One kind of warning: one line in [`Seldom::PAUSE`], with how many were held back before it.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    again: Option<Instant>,
    held: u64,
}

impl Seldom {
    /// Between two lines.
    pub(crate) const PAUSE: Duration = Duration::from_secs(10);

    /// Warns, or counts what it would have said.
    pub(crate) fn warn(&mut self, text: impl FnOnce() -> String) {
        if let Some(line) = self.line(Instant::now(), text) {
            log::warn!("{line}");
        }
    }

    fn line(&mut self, now: Instant, text: impl FnOnce() -> String) -> Option<String> {
        if self.again.is_some_and(|again| now < again) {
            self.held += 1;
            return None;
        }
        self.again = Some(now + Self::PAUSE);
        Some(match std::mem::take(&mut self.held) {
            0 => text(),
            held => format!("{} (and {held} times before, which is not in the log)", text()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_two_lines_and_none_is_lost_from_the_count() {
        let (mut seldom, begun) = (Seldom::default(), Instant::now());
        let lines = (0..1000_u32).filter_map(|ms| {
            let now = begun + Duration::from_millis(u64::from(ms) * 15);
            seldom.line(now, || "no".to_owned())
        });
        let lines: Vec<String> = lines.collect();
        // 15 s of a knock every 15 ms: the first, and the one after ten seconds.
        assert_eq!(lines, ["no".to_owned(), "no (and 666 times before, which is not in the log)".to_owned()]);
        assert_eq!(seldom.held, 1000 - 2 - 666);
    }
}
