//! How a processor is, in the words of I2O, and what follows from what happens to it.
//!
//! | from \ event | boot | image ready | link up | link down, panic, end, garbage | time is up | cannot launch | reset | hold |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | reset | initializing, *launch* | - | - | - | - | - | initializing, *launch* | hold |
//! | initializing | - | ready, *join* | - | faulted, *stop* | faulted, *stop* | failed, *stop* | initializing, *stop, launch* | hold, *stop* |
//! | ready | - | - | operational | faulted, *stop* | faulted, *stop* | - | initializing, *stop, launch* | hold, *stop* |
//! | operational | - | - | - | faulted, *stop* | - | - | initializing, *stop, launch* | hold, *stop* |
//! | faulted | initializing, *launch* | - | - | - | initializing, *launch* | - | initializing, *launch* | hold |
//! | failed | initializing, *launch* | - | - | - | initializing, *launch* | - | initializing, *launch* | hold |
//! | hold | initializing, *launch* | - | - | - | - | - | initializing, *launch* | - |
//!
//! `-`: nothing changes; it is late, or makes no sense there (so is *link down* while initializing). Instead of faulted or failed the state is *hold* when the
//! last lives were all short and there were too many ([`Policy::hold_after`]). The wait before the next launch doubles
//! with each short life.

use std::{fmt, time::Duration};

/// How a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing runs.
    Reset,
    /// It was launched; its image is not ready yet.
    Initializing,
    /// Its image is ready; the fabric has not heard it yet.
    Ready,
    /// It is a member of the fabric.
    Operational,
    /// It stopped, or fell silent. It is started again after a wait.
    Faulted,
    /// It cannot be launched. That is tried again after a wait.
    Failed,
    /// It is not started again until somebody says so.
    Hold,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Reset => "reset",
            State::Initializing => "initializing",
            State::Ready => "ready",
            State::Operational => "operational",
            State::Faulted => "faulted",
            State::Failed => "failed",
            State::Hold => "hold",
        })
    }
}

/// What happened, or is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody wants it to run.
    Boot,
    /// Its image says that it is ready.
    ImageReady,
    /// The fabric heard it.
    LinkUp,
    /// The fabric hears it no more.
    LinkDown,
    /// Its image panicked.
    Panicked,
    /// What it runs on ended.
    Ended,
    /// What it says makes no sense.
    Garbage,
    /// It cannot be launched.
    CannotLaunch,
    /// Somebody wants it to begin anew.
    Reset,
    /// Somebody wants it to stop and stay so.
    Hold,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// End what it runs on, and take its link away.
    pub stop: bool,
    /// Start it anew.
    pub launch: bool,
    /// Join its rings.
    pub join: bool,
}

/// How patient the manager is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A life that was operational for so long was no short one.
    pub minimum_run: Duration,
    /// The wait before the first new launch; it doubles after each short life.
    pub delay_first: Duration,
    /// The longest wait.
    pub delay_longest: Duration,
    /// So many short lives one after the other, and it is held.
    pub hold_after: u32,
    /// How long an image may take until it is ready, and then until the fabric hears it.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            minimum_run: Duration::from_secs(10),
            delay_first: Duration::from_millis(100),
            delay_longest: Duration::from_secs(30),
            hold_after: 8,
            patience: Duration::from_secs(10),
        }
    }
}

/// One processor's state. Times are on the caller's monotonic clock.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    state: State,
    reason: &'static str,
    /// When it came into this state.
    since: Duration,
    due: Option<Duration>,
    /// Short lives one after the other.
    short_lives: u32,
    lives: u64,
}

impl Machine {
    /// In reset.
    pub const fn new(policy: Policy) -> Machine {
        let reason = "not started yet";
        let since = Duration::ZERO;
        Machine { policy, state: State::Reset, reason, since, due: None, short_lives: 0, lives: 0 }
    }

    /// How it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why, for people.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// How often it was launched.
    pub const fn lives(&self) -> u64 {
        self.lives
    }

