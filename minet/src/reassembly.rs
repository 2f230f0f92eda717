//! Puts frames together again that came in slices.

use crate::Reason;
use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;
use messenger_core::{
    Time,
    wire::{Flags, Header, Slice},
};

/// How many slices one frame has at most.
pub(crate) const SLICES_MAX: usize = 512;

/// A bounded number of frames at hand from one peer. All memory is taken at the start.
#[derive(Clone, Debug)]
pub struct Reassembly {
    slots: Vec<Slot>,
    started: u64,
    at: usize,
    lost: u64,
}

/// Whose frame it is: source node, segment, run.
type Key = (u32, u32, u16);

#[derive(Clone, Debug)]
struct Slot {
    bytes: Box<[u8]>,
    job: Option<Job>,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    key: Key,
    total: usize,
    size: usize,
    have: [u64; SLICES_MAX / 64],
    missing: usize,
    started: u64,
    last: Time,
}

impl Reassembly {
    /// How many frames at hand suit one peer.
    pub const FRAMES: usize = 4;
    /// A frame is given up when so many others have begun after it...
    const WINDOW: u64 = 64;
    /// ...or nothing came for so long.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Room for `frames` frames (at least one) of `largest` bytes each, virtio-net header counted.
    pub fn new(frames: usize, largest: usize) -> Reassembly {
        let slot = Slot { bytes: vec![0; largest].into_boxed_slice(), job: None };
        Reassembly { slots: vec![slot; frames.max(1)], started: 0, at: 0, lost: 0 }
    }

    /// Frames given up because slices of them did not come.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Where the `len` bytes behind `header` and `slice` belong. The caller copies them there at once, and asks
    /// [`Reassembly::finish`]. [`Reason::Slices`] for one that was there before, fits nothing, or is too much.
    pub fn place(&mut self, now: Time, header: &Header, slice: Slice, len: usize) -> Result<&mut [u8], Reason> {
        let (total, part) = (slice.total as usize, usize::from(slice.part));
        let largest = self.slots.first().map_or(0, |s| s.bytes.len());
        let rest = total.checked_sub(len).filter(|_| len > 0 && total <= largest).ok_or(Reason::Slices)?;
        let size = match (header.flags.has(Flags::MORE), part) {
            (true, _) | (false, 0) => len,
            (false, _) => rest / part,
        };
        let offset = part * size;
        let last = !header.flags.has(Flags::MORE);
        let fits = if last { offset == rest && len <= size } else { offset < rest };
        if !fits || total.div_ceil(size) > SLICES_MAX {
            return Err(Reason::Slices);
        }
        let key = (header.source, header.port, slice.run);
        let at = match self.slots.iter().position(|s| s.job.is_some_and(|j| self.lives(now, &j) && j.key == key)) {
            Some(at) => at,
            None => self.begin(now, key, total, size)?,
        };
        self.at = at;
        let slot = self.slots.get_mut(at).ok_or(Reason::Slices)?;
        let job = slot.job.as_mut().filter(|j| j.total == total && j.size == size).ok_or(Reason::Slices)?;
        let word = job.have.get_mut(part / 64).ok_or(Reason::Slices)?;
        if *word >> (part % 64) & 1 != 0 {
            return Err(Reason::Slices);
        }
        let place = slot.bytes.get_mut(offset..offset + len).ok_or(Reason::Slices)?;
        *word |= 1 << (part % 64);
        job.missing -= 1;
        job.last = now;
        Ok(place)
    }

    /// The whole frame, when the slice just placed was the last missing one. To be used before the next is placed.
    pub fn finish(&mut self) -> Option<&mut [u8]> {
        let slot = self.slots.get_mut(self.at)?;
        let job = slot.job.filter(|j| j.missing == 0)?;
        slot.job = None;
        slot.bytes.get_mut(..job.total)
    }

    fn lives(&self, now: Time, job: &Job) -> bool {
        self.started - job.started < Self::WINDOW && now.since(job.last) < Self::PATIENCE
    }

    fn begin(&mut self, now: Time, key: Key, total: usize, size: usize) -> Result<usize, Reason> {
        let oldest = |slot: &Slot| slot.job.map_or(0, |j| j.started);
        let at = (0..self.slots.len()).min_by_key(|at| self.slots.get(*at).map_or(0, oldest)).ok_or(Reason::Slices)?;
        self.started += 1;
        let slot = self.slots.get_mut(at).ok_or(Reason::Slices)?;
        if slot.job.is_some() {
            self.lost += 1;
        }
        slot.job = Some(Job {
            key,
            total,
            size,
            have: [0; SLICES_MAX / 64],
            missing: total.div_ceil(size),
            started: self.started,
            last: now,
        });
        Ok(at)
    }
}
