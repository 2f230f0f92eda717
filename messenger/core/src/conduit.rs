//! How a conduit judges its links: silence, loss, delay, and links that come and go too often.
//!
//! A link that is judged bad is *demoted*: it stays up, and carries only while no better one is live. What demotes it is
//! measured on the link itself by heartbeats that ask for an answer, and only while the conduit has another live link:
//! without one there is nothing to choose. A link that carried no frames for [`AT_EASE`] is asked seldom: nothing is lost on it.
//!
//! | demoted for | when | until |
//! | --- | --- | --- |
//! | silence | the link that carries was not heard for [`Policy::detect`], though it was asked | it was heard steadily for [`Policy::hold`] |
//! | loss | at least [`Policy::loss`] of the latest heartbeats had no answer | half of that, and the hold |
//! | delay | the round trip is over [`Policy::delay`] | three quarters of that, and the hold |
//! | flapping | it was lost or demoted too often of late | its penalty has halved |
//!
//! The worst is silence, then loss, delay, flapping: of links that are all demoted the least bad carries.

use crate::{NodeId, Time, link::Reason};
use alloc::collections::{BTreeMap, VecDeque};
use core::{fmt, time::Duration};

/// What a node demands of links, where it can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The link that carries is demoted after so much silence, or after four of its slowest round trips of late if that is
    /// longer. Zero: only the miss limit counts.
    pub detect: Duration,
    /// So many heartbeats of a thousand without an answer demote a link. Zero: they do not matter.
    pub loss: u16,
    /// A longer round trip demotes a link. Zero: it does not matter.
    pub delay: Duration,
    /// How long a demotion lasts at least.
    pub hold: Duration,
    /// Links that come and go too often are kept from carrying for a while.
    pub damp: bool,
}

impl Policy {
    /// Links are chosen by their priority alone.
    pub const PLAIN: Policy =
        Policy { detect: Duration::ZERO, loss: 0, delay: Duration::ZERO, hold: Duration::ZERO, damp: false };

    /// How often the link that carries is asked while nothing is heard, and frames want to be.
    pub(crate) fn step(&self) -> Duration {
        (self.detect / 5).max(Duration::from_millis(2))
    }

    fn measures(&self) -> bool {
        self.loss > 0 || self.delay > Duration::ZERO
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            detect: Duration::from_millis(80),
            loss: 200,
            delay: Duration::ZERO,
            hold: Duration::from_secs(2),
            damp: true,
        }
    }
}

/// Why a link is demoted, the least bad first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Demotion {
    /// It was lost or demoted too often of late.
    Flapping,
    /// Its round trip is too long.
    Delay(Duration),
    /// So many heartbeats of a thousand had no answer.
    Loss(u16),
    /// Nothing was heard though it was asked.
    Silence,
}

impl Demotion {
    /// How bad it is.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Demotion::Flapping => 1,
            Demotion::Delay(_) => 2,
            Demotion::Loss(_) => 3,
            Demotion::Silence => 4,
        }
    }
}

impl fmt::Display for Demotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Demotion::Flapping => f.write_str("it comes and goes too often"),
            Demotion::Delay(time) => write!(f, "round trip of {} us", time.as_micros()),
            Demotion::Loss(lost) => write!(f, "{}.{} % of heartbeats lost", lost / 10, lost % 10),
            Demotion::Silence => f.write_str("it does not answer"),
        }
    }
}

/// Why a conduit's traffic moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The conduit had no live link before.
    First,
    /// A better link is there, or is good again.
    Better,
    /// The link that carried was lost.
    Lost(Reason),
    /// The link that carried was demoted.
    Demoted(Demotion),
    /// No new traffic is wanted on the link that carried.
    Quiesced,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::First => f.write_str("the first live link"),
            Cause::Better => f.write_str("a better link is there"),
            Cause::Lost(reason) => write!(f, "the link was lost: {reason}"),
            Cause::Demoted(why) => write!(f, "the link was demoted: {why}"),
            Cause::Quiesced => f.write_str("the link is to have no new traffic"),
        }
    }
}

/// Without frames for so long, a link is asked seldom.
const AT_EASE: Duration = Duration::from_secs(2);
/// Heartbeats that a judgement is made from.
const WINDOW: usize = 32;
/// No judgement from fewer.
const LEAST: usize = 8;
/// Slow round trips are forgotten by so much with each that is faster.
const FORGET: u32 = 64;