    /// When [`Machine::handle_timeout`] is to be called.
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// Time is up, if it is.
    pub fn handle_timeout(&mut self, now: Duration) -> Act {
        if self.due.is_none_or(|due| due > now) {
            return Act::default();
        }
        self.due = None;
        match self.state {
            State::Initializing => self.fault(now, State::Faulted, "its image did not get ready in time"),
            State::Ready => self.fault(now, State::Faulted, "the fabric did not hear it in time"),
            State::Faulted | State::Failed => self.launch(now, "started again"),
            State::Reset | State::Operational | State::Hold => Act::default(),
        }
    }

    /// Something happened; what is to be done.
    pub fn handle(&mut self, now: Duration, event: Event) -> Act {
        use Event as E;
        use State as S;
        match (self.state, event) {
            (S::Initializing | S::Ready | S::Operational, E::Reset) => {
                self.short_lives = 0;
                Act { stop: true, ..self.launch(now, "reset by command") }
            }
            (S::Initializing | S::Ready | S::Operational, E::Hold) => self.hold(now, true),
            (S::Reset | S::Faulted | S::Failed | S::Hold, E::Boot | E::Reset) => {
                self.short_lives = 0;
                self.launch(now, "started by command")
            }
            (S::Reset | S::Faulted | S::Failed, E::Hold) => self.hold(now, false),
            (S::Initializing, E::ImageReady) => {
                self.enter(now, S::Ready, "its image is ready", Some(self.policy.patience));
                Act { join: true, ..Act::default() }
            }
            (S::Ready, E::LinkUp) => {
                self.enter(now, S::Operational, "a member of the fabric", None);
                Act::default()
            }
            (S::Initializing, E::CannotLaunch) => self.fault(now, S::Failed, "it cannot be launched"),
            (S::Initializing | S::Ready | S::Operational, E::Ended) => {
                self.fault(now, S::Faulted, "what it ran on ended")
            }
            (S::Initializing | S::Ready | S::Operational, E::Panicked) => {
                self.fault(now, S::Faulted, "its image panicked")
            }
            (S::Initializing | S::Ready | S::Operational, E::Garbage) => {
                self.fault(now, S::Faulted, "what it says makes no sense")
            }
            (S::Ready | S::Operational, E::LinkDown) => {
                self.fault(now, S::Faulted, "the fabric does not hear it any more")
            }
            (S::Initializing, E::Boot | E::LinkUp | E::LinkDown)
            | (S::Ready, E::Boot | E::ImageReady | E::CannotLaunch)
            | (S::Operational, E::Boot | E::ImageReady | E::LinkUp | E::CannotLaunch)
            | (
                S::Reset | S::Faulted | S::Failed | S::Hold,
                E::ImageReady | E::LinkUp | E::LinkDown | E::Panicked | E::Ended | E::Garbage | E::CannotLaunch,
            )
            | (S::Hold, E::Hold) => Act::default(),
        }
    }

    fn launch(&mut self, now: Duration, why: &'static str) -> Act {
        self.lives += 1;
        self.enter(now, State::Initializing, why, Some(self.policy.patience));
        Act { launch: true, ..Act::default() }
    }

    fn hold(&mut self, now: Duration, stop: bool) -> Act {
        self.enter(now, State::Hold, "held by command", None);
        Act { stop, ..Act::default() }
    }

    fn fault(&mut self, now: Duration, to: State, why: &'static str) -> Act {
        let ran = self.state == State::Operational && now.saturating_sub(self.since) >= self.policy.minimum_run;
        self.short_lives = if ran { 1 } else { self.short_lives.saturating_add(1) };
        if self.short_lives >= self.policy.hold_after {
            self.enter(now, State::Hold, why, None);
        } else {
            let factor = 1u32.checked_shl(self.short_lives - 1).unwrap_or(u32::MAX);
            let delay = self.policy.delay_first.saturating_mul(factor).min(self.policy.delay_longest);
            self.enter(now, to, why, Some(delay));
        }
        Act { stop: true, ..Act::default() }
    }

