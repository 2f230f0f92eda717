//! Which parts of a side are in use.

use std::collections::BTreeMap;

/// Places begin at multiples of this, in bytes.
const GRAIN: u32 = 64;

/// A part of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it begins, in bytes.
    pub at: u32,
    /// Its length, in bytes.
    pub len: u32,
}

impl Place {
    /// The bytes of a place in a frame.
    pub const LEN: usize = 8;

    /// How it stands in a frame.
    pub fn to_bytes(self) -> [u8; Place::LEN] {
        (u64::from(self.at) | u64::from(self.len) << 32).to_le_bytes()
    }

    /// From a frame. Whether it is inside a side is not looked at.
    pub fn from_bytes(bytes: [u8; Place::LEN]) -> Place {
        let both = u64::from_le_bytes(bytes);
        Place { at: both as u32, len: (both >> 32) as u32 }
    }
}

/// The places of one side: first fit from the front, so that memory that was touched is used again.
#[derive(Debug)]
pub struct Places {
    /// By where they begin: how long they are.
    free: BTreeMap<u32, u32>,
    used: BTreeMap<u32, u32>,
}

impl Places {
    /// Of a side of so many bytes.
    pub fn new(size: usize) -> Places {
        let size = u32::try_from(size).unwrap_or(u32::MAX) / GRAIN * GRAIN;
        Places { free: BTreeMap::from([(0, size)]), used: BTreeMap::new() }
    }

    /// Takes a place of `len` bytes. `None`: there is none.
    pub fn take(&mut self, len: usize) -> Option<Place> {
        let len = u32::try_from(len).ok()?;
        let whole = len.max(1).checked_next_multiple_of(GRAIN)?;
        let (&at, &room) = self.free.iter().find(|(_, room)| **room >= whole)?;
        self.free.remove(&at);
        if room > whole {
            self.free.insert(at + whole, room - whole);
        }
        self.used.insert(at, whole);
        Some(Place { at, len })
    }

    /// Takes back the place that begins there; `false`: none does.
    pub fn give(&mut self, at: u32) -> bool {
        let Some(mut len) = self.used.remove(&at) else { return false };
        let mut start = at;
        if let Some(more) = self.free.remove(&(at + len)) {
            len += more;
        }
        if let Some((&before, &room)) = self.free.range(..at).next_back()
            && before + room == at
        {
            (start, len) = (before, len + room);
        }
        self.free.insert(start, len);
        true
    }

    /// How many are in use.
    pub fn used(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_side_is_used_to_its_end_and_from_its_front() {
        let mut places = Places::new(256);
        let all = [100, 1, 64].map(|len| places.take(len).unwrap());
        assert_eq!(all.map(|place| (place.at, place.len)), [(0, 100), (128, 1), (192, 64)]);
        assert_eq!((places.take(1), places.used()), (None, 3));
        assert!(places.give(128) && !places.give(128) && !places.give(1) && !places.give(u32::MAX));
        assert_eq!(places.take(65), None);
        assert!(places.give(0));
        assert_eq!(places.take(192), Some(Place { at: 0, len: 192 }));
        assert_eq!((places.take(usize::MAX), places.take(u32::MAX as usize)), (None, None));
    }

    #[test]
    fn a_place_stands_in_a_frame() {
        let place = Place { at: 0x0102_0304, len: 0x0a0b_0c0d };
        assert_eq!(place.to_bytes(), [4, 3, 2, 1, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(Place::from_bytes(place.to_bytes()), place);
    }

    proptest! {
        #[test]
        fn places_never_overlap_and_all_of_it_comes_back(steps in prop::collection::vec((any::<bool>(), 0usize..5000), 1..200)) {
            let (mut places, mut held) = (Places::new(16 << 10), Vec::<Place>::new());
            for (takes, n) in steps {
                if takes {
                    let Some(place) = places.take(n) else { continue };
                    let end = |p: &Place| p.at + p.len.max(1);
                    prop_assert!(end(&place) <= 16 << 10);
                    prop_assert!(held.iter().all(|other| end(other) <= place.at || end(&place) <= other.at));
                    held.push(place);
                } else if !held.is_empty() {
                    let place = held.swap_remove(n % held.len());
                    prop_assert!(places.give(place.at));
                }
            }
            prop_assert_eq!(places.used(), held.len());
            for place in held {
                prop_assert!(places.give(place.at));
            }
            prop_assert!(places.take(16 << 10).is_some());
        }
    }
}
