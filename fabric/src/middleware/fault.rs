//! Things that go wrong, on purpose and by seed.

use super::staging::{Staging, refusal};
use crate::{Batch, Carrier, Channel, Message, SendError, Slot, View};
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What always happens, as a chance.
pub const PER_MILLION: u32 = 1_000_000;

/// Messages that may wait in a carrier; more are lost and counted.
const WAITING_MOST: usize = 4096;

/// Time since any fixed moment.
pub type Time = Box<dyn FnMut() -> Duration + Send>;

/// What goes wrong with messages that are sent. Chances are in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Lost.
    pub drop: u32,
    /// Sent twice.
    pub duplicate: u32,
    /// Sent after the one that follows.
    pub reorder: u32,
    /// Cut to a random shorter length.
    pub truncate: u32,
    /// Sent later by this much.
    pub delay: Duration,
    /// Sent later by a random time up to this, beside `delay`. Later ones may overtake.
    pub jitter: Duration,
    /// Nothing passes, either way.
    pub cut: bool,
}

/// What went wrong so far. `taken + duplicated = passed + dropped + cut + overflowed + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Messages the caller gave.
    pub taken: u64,
    /// Messages the carrier inside took.
    pub passed: u64,
    /// Lost by chance, or because the carrier inside does not know the channel any more.
    pub dropped: u64,
    /// Made twice.
    pub duplicated: u64,
    /// Held back behind the next.
    pub reordered: u64,
    /// Sent later.
    pub delayed: u64,
    /// Made shorter.
    pub truncated: u64,
    /// Lost while cut, outgoing.
    pub cut: u64,
    /// Lost while cut, incoming.
    pub cut_in: u64,
    /// Lost because too many waited.
    pub overflowed: u64,
    /// Held back or late now.
    pub waiting: u64,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Faults,
    counts: FaultCounts,
}

/// Sets faults and reads counts from another thread.
#[derive(Clone, Debug, Default)]
pub struct FaultControl(Arc<Mutex<Shared>>);