/// What is known of one link's quality.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// When the link that carries is looked at next.
    step_at: Option<Time>,
    /// When the next heartbeat that counts is due.
    probe_at: Option<Time>,
    /// Since when it is asked in vain.
    asked: Option<Time>,
    /// When heartbeats that count were sent, and whether an answer came.
    probes: VecDeque<(u64, bool)>,
    /// The slowest round trip of late.
    slowest: Duration,
    demotion: Option<Demotion>,
    since: Time,
    /// Since when it is steadily heard.
    steady: Option<Time>,
}

/// What a look at a link found to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Ask for a sign of life now.
    pub(crate) ask: bool,
    /// The demotion is another one than before.
    pub(crate) changed: bool,
}

/// What a look needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// It carries its conduit's traffic.
    pub(crate) active: bool,
    /// The conduit has another live link.
    pub(crate) choice: bool,
    pub(crate) last_heard: Time,
    pub(crate) rtt: Option<Duration>,
    /// An idle link gives a sign of life this often.
    pub(crate) interval: Duration,
    /// It was lost or demoted too often of late.
    pub(crate) flapping: bool,
    /// When it carried a frame, as far as is known.
    pub(crate) carried: Option<Time>,
}

impl Sight {
    fn busy(&self, now: Time) -> bool {
        self.carried.is_some_and(|at| now.since(at) < AT_EASE)
    }
}

impl Watch {
    pub(crate) fn demotion(&self) -> Option<Demotion> {
        self.demotion
    }

    /// Heartbeats of a thousand without an answer; `None` while too few were sent.
    pub(crate) fn loss(&self, now: Time, patience: Duration) -> Option<u16> {
        let ripe = |(sent, _): &&(u64, bool)| now.since(Time::from_nanos(*sent)) >= patience;
        let total = self.probes.iter().filter(ripe).count();
        let lost = self.probes.iter().filter(ripe).filter(|(_, answered)| !answered).count();
        (total >= LEAST).then(|| (lost * 1000 / total) as u16)
    }

    /// Something came on the link.
    pub(crate) fn heard(&mut self) {
        self.asked = None;
    }

    /// An answer to what was sent at `stamp` came.
    pub(crate) fn answered(&mut self, stamp: u64, round_trip: Duration) {
        if let Some((_, answered)) = self.probes.iter_mut().find(|(sent, _)| *sent == stamp) {
            *answered = true;
        }
        let fading = self.slowest.saturating_sub(self.slowest / FORGET);
        self.slowest = fading.max(round_trip);
    }

    /// When to look next.
    pub(crate) fn timeout(&self) -> Option<Time> {
        [self.step_at, self.probe_at].into_iter().flatten().min()
    }

    /// Looks at the link: what is to be done, and whether it is demoted from now on.
    pub(crate) fn look(&mut self, now: Time, policy: &Policy, sight: Sight) -> Look {
        let mut look = Look::default();
        if !sight.choice || *policy == Policy::PLAIN {
            (self.step_at, self.probe_at, self.asked) = (None, None, None);
            self.probes.clear();
            look.changed = sight.choice && self.demotion.take().is_some();
            return look;
        }
        if sight.active && policy.detect > Duration::ZERO {
            look.ask |= self.step(now, policy, sight);
        } else {
            (self.step_at, self.asked) = (None, None);
        }
        // A demoted link is asked too: only what is heard can bring it back.
        if policy.measures() || self.demotion.is_some() {
            let often = (sight.interval / 4).max(Duration::from_millis(2));
            let every = if sight.busy(now) || self.demotion.is_some() { often } else { sight.interval };
            let due = self.probe_at.map(|at| at.min(now + every));
            self.probe_at = due;
            if due.is_none_or(|at| at <= now) {
                self.probe_at = Some(now + every);
                if self.probes.len() >= WINDOW {
                    self.probes.pop_front();
                }
                self.probes.push_back((now.as_nanos().max(1), false));
                look.ask = true;
            }
        } else {
            self.probe_at = None;
        }
        let before = self.demotion;
        self.judge(now, policy, sight);
        look.changed = before.map(Demotion::rank) != self.demotion.map(Demotion::rank);
        look
    }