    fn enter(&mut self, now: Duration, state: State, reason: &'static str, due: Option<Duration>) {
        (self.state, self.reason, self.since) = (state, reason, now);
        self.due = due.map(|wait| now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 10] = [
        Event::Boot,
        Event::ImageReady,
        Event::LinkUp,
        Event::LinkDown,
        Event::Panicked,
        Event::Ended,
        Event::Garbage,
        Event::CannotLaunch,
        Event::Reset,
        Event::Hold,
    ];
    const NOTHING: Act = Act { stop: false, launch: false, join: false };

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// A machine in a state, reached by the shortest way.
    fn machine(state: State) -> Machine {
        let mut m = Machine::new(Policy::default());
        let way: &[Event] = match state {
            State::Reset => &[],
            State::Initializing => &[Event::Boot],
            State::Ready => &[Event::Boot, Event::ImageReady],
            State::Operational => &[Event::Boot, Event::ImageReady, Event::LinkUp],
            State::Faulted => &[Event::Boot, Event::Ended],
            State::Failed => &[Event::Boot, Event::CannotLaunch],
            State::Hold => &[Event::Hold],
        };
        for event in way {
            m.handle(at(1), *event);
        }
        assert_eq!(m.state(), state);
        m
    }

    /// The table of the header comment, row by row. In the order of [`EVENTS`], then time.
    ///
    /// Rows: IM-11.
    #[test]
    fn the_table_is_as_drawn() {
        let rows = [
            (State::Reset, "I.......IH", "."),
            (State::Initializing, ".R..FFFXIH", "F"),
            (State::Ready, "..OFFFF.IH", "F"),
            (State::Operational, "...FFFF.IH", "."),
            (State::Faulted, "I.......IH", "I"),
            (State::Failed, "I.......IH", "I"),
            (State::Hold, "I.......I.", "."),
        ];
        for (from, row, time) in rows {
            let runs = matches!(from, State::Initializing | State::Ready | State::Operational);
            let expected = |letter| match letter {
                'I' => (State::Initializing, Act { stop: runs, launch: true, join: false }),
                'R' => (State::Ready, Act { join: true, ..NOTHING }),
                'O' => (State::Operational, NOTHING),
                'F' => (State::Faulted, Act { stop: true, ..NOTHING }),
                'X' => (State::Failed, Act { stop: true, ..NOTHING }),
                'H' => (State::Hold, Act { stop: runs, ..NOTHING }),
                _ => (from, NOTHING),
            };
            for (event, letter) in EVENTS.into_iter().zip(row.chars()) {
                let mut m = machine(from);
                let act = m.handle(at(2), event);
                assert_eq!((m.state(), act), expected(letter), "{from} on {event:?}");
            }
            let mut m = machine(from);
            let act = m.handle_timeout(at(1000));
            assert_eq!((m.state(), act), expected(time.chars().next().unwrap()), "{from} when time is up");
        }
    }

    #[test]
    fn short_lives_wait_longer_each_time_and_end_in_hold() {
        let policy = Policy { hold_after: 5, ..Policy::default() };
        let mut m = Machine::new(policy);
        m.handle(at(0), Event::Boot);
        let (mut now, mut waits) = (at(0), Vec::new());
        while m.state() == State::Initializing {
            m.handle(now, Event::Ended);
            let Some(due) = m.poll_timeout() else { break };
            waits.push((due - now).as_millis());
            assert_eq!(m.handle_timeout(due - Duration::from_millis(1)), NOTHING, "not yet");
            now = due;
            m.handle_timeout(now);
        }
        assert_eq!(waits, [100, 200, 400, 800]);
        assert_eq!((m.state(), m.lives(), m.poll_timeout()), (State::Hold, 5, None));
        assert!(m.handle(now, Event::Boot).launch, "somebody may say so");
    }

    #[test]
    fn a_long_life_is_forgiven() {
        let mut m = machine(State::Operational);
        for second in [100, 200, 300] {
            m.handle(at(second), Event::LinkDown);
            assert_eq!(m.poll_timeout(), Some(at(second) + Policy::default().delay_first));
            m.handle_timeout(at(second + 1));
            m.handle(at(second + 1), Event::ImageReady);
            m.handle(at(second + 1), Event::LinkUp);
        }
        assert_eq!(m.state(), State::Operational);
    }

    #[test]
    fn the_wait_has_a_limit() {
        let mut m = Machine::new(Policy { hold_after: u32::MAX, ..Policy::default() });
        m.handle(at(0), Event::Boot);
        for turn in 0..100 {
            m.handle(at(turn * 100), Event::CannotLaunch);
            assert!(m.poll_timeout().is_some_and(|due| due - at(turn * 100) <= Policy::default().delay_longest));
            m.handle_timeout(at(turn * 100 + 99));
        }
    }
}
