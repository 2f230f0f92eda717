//! How a lane waits: it looks again for a while, giving way to whoever else wants the core, then sleeps.

use messenger::Look;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// The policy's state.
pub(super) struct Rest {
    look: Look,
}

impl Rest {
    pub(super) fn new(spin: Duration) -> Rest {
        Rest { look: Look::new(spin) }
    }

    /// There was work.
    pub(super) fn worked(&mut self) {
        self.look.worked();
    }

    /// Whether to look again before sleeping. Gives way to others in between.
    pub(super) fn look_again(&mut self) -> bool {
        self.look.look_again()
    }

    /// Sleeps until one of `fds` is readable or the time is over.
    pub(super) fn sleep(&mut self, fds: &[BorrowedFd<'_>], patience: Option<Duration>) {
        let mut set: arrayvec::ArrayVec<PollFd<'_>, 32> =
            fds.iter().take(32).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let limit = patience.map(|p| Timespec { tv_sec: p.as_secs() as i64, tv_nsec: i64::from(p.subsec_nanos()) });
        let before = Instant::now();
        // Interrupted or failed: the lane looks, and comes back here.
        let _ = poll(&mut set, limit.as_ref());
        self.look.slept(before.elapsed(), true);
    }
}
