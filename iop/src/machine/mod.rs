//! How a processor is, in the words of I2O, and what follows from what happens to it.
//!
//! | from \ event | boot | image ready | joined | failure | time is up | cannot launch | reset | hold | drained |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | reset | initializing, *launch* | - | - | - | - | - | initializing, *launch* | hold | - |
//! | initializing | - | ready, *join* | - | failed, *stop* | failed, *stop* | failed, *stop* | reset, initializing, *stop, launch* | hold, *stop* | - |
//! | ready | - | - | operational | failed, *stop* | failed, *stop* | - | reset, initializing, *stop, launch* | hold, *stop* | - |
//! | operational | - | - | - | failed, *stop* | - | - | *drains* | *drains* | - |
//! | draining | - | - | - | as drained | as drained | - | *drains, then reset* | *drains, then hold* | reset, initializing, *stop, launch*; or hold, *stop* |
//! | failed | initializing, *launch* | - | - | - | initializing, *launch* | - | initializing, *launch* | hold | - |
//! | faulted | *forbidden* | - | - | - | - | - | *forbidden* | hold | - |
//! | hold | initializing, *launch* | - | - | - | - | - | initializing, *launch* | - | - |
//!
//! `-`: nothing changes; it is late, or makes no sense there. A *failure* is a lost link (not while initializing), a panic, the
//! end of what it runs on, or garbage. Instead of failed the state is *faulted* when the last lives were all short and there were too
//! many ([`Policy::fault_after`]): it is taken for broken, and only somebody who takes it out (hold) can bring it back. The wait
//! before the next launch doubles with each short life.
//!
//! *Draining* is an operational processor that is to go: others send it nothing new, and it finishes what is under way, for at most
//! [`Policy::drain`]. An operational processor may also be *quiesced* and *enabled* again; others then send it nothing new meanwhile.

use std::{collections::VecDeque, fmt, time::Duration};

/// How a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It was launched; its image is not ready yet.
    Initializing,
    /// Nothing runs.
    Reset,
    /// It is not started again until somebody says so.
    Hold,
    /// Its image is ready; it is no member of the fabric yet.
    Ready,
    /// It is a member of the fabric.
    Operational,
    /// It stopped, fell silent, or cannot be launched. It is started again after a wait.
    Failed,
    /// It failed too often and is taken for broken: it is not started again, nor reset.
    Faulted,
}

impl State {
    /// Its number in I2O.
    pub const fn number(self) -> u8 {
        match self {
            State::Initializing => 0x01,
            State::Reset => 0x02,
            State::Hold => 0x04,
            State::Ready => 0x05,
            State::Operational => 0x08,
            State::Failed => 0x10,
            State::Faulted => 0x11,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Initializing => "initializing",
            State::Reset => "reset",
            State::Hold => "hold",
            State::Ready => "ready",
            State::Operational => "operational",
            State::Failed => "failed",
            State::Faulted => "faulted",
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
    /// It and its host's node know each other as members of the fabric, and the way to each other.
    Joined,
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
    /// Somebody wants that it is sent nothing new.
    Quiesce,
    /// Somebody takes that back.
    Enable,
    /// It and all others know that it is to go, and nothing is under way any more.
    Drained,
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

/// What others may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Anything.
    Enabled,
    /// Nothing new, for the time being.
    Quiesced,
    /// Nothing new: it is to go.
    Draining,
}

/// What follows when it is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Reset,
    Hold,
}

/// A change of state, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub reason: &'static str,
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
    /// So many short lives one after the other, and it is taken for broken.
    pub fault_after: u32,
    /// How long an image may take until it is ready, and then until it is a member of the fabric.
    pub patience: Duration,
    /// How long what is under way may take when it is to go.
    pub drain: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            minimum_run: Duration::from_secs(10),
            delay_first: Duration::from_millis(100),
            delay_longest: Duration::from_secs(30),
            fault_after: 8,
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(1),
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
    quiesced: bool,
    after: Option<After>,
    transitions: VecDeque<Transition>,
}

/// Changes that nobody asked for are forgotten, the oldest first.
const TRANSITIONS: usize = 64;

