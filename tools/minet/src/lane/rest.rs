//! How a lane waits: it looks again for a while, giving way to whoever else wants the core, then sleeps.
//!
//! Looking pays when work comes sooner than a wake-up would take: most of all the answer to a frame that was just carried.
//! So a lane looks after every frame. What it looks in vain it has to save first: a fixed share of the time that passes.
//! So a busy lane answers in microseconds, one that never hears an answer wastes little, and an idle one costs nothing.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// Of the time that passes, so much may be spent looking in vain: one part in this many.
const SHARE: u32 = 10;
/// So many fruitless looks may be saved up.
const SAVED: u32 = 100;

/// The policy's state.
pub(super) struct Rest {
    spin: Duration,
    /// A frame was carried since the last sleep.
    eager: bool,
    idle_since: Option<Instant>,
    savings: Savings,
}

impl Rest {
    pub(super) fn new(spin: Duration) -> Rest {
        Rest { spin, eager: false, idle_since: None, savings: Savings::new(spin * SAVED, Instant::now()) }
    }

    /// There was work; with `frames`, an answer may be near.
    pub(super) fn worked(&mut self, frames: bool) {
        self.eager |= frames;
        self.idle_since = None;
    }

    /// Whether to look again before sleeping. Gives way to others in between.
    pub(super) fn look_again(&mut self) -> bool {
        if !self.eager || self.spin.is_zero() {
            return false;
        }
        let now = Instant::now();
        let since = *self.idle_since.get_or_insert(now);
        if now.duration_since(since) >= self.spin || !self.savings.covers(self.spin, now) {
            self.savings.spend(now.duration_since(since));
            (self.eager, self.idle_since) = (false, None);
            return false;
        }
        rustix::thread::sched_yield();
        true
    }

    /// Sleeps until one of `fds` is readable or the time is over.
    pub(super) fn sleep(&mut self, fds: &[BorrowedFd<'_>], patience: Option<Duration>) {
        let mut set: arrayvec::ArrayVec<PollFd<'_>, 32> =
            fds.iter().take(32).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let limit = patience.map(|p| Timespec { tv_sec: p.as_secs() as i64, tv_nsec: i64::from(p.subsec_nanos()) });
        // Interrupted or failed: the lane looks, and comes back here.
        let _ = poll(&mut set, limit.as_ref());
    }
}

/// Time that may be wasted.
struct Savings {
    have: Duration,
    most: Duration,
    at: Instant,
}

impl Savings {
    fn new(most: Duration, now: Instant) -> Savings {
        Savings { have: most, most, at: now }
    }

    /// Whether so much is there.
    fn covers(&mut self, amount: Duration, now: Instant) -> bool {
        if self.have < amount {
            self.have = (self.have + now.duration_since(self.at) / SHARE).min(self.most);
            self.at = now;
        }
        self.have >= amount
    }

    fn spend(&mut self, amount: Duration) {
        self.have = self.have.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_time_is_wasted_at_most() {
        let (spin, mut now) = (Duration::from_micros(50), Instant::now());
        let mut savings = Savings::new(spin * SAVED, now);
        let (start, mut wasted) = (now, Duration::ZERO);
        while now - start < Duration::from_secs(1) {
            if savings.covers(spin, now) {
                savings.spend(spin);
                wasted += spin;
                now += spin;
            }
            now += Duration::from_micros(10);
        }
        assert!(wasted <= Duration::from_millis(106) && wasted >= Duration::from_millis(90), "{wasted:?}");
    }

    #[test]
    fn only_a_frame_makes_it_look() {
        let mut rest = Rest::new(Duration::from_secs(1));
        assert!(!rest.look_again());
        rest.worked(false);
        assert!(!rest.look_again());
        rest.worked(true);
        assert!(rest.look_again() && rest.look_again());
        let mut never = Rest::new(Duration::ZERO);
        never.worked(true);
        assert!(!never.look_again());
    }
}
