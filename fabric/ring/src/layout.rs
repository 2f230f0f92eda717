//! The bytes of a ring, once.
//!
//! All words are u32, little-endian. The producer writes the identity line and `tail`; the consumer writes `head`.
//!
//! | offset | word | written by | is |
//! | --- | --- | --- | --- |
//! | 0 | magic | producer | `MNET`, `RING` (two words) |
//! | 8 | versions | producer | lowest version in the low half, highest in the high half |
//! | 12 | data at | producer | where the data area starts, in bytes |
//! | 16 | size | producer | bytes in the data area, a power of two |
//! | 20 | generation | producer | one more at each offer |
//! | 24 | state | both | see [`crate::State`] |
//! | 128 | tail | producer | position after the last published record |
//! | 256 | head | consumer | position after the last released record |
//! | 384 | consumer sleeps | both | not 0: ring the consumer after publishing |
//! | 512 | producer sleeps | both | not 0: ring the producer after releasing |
//! | 4096 | data | producer | records |
//!
//! Positions count bytes, are multiples of [`UNIT`] and wrap at 2^32. A record starts at a multiple of [`UNIT`]: its
//! length, its mark, then the bytes. A mark holds the record's own position, so that a stale or torn header is seen. A
//! skip says that the rest of the area up to its end is not used; a record at the start always follows it.

use crate::atomic::Word;

/// First word of the magic.
pub const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"MNET"), u32::from_le_bytes(*b"RING")];
/// Lowest version this code reads.
pub const VERSION_LOW: u16 = 1;
/// Highest version this code reads, and the one it writes.
pub const VERSION_HIGH: u16 = 1;
/// Where the data area starts.
pub const DATA_AT: usize = 4096;
/// Records start at multiples of this: a cache line.
pub const UNIT: usize = 64;
/// In front of each record: its length and its mark.
pub const RECORD_HEADER: usize = 8;
/// Smallest data area.
pub const SIZE_LEAST: usize = 2 * UNIT;
/// Largest data area.
pub const SIZE_MOST: usize = 1 << 30;
/// A good data area for frames.
pub const SIZE_DEFAULT: usize = 1 << 20;

/// Words that the two ends write must not share a cache line, nor a pair of them that is fetched together.
#[repr(C, align(128))]
pub(crate) struct Line(pub(crate) Word);

/// What the ring is, written once an offer.
#[repr(C, align(128))]
pub(crate) struct Identity {
    pub(crate) magic: [Word; 2],
    pub(crate) versions: Word,
    pub(crate) data_at: Word,
    pub(crate) size: Word,
    pub(crate) generation: Word,
    pub(crate) state: Word,
}

/// The header page.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) tail: Line,
    pub(crate) head: Line,
    pub(crate) consumer_sleeps: Line,
    pub(crate) producer_sleeps: Line,
}

const _: () = {
    assert!(size_of::<Header>() <= DATA_AT);
    assert!(DATA_AT.is_multiple_of(UNIT) && UNIT.is_power_of_two() && RECORD_HEADER < UNIT);
    assert!(SIZE_LEAST.is_power_of_two() && SIZE_MOST.is_power_of_two() && SIZE_MOST <= (u32::MAX / 2) as usize);
};

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Word>() == 4 && align_of::<Header>() == 128);
    assert!(offset_of!(Header, identity) == 0);
    assert!(offset_of!(Identity, magic) == 0 && offset_of!(Identity, versions) == 8);
    assert!(offset_of!(Identity, data_at) == 12 && offset_of!(Identity, size) == 16);
    assert!(offset_of!(Identity, generation) == 20 && offset_of!(Identity, state) == 24);
    assert!(offset_of!(Header, tail) == 128 && offset_of!(Header, head) == 256);
    assert!(offset_of!(Header, consumer_sleeps) == 384 && offset_of!(Header, producer_sleeps) == 512);
    assert!(size_of::<Header>() == 640);
};

/// Memory that a ring with a data area of `size` bytes takes.
pub const fn memory_len(size: usize) -> usize {
    DATA_AT + size
}

/// The longest record in a data area of `size` bytes: two always fit, so a skip can never block a record for ever.
pub const fn record_most(size: usize) -> usize {
    size / 2 - RECORD_HEADER
}

/// Whether a data area may have this size.
pub const fn size_is_valid(size: usize) -> bool {
    size.is_power_of_two() && size >= SIZE_LEAST && size <= SIZE_MOST
}

/// What kind of record a mark marks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Record = 1,
    Skip = 2,
}

/// The mark of a record of this kind at this position.
pub(crate) const fn mark(kind: Kind, position: u32) -> u32 {
    0xA000_0000 | (position / UNIT as u32) << 2 | kind as u32
}

/// Bytes that a record of `len` bytes takes with its header. Callers have checked `len` against [`record_most`].
pub(crate) const fn taken(len: u32) -> u32 {
    (RECORD_HEADER as u32 + len).next_multiple_of(UNIT as u32)
}