impl Machine {
    /// In reset.
    pub const fn new(policy: Policy) -> Machine {
        Machine {
            policy,
            state: State::Reset,
            reason: "not started yet",
            since: Duration::ZERO,
            due: None,
            short_lives: 0,
            lives: 0,
            quiesced: false,
            after: None,
            transitions: VecDeque::new(),
        }
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

    /// What others may send it.
    pub const fn traffic(&self) -> Traffic {
        match (self.after, self.quiesced) {
            (Some(_), _) => Traffic::Draining,
            (None, true) => Traffic::Quiesced,
            (None, false) => Traffic::Enabled,
        }
    }

    /// The next change of state that was not told yet.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        self.transitions.pop_front()
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
            State::Initializing => self.fail(now, "its image did not get ready in time"),
            State::Ready => self.fail(now, "it did not join the fabric in time"),
            State::Failed => self.launch(now, "started again"),
            State::Operational => self.go(now),
            State::Reset | State::Hold | State::Faulted => Act::default(),
        }
    }

    /// Why a command would do nothing in this state, for people; `None` if it does something, or there is nothing to do.
    pub const fn refusal(&self, event: Event) -> Option<&'static str> {
        match (self.state, event) {
            (State::Faulted, Event::Boot | Event::Reset) => Some(
                "it failed too often and is taken for broken: `minet iop hold`, then `minet iop boot`, brings it back",
            ),
            (State::Operational, Event::Quiesce | Event::Enable) if self.after.is_some() => Some("it is about to go"),
            (State::Operational, _) => None,
            (_, Event::Quiesce | Event::Enable) => Some("it is not operational"),
            _ => None,
        }
    }

    /// Something happened; what is to be done.
    pub fn handle(&mut self, now: Duration, event: Event) -> Act {
        use Event as E;
        use State as S;
        match (self.state, event) {
            (S::Initializing | S::Ready, E::Reset) => self.reset(now),
            (S::Initializing | S::Ready, E::Hold) => self.hold(now, true),
            (S::Operational, E::Reset) => self.drain(now, After::Reset),
            (S::Operational, E::Hold) => self.drain(now, After::Hold),
            (S::Operational, E::Quiesce) => self.quiesce(true),
            (S::Operational, E::Enable) => self.quiesce(false),
            (S::Operational, E::Drained) => self.go(now),
            (S::Reset | S::Failed | S::Hold, E::Boot | E::Reset) => {
                self.short_lives = 0;
                self.launch(now, "started by command")
            }
            (S::Reset | S::Failed | S::Faulted, E::Hold) => self.hold(now, false),
            (S::Initializing, E::ImageReady) => {
                self.enter(now, S::Ready, "its image is ready", Some(self.policy.patience));
                Act { join: true, ..Act::default() }
            }
            (S::Ready, E::Joined) => {
                self.enter(now, S::Operational, "a member of the fabric", None);
                Act::default()
            }
            (S::Initializing, E::CannotLaunch) => self.fail(now, "it cannot be launched"),
            (S::Initializing | S::Ready | S::Operational, E::Ended) => self.fail(now, "what it ran on ended"),
            (S::Initializing | S::Ready | S::Operational, E::Panicked) => self.fail(now, "its image panicked"),
            (S::Initializing | S::Ready | S::Operational, E::Garbage) => self.fail(now, "what it says makes no sense"),
            (S::Ready | S::Operational, E::LinkDown) => self.fail(now, "the fabric does not hear it any more"),
            (S::Initializing, E::Boot | E::Joined | E::LinkDown)
            | (S::Ready, E::Boot | E::ImageReady | E::CannotLaunch)
            | (S::Operational, E::Boot | E::ImageReady | E::Joined | E::CannotLaunch)
            | (
                S::Reset | S::Failed | S::Faulted | S::Hold,
                E::ImageReady | E::Joined | E::LinkDown | E::Panicked | E::Ended | E::Garbage | E::CannotLaunch,
            )
            | (S::Faulted, E::Boot | E::Reset)
            | (
                S::Reset | S::Initializing | S::Ready | S::Failed | S::Faulted | S::Hold,
                E::Quiesce | E::Enable | E::Drained,
            )
            | (S::Hold, E::Hold) => Act::default(),
        }
    }

    fn launch(&mut self, now: Duration, why: &'static str) -> Act {
        self.lives += 1;
        self.enter(now, State::Initializing, why, Some(self.policy.patience));
        Act { launch: true, ..Act::default() }
    }

    fn reset(&mut self, now: Duration) -> Act {
        self.short_lives = 0;
        self.enter(now, State::Reset, "reset by command", None);
        Act { stop: true, ..self.launch(now, "reset by command") }
    }

    fn hold(&mut self, now: Duration, stop: bool) -> Act {
        self.short_lives = 0;
        self.enter(now, State::Hold, "held by command", None);
        Act { stop, ..Act::default() }
    }

    fn quiesce(&mut self, on: bool) -> Act {
        self.quiesced = on && self.after.is_none();
        Act::default()
    }

    fn drain(&mut self, now: Duration, after: After) -> Act {
        // Who said so last is obeyed; the time goes on.
        if self.after.replace(after).is_none() {
            self.due = Some(now + self.policy.drain);
        }
        Act::default()
    }

    /// It goes, if it is to.
    fn go(&mut self, now: Duration) -> Act {
        match self.after {
            Some(After::Reset) => self.reset(now),
            Some(After::Hold) => self.hold(now, true),
            None => Act::default(),
        }
    }

    fn fail(&mut self, now: Duration, why: &'static str) -> Act {
        if self.after.is_some() {
            return self.go(now);
        }
        let ran = self.state == State::Operational && now.saturating_sub(self.since) >= self.policy.minimum_run;
        self.short_lives = if ran { 1 } else { self.short_lives.saturating_add(1) };
        if self.short_lives >= self.policy.fault_after {
            self.enter(now, State::Faulted, why, None);
        } else {
            let factor = 1u32.checked_shl(self.short_lives - 1).unwrap_or(u32::MAX);
            let delay = self.policy.delay_first.saturating_mul(factor).min(self.policy.delay_longest);
            self.enter(now, State::Failed, why, Some(delay));
        }
        Act { stop: true, ..Act::default() }
    }

    fn enter(&mut self, now: Duration, state: State, reason: &'static str, due: Option<Duration>) {
        if self.transitions.len() >= TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { from: self.state, to: state, reason });
        (self.state, self.reason, self.since) = (state, reason, now);
        (self.quiesced, self.after) = (false, None);
        self.due = due.map(|wait| now + wait);
    }
}

#[cfg(test)]
mod tests;
