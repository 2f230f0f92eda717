//! Cuts a frame into slices: pieces that mean nothing alone.

use crate::{Completion, HEAD_MAX, Part};
use core::ops::Range;
use messenger_core::wire::{Flags, Header, Slice};

/// Gives the slices of one frame, in order.
#[derive(Clone, Debug)]
pub struct Slicer {
    /// When set, the bytes of the frame must be in private memory, and [`crate::complete_checksum`] done on all of them,
    /// before the first slice is sent. The offsets are the frame's.
    pub complete: Option<Completion>,
    header: Header,
    payload: Range<usize>,
    at: usize,
    room: usize,
    run: u16,
}

impl Slicer {
    /// `None` when a message has no room, or there would be too many slices.
    pub(crate) fn new(
        header: Header,
        payload: Range<usize>,
        message: usize,
        run: u16,
        complete: Option<Completion>,
    ) -> Option<Slicer> {
        let room = message.checked_sub(Slice::HEADER_LEN).filter(|room| *room > 0)?;
        u32::try_from(payload.len()).ok()?;
        if payload.len().div_ceil(room) > crate::reassembly::SLICES_MAX {
            return None;
        }
        Some(Slicer { complete, header, at: payload.start, payload, room, run })
    }

    /// The next slice; its head is written into `head`.
    pub fn next(&mut self, head: &mut [u8; HEAD_MAX]) -> Option<Part> {
        if self.at >= self.payload.end {
            return None;
        }
        let done = self.at - self.payload.start;
        let slice = Slice {
            run: self.run,
            part: u16::try_from(done / self.room).ok()?,
            total: u32::try_from(self.payload.len()).ok()?,
        };
        let end = self.payload.end.min(self.at + self.room);
        emit(self.header, slice, end < self.payload.end, head)?;
        let payload = self.at..end;
        self.at = end;
        Some(Part { head_len: Slice::HEADER_LEN, payload, complete: None })
    }
}

/// Writes header and slice extension.
pub(crate) fn emit(header: Header, slice: Slice, more: bool, head: &mut [u8]) -> Option<()> {
    let mut flags = header.flags.with(Flags::SLICE).without(Flags::FIRST).without(Flags::MORE);
    if slice.part == 0 {
        flags = flags.with(Flags::FIRST);
    }
    if more {
        flags = flags.with(Flags::MORE);
    }
    Header { len: Slice::HEADER_LEN as u8, flags, ..header }.emit(head).ok()?;
    slice.emit(head).ok()
}
