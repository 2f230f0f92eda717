//! How a lane waits: it looks again for a while, giving way to whoever else wants the core, then sleeps.
//!
//! Looking pays when work comes sooner than a wake-up would take. Each sleep tells whether looking would have paid; the
//! lane looks only while it mostly did. So a busy lane answers in microseconds and an idle one costs nothing.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// How far success and failure are remembered.
const SCORE: i32 = 8;

/// The policy's state.
pub(super) struct Rest {
    spin: Duration,
    idle_since: Option<Instant>,
    score: i32,
}

impl Rest {
    pub(super) fn new(spin: Duration) -> Rest {
        Rest { spin, idle_since: None, score: 0 }
    }

    /// There was work.
    pub(super) fn worked(&mut self) {
        if self.idle_since.take().is_some() {
            self.score = (self.score + 1).min(SCORE);
        }
    }

    /// Whether to look again before sleeping. Gives way to others in between.
    pub(super) fn look_again(&mut self) -> bool {
        if self.spin.is_zero() || self.score <= 0 {
            return false;
        }
        match self.idle_since {
            None => self.idle_since = Some(Instant::now()),
            Some(since) if since.elapsed() >= self.spin => {
                self.score = (self.score - 2).max(-SCORE);
                self.idle_since = None;
                return false;
            }
            Some(_) => {}
        }
        rustix::thread::sched_yield();
        true
    }

    /// Sleeps until one of `fds` is readable or the time is over.
    pub(super) fn sleep(&mut self, fds: &[BorrowedFd<'_>], patience: Option<Duration>) {
        let mut set: arrayvec::ArrayVec<PollFd<'_>, 32> =
            fds.iter().take(32).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let limit = patience.map(|p| Timespec { tv_sec: p.as_secs() as i64, tv_nsec: i64::from(p.subsec_nanos()) });
        let before = Instant::now();
        // Interrupted or failed: the lane looks, and comes back here.
        let _ = poll(&mut set, limit.as_ref());
        let paid = before.elapsed() < self.spin;
        self.score = (self.score + if paid { 2 } else { -1 }).clamp(-SCORE, SCORE);
    }
}
