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

#[cfg(test)]
mod tests {
    use super::*;
    use messenger_core::NodeId;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn header(source: u32, more: bool) -> Header {
        let node = |n| NodeId::new(n).unwrap();
        let header = Header::frame(node(source), node(2), 5);
        let flags = header.flags.with(Flags::SLICE);
        Header { flags: if more { flags.with(Flags::MORE) } else { flags }, ..header }
    }

    /// Frames of `run`: `total` bytes, each of value `run`, in slices of `size`.
    struct Sender {
        source: u32,
        total: usize,
        size: usize,
    }

    impl Sender {
        fn send(&self, r: &mut Reassembly, now: Time, run: u16, part: usize) -> Result<Option<Vec<u8>>, Reason> {
            let start = part * self.size;
            let len = self.size.min(self.total - start);
            let slice = Slice { run, part: part as u16, total: self.total as u32 };
            r.place(now, &header(self.source, start + len < self.total), slice, len)?.fill(run as u8);
            Ok(r.finish().map(|b| b.to_vec()))
        }
    }

    const ONE: Sender = Sender { source: 1, total: 1000, size: 300 };

    #[test]
    fn slices_in_any_order_make_the_frame() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut r = Reassembly::new(1, 1000);
            for (i, part) in order.into_iter().enumerate() {
                let whole = ONE.send(&mut r, Time::ZERO, 9, part).unwrap();
                assert_eq!(whole, (i == 3).then(|| vec![9; 1000]));
            }
            assert_eq!(r.lost(), 0);
        }
    }

    #[test]
    fn a_slice_twice_is_refused_and_harms_nothing() {
        let mut r = Reassembly::new(1, 1000);
        for part in 0..3 {
            ONE.send(&mut r, Time::ZERO, 9, part).unwrap();
            assert_eq!(ONE.send(&mut r, Time::ZERO, 9, part), Err(Reason::Slices));
        }
        assert_eq!(ONE.send(&mut r, Time::ZERO, 9, 3).unwrap(), Some(vec![9; 1000]));
    }

    #[test]
    fn frames_at_hand_are_bounded_and_the_oldest_goes() {
        let mut r = Reassembly::new(2, 1000);
        for run in 0..3 {
            ONE.send(&mut r, Time::ZERO, run, 0).unwrap();
        }
        assert_eq!(r.lost(), 1);
        for part in 1..4 {
            let whole = [1, 2].map(|run| ONE.send(&mut r, Time::ZERO, run, part).unwrap());
            assert_eq!(whole.iter().flatten().count(), if part == 3 { 2 } else { 0 });
        }
    }

    #[test]
    fn senders_do_not_meet() {
        let other = Sender { source: 7, ..ONE };
        let mut r = Reassembly::new(2, 1000);
        for part in 0..4 {
            let a = ONE.send(&mut r, Time::ZERO, 9, part).unwrap();
            let b = other.send(&mut r, Time::ZERO, 9, part).unwrap();
            assert_eq!((a.is_some(), b.is_some()), (part == 3, part == 3));
        }
    }

    /// A frame that lost a slice must never be completed by a later one that has its number.
    #[test]
    fn a_number_used_again_never_meets_an_old_frame() {
        for (now, between) in [(Time::from_millis(1500), 0), (Time::ZERO, 64)] {
            let mut r = Reassembly::new(2, 1000);
            for part in [0, 1, 3] {
                ONE.send(&mut r, Time::ZERO, 9, part).unwrap();
            }
            for run in 0..between {
                // Whole frames of one slice: they always take the other place.
                Sender { size: 1000, ..ONE }.send(&mut r, now, 100 + run, 0).unwrap().unwrap();
            }
            for part in 0..4 {
                let whole = ONE.send(&mut r, now, 9, part).unwrap();
                assert_eq!(whole.is_some(), part == 3);
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut r = Reassembly::new(2, 1000);
        let mut place = |more, part, total, len| {
            r.place(Time::ZERO, &header(1, more), Slice { run: part, part, total }, len).map(|b| b.len())
        };
        assert_eq!(place(true, 0, 1001, 300), Err(Reason::Slices), "larger than agreed");
        assert_eq!(place(true, 0, u32::MAX, 300), Err(Reason::Slices));
        assert_eq!(place(true, 0, 300, 300), Err(Reason::Slices), "more to come, and nothing left");
        assert_eq!(place(false, 0, 300, 200), Err(Reason::Slices), "the last, and something left");
        assert_eq!(place(true, 3, 1000, 400), Err(Reason::Slices), "behind the end");
        assert_eq!(place(false, 3, 1000, 0), Err(Reason::Slices));
        assert_eq!(place(true, 0, 1000, 1), Err(Reason::Slices), "too many slices");
        assert_eq!(place(false, 0, 300, 300), Ok(300));
    }

    proptest! {
        #[test]
        fn any_numbers_are_an_answer(
            slices in proptest::collection::vec((any::<bool>(), 0u16..6, 0u16..40, 0u32..1200, 0usize..1200), 0..200),
        ) {
            let mut r = Reassembly::new(2, 1000);
            for (more, run, part, total, len) in slices {
                if let Ok(place) = r.place(Time::ZERO, &header(1, more), Slice { run, part, total }, len) {
                    prop_assert_eq!(place.len(), len);
                    if let Some(whole) = r.finish() {
                        prop_assert_eq!(whole.len(), total as usize);
                    }
                }
            }
        }
    }
}
