//! Objects by place and generation: a handle goes stale with its object and never meets another one.

use alloc::{collections::VecDeque, vec::Vec};

/// The handle of a table's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Key {
    pub(crate) const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    pub(crate) const fn from_u64(n: u64) -> Key {
        Key { index: n as u32, generation: (n >> 32) as u32 }
    }
}

#[derive(Clone, Debug)]
struct Place<T> {
    generation: u32,
    item: Option<T>,
}

/// At most `most` objects. The place that was freed the longest ago is used next.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: VecDeque<u32>,
    most: usize,
    /// The generation of a place used for the first time.
    first: u32,
    /// The bits that a generation has.
    mask: u32,
}

impl<T> Table<T> {
    pub(crate) fn new(most: usize, first: u32, mask: u32) -> Table<T> {
        Table { places: Vec::new(), free: VecDeque::new(), most, first: first & mask, mask }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// `None` when the table is full.
    pub(crate) fn insert(&mut self, item: T) -> Option<Key> {
        if self.is_full() {
            return None;
        }
        if let Some(index) = self.free.pop_front() {
            let place = self.places.get_mut(index as usize)?;
            place.item = Some(item);
            return Some(Key { index, generation: place.generation });
        }
        let index = u32::try_from(self.places.len()).ok()?;
        self.places.push(Place { generation: self.first, item: Some(item) });
        Some(Key { index, generation: self.first })
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key.index as usize).filter(|p| p.generation == key.generation)?.item.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key.index as usize).filter(|p| p.generation == key.generation)?.item.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize).filter(|p| p.generation == key.generation)?;
        let item = place.item.take()?;
        place.generation = place.generation.wrapping_add(1) & self.mask;
        self.free.push_back(key.index);
        Some(item)
    }

    /// By place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            Some((Key { index: index as u32, generation: place.generation }, place.item.as_ref()?))
        })
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_never_meets_the_next_object() {
        let mut table = Table::new(2, u32::MAX - 1, u32::MAX);
        let (a, b) = (table.insert('a').unwrap(), table.insert('b').unwrap());
        assert_eq!(table.insert('c'), None);
        // Generations wrap, and go on telling lives apart.
        let mut old = a;
        for _ in 0..5 {
            assert!(table.remove(old).is_some());
            assert!(table.get(old).is_none() && table.remove(old).is_none() && table.get_mut(old).is_none());
            let new = table.insert('x').unwrap();
            assert_eq!(new.index, old.index);
            assert_ne!(new, old);
            old = new;
        }
        assert_eq!((table.get(b), table.len()), (Some(&'b'), 2));
        assert_eq!(Key::from_u64(old.to_u64()), old);
    }

    #[test]
    fn a_narrow_generation_stays_narrow() {
        let mut table = Table::new(1, u32::MAX, 0xffff);
        for expected in [0xffff, 0, 1] {
            let key = table.insert(()).unwrap();
            assert_eq!(key.generation, expected);
            table.remove(key);
        }
    }
}
