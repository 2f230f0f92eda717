//! The memory that I/O processors share with each other, without their host: a ring from each to each.
//!
//! All words are u32, little-endian. Whoever is on the memory can read and write all of it, as on a real bus.
//!
//! | offset | word | written by | is |
//! | --- | --- | --- | --- |
//! | 0 | magic | manager | `MNET`, `IBUS` (two words) |
//! | 8 | versions | manager | lowest version in the low half, highest in the high half |
//! | 12 | slots | manager | how many processors there may be |
//! | 16 | ring | manager | bytes of memory of each ring, a multiple of 4096 |
//! | 1024 | lives | who writes the ring | for each ring two words: the lives of who writes and who reads that it was offered for |
//! | 4096 | rings | both | from slot *i* to slot *j*: number *i* × slots + *j* |
//!
//! A ring is offered once for a pair of lives, and joined only when its lives are the present ones of both ends: what a dead
//! life left is never taken for a ring. Nobody waits for anybody: an end that is not there yet is looked for again.

use crate::{
    board::{BoardError, PAGE, Page, Place},
    table::ENTRIES_MOST,
};

/// First words of the memory.
pub const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"MNET"), u32::from_le_bytes(*b"IBUS")];
/// Version of the layout that this code reads and writes.
pub const VERSION: u16 = 1;
/// Bytes in the data area of each ring.
pub const RING: usize = 128 << 10;

const VERSIONS_AT: usize = 8;
const SLOTS_AT: usize = 12;
const RING_AT: usize = 16;
const LIVES_AT: usize = 1024;

const _: () = assert!(LIVES_AT + 8 * ENTRIES_MOST * ENTRIES_MOST <= PAGE);

/// Where the rings lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: usize,
    ring: usize,
}

/// One ring's way: from a slot to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Who writes it.
    pub from: u8,
    /// Who reads it.
    pub to: u8,
}

impl Way {
    /// The ring of the other direction.
    #[must_use]
    pub const fn back(self) -> Way {
        Way { from: self.to, to: self.from }
    }
}

impl Layout {
    /// For as many processors as a table has entries.
    pub const fn new() -> Layout {
        Layout { slots: ENTRIES_MOST, ring: PAGE + RING }
    }

    /// Bytes of memory that it needs: a power of two, as PCI wants it.
    pub const fn memory(&self) -> usize {
        (PAGE + self.slots * self.slots * self.ring).next_power_of_two()
    }

    /// The manager's part: writes the first page. Before anybody is told of the memory.
    pub fn write(&self, page: &impl Page) {
        page.write(VERSIONS_AT, u32::from(VERSION) | u32::from(VERSION) << 16);
        page.write(SLOTS_AT, self.slots as u32);
        page.write(RING_AT, self.ring as u32);
        page.write(0, MAGIC[0]);
        page.write(4, MAGIC[1]);
    }

    /// A processor's part: reads the first page of so many bytes.
    pub fn read(page: &impl Page, memory: usize) -> Result<Layout, BoardError> {
        if [page.read(0), page.read(4)] != MAGIC {
            return Err(BoardError::Magic);
        }
        let versions = page.read(VERSIONS_AT);
        if !(versions as u16..=(versions >> 16) as u16).contains(&VERSION) {
            return Err(BoardError::Version);
        }
        let (slots, ring) = (page.read(SLOTS_AT) as usize, page.read(RING_AT) as usize);
        let rings = slots.checked_mul(slots).and_then(|n| n.checked_mul(ring)).and_then(|n| n.checked_add(PAGE));
        let right = (1..=ENTRIES_MOST).contains(&slots) && ring > PAGE && ring.is_multiple_of(PAGE);
        match rings {
            Some(end) if right && end <= memory => Ok(Layout { slots, ring }),
            _ => Err(BoardError::Rings),
        }
    }

    /// Where a ring lies; `None` for a way that is none.
    pub fn place(&self, way: Way) -> Option<Place> {
        let number = self.number(way)?;
        Some(Place { at: PAGE + number * self.ring, len: self.ring })
    }

    /// Says for which lives a ring is offered: its writer's, then its reader's.
    pub fn set_lives(&self, page: &impl Page, way: Way, lives: [u32; 2]) {
        let Some(number) = self.number(way) else { return };
        for (n, life) in lives.into_iter().enumerate() {
            page.write(LIVES_AT + 8 * number + 4 * n, life);
        }
    }

    /// For which lives a ring was offered.
    pub fn lives(&self, page: &impl Page, way: Way) -> [u32; 2] {
        self.number(way).map_or([0; 2], |number| [0, 4].map(|at| page.read(LIVES_AT + 8 * number + at)))
    }

    fn number(&self, way: Way) -> Option<usize> {
        let (from, to) = (usize::from(way.from), usize::from(way.to));
        (from < self.slots && to < self.slots && from != to).then_some(from * self.slots + to)
    }
}

impl Default for Layout {
    fn default() -> Layout {
        Layout::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::Sheet;
    use std::collections::BTreeSet;

    /// PROTOCOL 9.7.
    #[test]
    fn every_ring_has_a_place_of_its_own() {
        let layout = Layout::new();
        let sheet = Sheet::new(0);
        layout.write(&sheet);
        assert_eq!(Layout::read(&sheet, layout.memory()), Ok(layout));
        assert_eq!(Layout::read(&sheet, layout.memory() / 2), Err(BoardError::Rings));
        let mut places = BTreeSet::new();
        for (from, to) in (0..20).flat_map(|from| (0..20).map(move |to| (from, to))) {
            let way = Way { from, to };
            let place = layout.place(way);
            assert_eq!(place.is_some(), from < 16 && to < 16 && from != to);
            let Some(place) = place else { continue };
            assert!(place.at >= PAGE && place.at + place.len <= layout.memory() && places.insert(place.at));
            layout.set_lives(&sheet, way, [u32::from(from) + 1, u32::from(to) + 1]);
        }
        for (from, to) in (0..16).flat_map(|from| (0..16).map(move |to| (from, to))) {
            let lives = if from == to { [0, 0] } else { [u32::from(from) + 1, u32::from(to) + 1] };
            assert_eq!(layout.lives(&sheet, Way { from, to }), lives);
        }
        assert_eq!(Layout::read(&sheet, layout.memory()), Ok(layout), "lives are no header");
    }

    #[test]
    fn garbage_is_no_bus() {
        let layout = Layout::new();
        let with = |at: usize, word| {
            let sheet = Sheet::new(0);
            layout.write(&sheet);
            sheet.write(at, word);
            Layout::read(&sheet, layout.memory()).unwrap_err()
        };
        assert_eq!(with(4, 0), BoardError::Magic);
        assert_eq!(with(VERSIONS_AT, 0), BoardError::Version);
        for (at, word) in [(SLOTS_AT, 0), (SLOTS_AT, 17), (SLOTS_AT, u32::MAX), (RING_AT, 0), (RING_AT, PAGE as u32)] {
            assert_eq!(with(at, word), BoardError::Rings, "{at} {word}");
        }
        for word in [PAGE as u32 + RING as u32 + 4, u32::MAX, 1 << 24] {
            assert_eq!(with(RING_AT, word), BoardError::Rings, "{word}");
        }
    }
}