impl FaultControl {
    /// From the next message on.
    pub fn set(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// What is set.
    pub fn faults(&self) -> Faults {
        self.lock().faults
    }

    /// What happened.
    pub fn counts(&self) -> FaultCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting {
    channel: Channel,
    bytes: Vec<u8>,
    due: Duration,
    /// Goes as soon as another message of the channel has gone.
    held: bool,
}

/// Loses, doubles, swaps, delays, cuts. Without faults it passes everything on untouched.
pub struct Fault<C> {
    inner: C,
    control: FaultControl,
    random: u64,
    time: Time,
    waiting: VecDeque<Waiting>,
    staging: Staging,
    /// What was reserved lies in `staging`, not in the carrier.
    staged: bool,
}

impl<C: Carrier> Fault<C> {
    /// A carrier without faults, until some are set. The same seed and the same calls give the same faults.
    pub fn new(inner: C, seed: u64, time: Time) -> Fault<C> {
        let control = FaultControl::default();
        let staging = Staging::default();
        Fault { inner, control, random: seed, time, waiting: VecDeque::new(), staging, staged: false }
    }

    /// A handle to set faults with.
    pub fn control(&self) -> FaultControl {
        self.control.clone()
    }

    /// When the next late message is due; the caller should flush then.
    pub fn due(&self) -> Option<Duration> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// The carrier inside.
    pub fn inner(&mut self) -> &mut C {
        &mut self.inner
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, millionths: u32) -> bool {
        millionths > 0 && self.random() % u64::from(PER_MILLION) < u64::from(millionths)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.control.faults() == Faults::default()
    }

    /// Decides what happens to one message, which the channel would take.
    fn meddle(&mut self, channel: Channel, message: &Message<'_>) -> Result<(), SendError> {
        let faults = self.control.faults();
        let mut told = self.control.counts();
        told.taken += 1;
        if faults.cut {
            told.cut += 1;
        } else if self.chance(faults.drop) {
            told.dropped += 1;
        } else {
            let mut bytes = Vec::with_capacity(message.len());
            for part in message.parts {
                let at = bytes.len();
                bytes.resize(at + part.len(), 0);
                part.copy_to(0, bytes.get_mut(at..).unwrap_or_default());
            }
            if !bytes.is_empty() && self.chance(faults.truncate) {
                told.truncated += 1;
                let shorter = self.random() % bytes.len() as u64;
                bytes.truncate(shorter as usize);
            }
            let copies = if self.chance(faults.duplicate) { 2 } else { 1 };
            told.duplicated += copies - 1;
            let jitter = match faults.jitter.as_nanos() as u64 {
                0 => Duration::ZERO,
                most => Duration::from_nanos(self.random() % (most + 1)),
            };
            let late = faults.delay + jitter;
            let now = (self.time)();
            let held = late.is_zero() && self.chance(faults.reorder);
            told.reordered += u64::from(held);
            told.delayed += u64::from(!late.is_zero());
            for _ in 0..copies {
                if self.waiting.len() >= WAITING_MOST {
                    told.overflowed += 1;
                } else {
                    self.waiting.push_back(Waiting { channel, bytes: bytes.clone(), due: now + late, held });
                }
            }
        }
        self.control.lock().counts = told;
        self.pump(false);
        Ok(())
    }

    /// Sends what is due, in order of time; what was held back goes after another of its channel, or with `all`.
    fn pump(&mut self, all: bool) {
        let now = if self.waiting.is_empty() { Duration::ZERO } else { (self.time)() };
        let (mut passed, mut dropped) = (0, 0);
        let mut full: Vec<Channel> = Vec::new();
        loop {
            let ready = |waiting: &&(usize, &Waiting)| {
                waiting.1.due <= now && (all || !waiting.1.held) && !full.contains(&waiting.1.channel)
            };
            let next = self.waiting.iter().enumerate().filter(|entry| ready(&entry)).min_by_key(|entry| entry.1.due);
            let Some((index, channel)) = next.map(|(index, waiting)| (index, waiting.channel)) else { break };
            let Some(waiting) = self.waiting.get(index) else { break };
            let parts = [View::from(&waiting.bytes[..])];
            match self.inner.send(channel, &[Message { parts: &parts }]).1 {
                Ok(()) => passed += 1,
                Err(SendError::Full) => {
                    full.push(channel);
                    continue;
                }
                Err(_) => dropped += 1,
            }
            let held = self.waiting.remove(index).is_some_and(|sent| sent.held);
            if !held {
                self.waiting.iter_mut().filter(|other| other.channel == channel).for_each(|other| other.held = false);
            }
        }
        let mut shared = self.control.lock();
        shared.counts.passed += passed;
        shared.counts.dropped += dropped;
        shared.counts.waiting = self.waiting.len() as u64;
    }
}

impl<C: Carrier> Carrier for Fault<C> {
    super::pass::pass_on!();

    fn detach(&mut self, channel: Channel) {
        self.inner.detach(channel);
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.channel != channel);
        let mut shared = self.control.lock();
        shared.counts.dropped += (before - self.waiting.len()) as u64;
        shared.counts.waiting = self.waiting.len() as u64;
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        self.staged = !self.is_idle();
        if !self.staged {
            return self.inner.reserve(channel, most);
        }
        match self.inner.limits(channel) {
            Some(limits) if limits.in_place && most <= limits.message => self.staging.offer(channel, most),
            _ => Err(refusal(&self.inner, channel)),
        }
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        if !self.staged {
            self.inner.commit(channel, used)?;
            let mut shared = self.control.lock();
            shared.counts.taken += 1;
            shared.counts.passed += 1;
            return Ok(());
        }
        let mut staging = std::mem::take(&mut self.staging);
        let sent = staging.commit(&self.inner, channel, used).and_then(|bytes| {
            let parts = [View::from(bytes)];
            self.meddle(channel, &Message { parts: &parts })
        });
        self.staging = staging;
        sent
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        self.staging.forget();
        if self.is_idle() {
            let sent = self.inner.send(channel, messages);
            let mut shared = self.control.lock();
            shared.counts.taken += sent.0 as u64;
            shared.counts.passed += sent.0 as u64;
            return sent;
        }
        for (count, message) in messages.iter().enumerate() {
            let taken = match self.inner.limits(channel) {
                None => Err(SendError::NotOpen),
                Some(limits) if message.len() > limits.message => Err(SendError::TooLong(limits.message)),
                Some(_) => self.meddle(channel, message),
            };
            if taken.is_err() {
                return (count, taken);
            }
        }
        (messages.len(), Ok(()))
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        if !self.is_idle() {
            return self.send(channel, &[message]).1;
        }
        self.staging.forget();
        self.inner.send_urgent(channel, message)?;
        let mut shared = self.control.lock();
        shared.counts.taken += 1;
        shared.counts.passed += 1;
        Ok(())
    }

    fn flush(&mut self) {
        self.staging.forget();
        self.pump(false);
        self.inner.flush();
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.pump(false);
            self.inner.flush();
        }
        if !self.control.faults().cut {
            return self.inner.receive(batch);
        }
        let mut lost = Batch::new();
        self.inner.receive(&mut lost)?;
        self.control.lock().counts.cut_in += lost.len() as u64;
        Ok(())
    }

    fn arm(&mut self) -> bool {
        if !self.waiting.is_empty() {
            // Nothing follows for now: what was held back need not wait longer.
            self.pump(true);
            self.inner.flush();
        }
        // Nobody rings when a late message is due.
        self.waiting.is_empty() && self.inner.arm()
    }
}
