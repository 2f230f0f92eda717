//! To look again for a while before sleeping, as long as that pays.

use std::time::{Duration, Instant};

/// How far success and failure are remembered.
const SCORE: i32 = 8;

/// Whoever waits looks again for a while, giving way to others in between, then sleeps.
///
/// Looking pays when work comes sooner than a wake-up would take. Each sleep tells whether looking would have paid; one looks only while it
/// mostly did. So who is busy answers in microseconds, and who is idle costs nothing.
#[derive(Clone, Debug)]
pub struct Look {
    most: Duration,
    idle_since: Option<Instant>,
    score: i32,
}

impl Look {
    /// For so long at the most; not at all for no time.
    pub fn new(most: Duration) -> Look {
        Look { most, idle_since: None, score: 0 }
    }

    /// The longest time.
    pub fn most(&self) -> Duration {
        self.most
    }

    /// There was work.
    pub fn worked(&mut self) {
        if self.idle_since.take().is_some() {
            self.score = (self.score + 1).min(SCORE);
        }
    }

    /// Whether to look again before sleeping. Gives way to others in between.
    pub fn look_again(&mut self) -> bool {
        if self.most.is_zero() || self.score <= 0 {
            return false;
        }
        match self.idle_since {
            None => self.idle_since = Some(Instant::now()),
            Some(since) if since.elapsed() >= self.most => {
                self.score = (self.score - 2).max(-SCORE);
                self.idle_since = None;
                return false;
            }
            Some(_) => {}
        }
        rustix::thread::sched_yield();
        true
    }

    /// A sleep ended after so long; `wanted`: by what is looked for.
    pub fn slept(&mut self, time: Duration, wanted: bool) {
        let paid = wanted && time < self.most;
        self.score = (self.score + if paid { 2 } else { -1 }).clamp(-SCORE, SCORE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_micros(10);

    #[test]
    fn looking_goes_on_while_it_pays() {
        let mut look = Look::new(Duration::from_secs(3600));
        assert!(!look.look_again(), "nothing is known yet");
        look.slept(SOON, true);
        assert!(look.look_again() && look.look_again());
        look.worked();
        for _ in 0..20 {
            look.slept(SOON, false);
        }
        assert!(!look.look_again(), "others than who is looked for woke it");
        (0..5).for_each(|_| look.slept(SOON, true));
        assert!(look.look_again());
    }

    #[test]
    fn what_does_not_pay_ends() {
        let mut look = Look::new(Duration::from_nanos(1));
        look.score = SCORE;
        // The first look begins the time, the second one finds it over.
        for _ in 0..SCORE / 2 {
            assert!(look.look_again() && !look.look_again());
        }
        assert!(!look.look_again());
        assert!(!Look::new(Duration::ZERO).look_again());
    }
}