    /// The link that carries, every step; whether it is to be asked.
    fn step(&mut self, now: Time, policy: &Policy, sight: Sight) -> bool {
        let step = policy.step();
        // Who has no frames to lose asks seldom, and looks only whether there are frames again.
        let at_ease = !sight.busy(now) && self.asked.is_none();
        let (pause, ask_after) = if at_ease { (step * 4, step.max(sight.interval / 2)) } else { (step, step) };
        let due = self.step_at.map_or(now + pause, |at| at.min(now + pause));
        self.step_at = Some(due);
        if due > now {
            return false;
        }
        // This node itself was late: the time it slept says nothing about the peer.
        let late = now.since(due);
        if late > step
            && let Some(asked) = self.asked
        {
            self.asked = Some((asked + late).min(now));
        }
        let quiet = now.since(sight.last_heard) >= ask_after;
        self.step_at = Some(if quiet { now + step } else { (sight.last_heard + ask_after).min(now + pause) });
        if quiet {
            self.asked.get_or_insert(now);
        }
        quiet
    }

    /// How long an answer may take.
    fn patience(&self, policy: &Policy) -> Duration {
        // Silence begins up to a step before it is noticed, and its end is noticed up to a step late.
        policy.detect.saturating_sub(policy.step() * 2).max(self.slowest * 4)
    }

    fn judge(&mut self, now: Time, policy: &Policy, sight: Sight) {
        let answer = sight.rtt.map_or(sight.interval, |rtt| (rtt * 4).max(sight.interval / 4));
        let loss = self.loss(now, answer).unwrap_or(0);
        let rtt = sight.rtt.unwrap_or_default();
        let over = |limit: Duration| policy.delay > Duration::ZERO && rtt > limit;
        let silent = self.asked.is_some_and(|asked| now.since(asked) >= self.patience(policy));
        // What came before it was demoted says nothing for it.
        let lately = sight.last_heard > self.since && now.since(sight.last_heard) <= sight.interval;
        if lately && self.steady.is_none() && self.demotion == Some(Demotion::Silence) {
            // What was not answered while it was silent is forgiven with the silence; what is lost from now on is not.
            self.probes.clear();
        }
        self.steady = if lately { self.steady.or(Some(now)) } else { None };
        let found = if silent {
            Some(Demotion::Silence)
        } else if policy.loss > 0 && loss >= policy.loss {
            Some(Demotion::Loss(loss))
        } else if over(policy.delay) {
            Some(Demotion::Delay(rtt))
        } else if policy.damp && sight.flapping {
            Some(Demotion::Flapping)
        } else {
            None
        };
        let held = now.since(self.since) < policy.hold;
        match (self.demotion, found) {
            (None, Some(why)) => (self.demotion, self.since, self.steady) = (Some(why), now, None),
            (Some(is), Some(why)) if why.rank() >= is.rank() => {
                if why.rank() > is.rank() {
                    self.since = now;
                }
                self.demotion = Some(why);
            }
            (Some(_), _) if held => {}
            (Some(Demotion::Silence), _) if self.steady.is_none_or(|since| now.since(since) < policy.hold) => {}
            (Some(Demotion::Loss(_)), _) if loss > policy.loss / 2 => {}
            (Some(Demotion::Delay(_)), _) if over(policy.delay * 3 / 4) => {}
            (Some(_), other) => (self.demotion, self.since) = (other, now),
            (None, None) => {}
        }
    }
}

/// Added for each loss and demotion.
const PENALTY: u32 = 1000;
/// A link of so much is kept from carrying…
const TOO_MUCH: u32 = 3500;
/// … until it is down to this.
const ENOUGH: u32 = 1750;
/// A penalty halves in this time.
const HALF: Duration = Duration::from_secs(10);
/// Links that are remembered.
const REMEMBERED: usize = 256;

/// Which link it is, whatever its number: one that a stranger opened has another each time.
pub(crate) type Which = (NodeId, &'static str, u8);

/// How often links came and went of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damping(BTreeMap<Which, (u32, Time, bool)>);

impl Damping {
    /// A link was lost or demoted.
    pub(crate) fn punish(&mut self, now: Time, which: Which) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&which) {
            self.0.retain(|_, (penalty, at, _)| decayed(*penalty, now.since(*at)) > PENALTY / 4);
            if self.0.len() >= REMEMBERED {
                return;
            }
        }
        let (penalty, at, held) = self.0.entry(which).or_insert((0, now, false));
        *penalty = (decayed(*penalty, now.since(*at)) + PENALTY).min(4 * TOO_MUCH);
        *at = now;
        *held |= *penalty >= TOO_MUCH;
    }

    /// Whether a link is kept from carrying.
    pub(crate) fn holds(&mut self, now: Time, which: Which) -> bool {
        let Some((penalty, at, held)) = self.0.get_mut(&which) else { return false };
        *held &= decayed(*penalty, now.since(*at)) > ENOUGH;
        *held
    }
}

