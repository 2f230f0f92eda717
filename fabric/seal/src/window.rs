//! Which counters were seen: a bitmap over the newest ones.

use crate::Refused;

/// Bits of a word.
const BITS: u64 = u64::BITS as u64;
/// Words; one of them is being filled, so that the window is a word narrower.
const WORDS: u64 = 64;
/// A counter so far behind the newest is still told apart from one seen before.
pub(crate) const REACH: u64 = (WORDS - 1) * BITS;

/// The counters of one sender, each of which is accepted once.
///
/// The words are a ring: a newer counter clears the words between the newest and itself, so that nothing is ever moved.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    words: [u64; WORDS as usize],
    /// One more than the newest counter.
    end: u64,
}

impl Window {
    pub(crate) const fn new() -> Window {
        Window { words: [0; WORDS as usize], end: 0 }
    }

    /// Whether the counter may still be accepted. Changes nothing: whoever it came from is not known yet.
    pub(crate) fn check(&self, n: u64) -> Result<(), Refused> {
        if n >= self.end {
            return Ok(());
        }
        if self.end - n > REACH {
            return Err(Refused::Old);
        }
        let (word, bit) = place(n);
        match self.words.get(word) {
            Some(bits) if bits & bit == 0 => Ok(()),
            _ => Err(Refused::Replayed),
        }
    }

    /// Notes a counter that was checked and whose datagram proved genuine.
    pub(crate) fn note(&mut self, n: u64) {
        if n >= self.end {
            let newest = self.end.checked_sub(1).map_or(0, |n| n / BITS);
            let fresh = (n / BITS).saturating_sub(newest).min(WORDS);
            for step in 1..=fresh {
                let at = ((newest + step) % WORDS) as usize;
                if let Some(word) = self.words.get_mut(at) {
                    *word = 0;
                }
            }
            self.end = n.saturating_add(1);
        }
        let (word, bit) = place(n);
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= bit;
        }
    }
}

fn place(n: u64) -> (usize, u64) {
    (((n / BITS) % WORDS) as usize, 1 << (n % BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn take(window: &mut Window, n: u64) -> Result<(), Refused> {
        window.check(n)?;
        window.note(n);
        Ok(())
    }

    #[test]
    fn each_counter_is_taken_once_in_any_order() {
        let mut window = Window::new();
        for n in [0, 1, 5, 3, 2, 4, 4000, 63, 64, 65, 3999] {
            assert_eq!(take(&mut window, n), Ok(()), "{n}");
            assert_eq!(take(&mut window, n), Err(Refused::Replayed), "{n}");
        }
    }

    /// PROTOCOL 6.10.
    #[test]
    fn the_window_reaches_at_least_2048_back() {
        const { assert!(REACH >= 2048) };
        let mut window = Window::new();
        let newest = 1_000_000;
        take(&mut window, newest).unwrap();
        assert_eq!(take(&mut window, newest - REACH), Err(Refused::Old));
        assert_eq!(take(&mut window, newest - REACH + 1), Ok(()));
        assert_eq!(take(&mut window, newest - REACH + 1), Err(Refused::Replayed));
        assert_eq!(take(&mut window, 0), Err(Refused::Old));
    }

    proptest! {
        /// The window against a set that remembers everything.
        ///
        /// PROTOCOL 6.10.
        #[test]
        fn it_agrees_with_a_perfect_memory(jumps in prop::collection::vec((0u64..9000, 0u64..6000), 1..400)) {
            let (mut window, mut seen, mut newest, mut base) = (Window::new(), BTreeSet::new(), None::<u64>, 0u64);
            for (ahead, behind) in jumps {
                base += ahead / 3;
                let n = (base + ahead).saturating_sub(behind);
                let expected = match newest {
                    Some(newest) if n <= newest && newest + 1 - n > REACH => Err(Refused::Old),
                    _ if seen.contains(&n) => Err(Refused::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(take(&mut window, n), expected, "{}", n);
                if expected.is_ok() {
                    seen.insert(n);
                    newest = newest.max(Some(n));
                }
            }
        }
    }
}
