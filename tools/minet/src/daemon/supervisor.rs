//! What the supervisor that started the daemon (systemd, or another with its protocol) is told: ready, stopping, how
//! many members can be reached, and, where it asks for it with `WatchdogSec=`, that the lanes still turn.
//!
//! Without a supervisor there is nobody to tell, and what could not be told is no error.

use crate::lane::{Command, Mailbox};
use sd_notify::NotifyState;
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The supervisor, if there is one.
pub(super) struct Supervisor {
    watchdog: Option<Watchdog>,
    is_there: bool,
    status: String,
}

impl Supervisor {
    /// As the environment says.
    pub(super) fn new(now: Instant) -> Supervisor {
        Supervisor {
            watchdog: sd_notify::watchdog_enabled().map(|patience| Watchdog::new(patience, now)),
            is_there: env::var_os("NOTIFY_SOCKET").is_some(),
            status: String::new(),
        }
    }

    /// The daemon does what it is there for.
    pub(super) fn ready(&self) {
        self.tell(NotifyState::Ready);
    }

    /// It ends in order.
    pub(super) fn stopping(&self) {
        self.tell(NotifyState::Stopping);
    }

    /// The line that `systemctl status` shows: so many of the other members can be reached.
    pub(super) fn members(&mut self, reached: usize, others: usize) {
        if !self.is_there {
            return;
        }
        let status = format!("{reached} of {others} other members can be reached");
        if status != self.status {
            self.tell(NotifyState::Status(&status));
            self.status = status;
        }
    }

    /// When it wants to be asked again.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.due.saturating_duration_since(now))
    }

    /// Tells the supervisor that all lanes turn, if they do, and asks them anew.
    pub(super) fn handle_timeout(&mut self, now: Instant, lanes: &[Arc<Mailbox>]) {
        let Some(watchdog) = &mut self.watchdog else { return };
        match watchdog.look(now, lanes) {
            Look::Early => {}
            Look::Good => self.tell(NotifyState::Watchdog),
            Look::Stuck(lane) => {
                log::error!("lane {lane} does not turn: the supervisor is not told that all is well");
            }
        }
    }

    fn tell(&self, state: NotifyState<'_>) {
        let _ = sd_notify::notify(&[state]);
    }
}

/// What a look at the lanes showed.
#[derive(Debug, PartialEq)]
enum Look {
    /// It is not time.
    Early,
    /// All have answered, or none was asked yet.
    Good,
    /// The first that has not.
    Stuck(usize),
}

/// Asks every lane for a sign of life three times in what the supervisor's patience is.
struct Watchdog {
    every: Duration,
    due: Instant,
    asked: Vec<Arc<AtomicBool>>,
}

impl Watchdog {
    fn new(patience: Duration, now: Instant) -> Watchdog {
        // A supervisor that wants to hear more often than every millisecond hears that often.
        Watchdog { every: (patience / 3).max(Duration::from_millis(1)), due: now, asked: Vec::new() }
    }

    fn look(&mut self, now: Instant, lanes: &[Arc<Mailbox>]) -> Look {
        if now < self.due {
            return Look::Early;
        }
        self.due = now + self.every;
        if let Some(stuck) = self.asked.iter().position(|answered| !answered.load(Ordering::Relaxed)) {
            // It keeps its question: an answer that comes late is one.
            return Look::Stuck(stuck);
        }
        self.asked = lanes
            .iter()
            .map(|lane| {
                let answered = Arc::new(AtomicBool::new(false));
                lane.give(Command::Probe(answered.clone()));
                answered
            })
            .collect();
        Look::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_does_not_turn_is_told_until_it_does() {
        let lanes = [0, 1].map(|_| Arc::new(Mailbox::new(0, 0).unwrap()));
        let begun = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(3), begun);
        let at = |thirds: u32| begun + Duration::from_secs(1) * thirds;

        assert_eq!(watchdog.look(begun, &lanes), Look::Good, "nobody was asked");
        assert_eq!(watchdog.look(begun + Duration::from_millis(999), &lanes), Look::Early);
        assert_eq!(watchdog.look(at(1), &lanes), Look::Stuck(0));
        turn(&lanes[0]);
        assert_eq!(watchdog.look(at(2), &lanes), Look::Stuck(1));
        turn(&lanes[1]);
        assert_eq!(watchdog.look(at(3), &lanes), Look::Good, "and both are asked again");
        assert_eq!(watchdog.look(at(4), &lanes), Look::Stuck(0));
    }

    /// As a lane does.
    fn turn(lane: &Mailbox) {
        while let Some(command) = lane.next() {
            if let Command::Probe(answered) = command {
                answered.store(true, Ordering::Relaxed);
            }
        }
    }
}