/// Halved for each [`HALF`], straight in between.
fn decayed(penalty: u32, time: Duration) -> u32 {
    let halves = (time.as_nanos() / HALF.as_nanos()).min(31) as u32;
    let rest = (time.as_nanos() % HALF.as_nanos()) as u64;
    let base = u64::from(penalty >> halves);
    (base - base * rest / (2 * HALF.as_nanos() as u64)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(n: u64) -> Time {
        Time::from_millis(n)
    }

    fn sight(heard: u64) -> Sight {
        Sight {
            active: true,
            choice: true,
            last_heard: ms(heard),
            rtt: Some(Duration::from_millis(1)),
            interval: Duration::from_millis(100),
            flapping: false,
            carried: Some(ms(heard)),
        }
    }

    /// Asked five times a second at the most and still found silent, soon after it was asked.
    #[test]
    fn a_link_without_frames_is_asked_seldom() {
        let policy = Policy { detect: Duration::from_millis(80), loss: 200, ..Policy::PLAIN };
        let mut watch = Watch::default();
        let idle = |heard| Sight { interval: Duration::from_millis(500), carried: None, ..sight(heard) };
        let (mut asked, mut heard) = (0, 0);
        for now in 0..10_000 {
            if watch.look(ms(now), &policy, idle(heard)).ask {
                (asked, heard) = (asked + 1, now);
                watch.answered(ms(now).as_nanos().max(1), Duration::from_micros(200));
                watch.heard();
            }
        }
        assert!(asked <= 50, "{asked}");
        assert_eq!(watch.demotion(), None);
        let cut = (10_000..).find(|&now| {
            watch.look(ms(now), &policy, idle(heard));
            watch.demotion().is_some()
        });
        assert!(cut.is_some_and(|now| now - heard < 250 + 80), "{cut:?}");
        assert_eq!(watch.demotion(), Some(Demotion::Silence));
    }

    /// Frames that begin to flow are noticed whenever it is looked.
    #[test]
    fn frames_end_the_ease() {
        let policy = Policy { detect: Duration::from_millis(80), ..Policy::PLAIN };
        let mut watch = Watch::default();
        let idle = Sight { interval: Duration::from_secs(60), carried: None, ..sight(0) };
        watch.look(ms(0), &policy, idle);
        assert_eq!(watch.timeout(), Some(ms(64)));
        watch.look(ms(10), &policy, Sight { carried: Some(ms(10)), ..idle });
        assert_eq!(watch.timeout(), Some(ms(26)));
    }

    #[test]
    fn a_link_is_asked_before_it_is_silent() {
        let policy = Policy { detect: Duration::from_millis(80), hold: Duration::from_millis(500), ..Policy::PLAIN };
        let mut watch = Watch::default();
        let mut asked = 0;
        for now in 0..=200 {
            let heard = now.min(100);
            if heard == now {
                watch.heard();
            }
            asked += u32::from(watch.look(ms(now), &policy, sight(heard)).ask);
            if now == 150 {
                assert_eq!(watch.demotion(), None);
            }
        }
        assert_eq!(watch.demotion(), Some(Demotion::Silence));
        assert!((3..12).contains(&asked), "{asked}");
        // Heard again: it is taken back after the hold, not before.
        for now in 201..1500 {
            watch.heard();
            watch.look(ms(now), &policy, Sight { active: false, ..sight(now) });
            assert_eq!(watch.demotion().is_some(), now < 701, "{now}");
        }
    }

    #[test]
    fn a_slow_answer_makes_it_patient() {
        let policy = Policy { detect: Duration::from_millis(40), ..Policy::PLAIN };
        let mut watch = Watch::default();
        watch.answered(0, Duration::from_millis(50));
        for now in 0..180 {
            watch.look(ms(now), &policy, sight(0));
        }
        assert_eq!(watch.demotion(), None);
        for now in 180..260 {
            watch.look(ms(now), &policy, sight(0));
        }
        assert_eq!(watch.demotion(), Some(Demotion::Silence));
    }

    #[test]
    fn a_node_that_slept_blames_nobody() {
        let policy = Policy { detect: Duration::from_millis(40), ..Policy::PLAIN };
        let mut watch = Watch::default();
        for now in [0, 10, 20, 5000, 5003] {
            watch.look(ms(now), &policy, sight(0));
            assert_eq!(watch.demotion(), None, "{now}");
        }
    }

    /// PROTOCOL 3.12.
    #[test]
    fn loss_and_delay_demote_with_hysteresis() {
        let policy = Policy { loss: 200, delay: Duration::from_millis(50), ..Policy::PLAIN };
        let mut watch = Watch::default();
        let mut run = |from: u64, to: u64, lose: u64, rtt: u64| {
            for now in from..to {
                let sight = Sight { rtt: Some(Duration::from_millis(rtt)), ..sight(now) };
                if watch.look(ms(now), &policy, sight).ask && (now / 25) % 10 >= lose {
                    watch.answered(ms(now).as_nanos().max(1), Duration::from_millis(rtt));
                }
            }
            watch.demotion()
        };
        assert_eq!(run(0, 2000, 0, 1), None);
        assert_eq!(run(2000, 4000, 1, 1), None, "one of ten is tolerated");
        assert!(matches!(run(4000, 6000, 3, 1), Some(Demotion::Loss(200..=400))));
        assert!(matches!(run(6000, 8000, 2, 1), Some(Demotion::Loss(_))));
        assert_eq!(run(8000, 10_000, 0, 1), None);
        assert!(matches!(run(10_000, 11_000, 0, 60), Some(Demotion::Delay(_))));
        assert!(matches!(run(11_000, 12_000, 0, 45), Some(Demotion::Delay(_))), "under the limit, but not enough");
        assert_eq!(run(12_000, 13_000, 0, 30), None);
    }

    /// What is lost once it is heard again counts: it goes on as lossy, not as good.
    #[test]
    fn a_silent_link_that_comes_back_lossy_stays_demoted() {
        let policy = Policy { detect: Duration::from_millis(80), loss: 200, hold: SECOND * 2, ..Policy::PLAIN };
        let (mut watch, mut heard) = (Watch::default(), 0);
        let mut run = |from: u64, to: u64, answers: &dyn Fn(u64) -> bool| {
            let (mut probes, mut silent_until) = (0, None);
            for now in from..to {
                let active = watch.demotion().is_none();
                let look = watch.look(ms(now), &policy, Sight { active, ..sight(heard) });
                if look.ask {
                    probes += 1;
                    if answers(probes) {
                        heard = now;
                        watch.heard();
                        watch.answered(ms(now).as_nanos().max(1), Duration::from_millis(1));
                    }
                }
                if watch.demotion() == Some(Demotion::Silence) {
                    silent_until = Some(now);
                }
            }
            (watch.demotion(), silent_until)
        };
        assert_eq!(run(0, 2000, &|_| true), (None, None));
        assert_eq!(run(2000, 3000, &|_| false).0, Some(Demotion::Silence));
        // Two of three are lost, and still it is heard in every interval.
        let (demotion, silent_until) = run(3000, 8000, &|n| n % 3 == 0);
        assert!(matches!(demotion, Some(Demotion::Loss(500..=800))), "{demotion:?}");
        assert!(silent_until.is_some_and(|now| (5000..5300).contains(&now)), "{silent_until:?}");
        assert_eq!(run(8000, 16_000, &|_| true).0, None);
    }

    #[test]
    fn penalties_halve_and_hold() {
        let which = (NodeId::new(1).unwrap(), "udp", 30);
        let mut damping = Damping::default();
        assert_eq!((decayed(1000, HALF), decayed(1000, HALF * 3), decayed(1000, HALF / 2)), (500, 125, 750));
        for n in 0..4 {
            assert!(!damping.holds(ms(n), which));
            damping.punish(ms(n), which);
        }
        assert!(damping.holds(ms(5), which) && damping.holds(ms(9_000), which));
        assert!(!damping.holds(ms(13_000), which));
        damping.punish(ms(60_000), which);
        assert!(!damping.holds(ms(60_000), which), "one loss is no flapping");
    }
}
