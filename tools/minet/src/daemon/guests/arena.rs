//! The daemon's end of the memory that it shares with a guest: see [`messenger::arena`].
//!
//! What a guest lends is checked once, to be inside and to be no more than there is, and from then on a place is a number of this
//! process. Its bytes are copied when somebody needs them: straight into the memory of the guest that receives them, or else once
//! into memory of the daemon's own, and then that copy counts. When the guest goes, what still waits somewhere is copied,
//! so that no message keeps a whole arena.

use messenger::{
    arena::{LARGE, Place, Places, Region, SIDE, Side},
    protocol::FrameError,
};
use messenger_core::{Memory, Payload};
use std::{
    any::Any,
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

/// Guests that share memory with the daemon; payloads of others go through their sockets. Each costs twice [`SIDE`] at the most.
pub(super) const ARENAS: usize = 32;
/// What a place counts at the least, in bytes.
const LEAST: usize = 64;
/// So many bytes that a guest lent are given back even if there is nothing else to tell it.
const GIVE_SOON: usize = SIDE / 4;

/// Places that are used no more, of all guests: whose it is, and the number of what was lent.
pub(super) type Returned = Arc<Mutex<Vec<(usize, u64)>>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves its data half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A payload that a guest lent.
struct Lent {
    place: Place,
    /// `None` when the guest is gone, and there is a copy.
    up: Mutex<Option<Arc<Region>>>,
    copy: OnceLock<Vec<u8>>,
    guest: usize,
    number: u64,
    returned: Returned,
}

impl Memory for Lent {
    fn bytes(&self) -> &[u8] {
        // Its place was inside when it was lent.
        self.copy.get_or_init(|| locked(&self.up).as_ref().and_then(|up| up.read(self.place)).unwrap_or_default())
    }

    fn size(&self) -> usize {
        self.place.len as usize
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Lent {
    /// Brings the bytes to another guest; `false`: they did not fit.
    fn write_to(&self, down: &Region, place: Place) -> bool {
        let up = locked(&self.up);
        match (self.copy.get(), &*up) {
            (None, Some(up)) => down.write_from(place, up, self.place),
            _ => down.write(place, self.bytes()),
        }
    }

    /// The guest goes.
    fn keep(&self) {
        let _ = self.bytes();
        *locked(&self.up) = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        locked(&self.returned).push((self.guest, self.number));
    }
}

/// What one guest shares with the daemon.
pub(super) struct Arena {
    up: Arc<Region>,
    down: Region,
    /// Of the side *down*.
    places: Places,
    guest: usize,
    /// What the guest lent, by number.
    lent: BTreeMap<u64, (Place, Weak<Lent>)>,
    next: u64,
    /// Bytes that it lent.
    bytes: usize,
    /// Where places begin that it is to be told of, and their bytes.
    owed: (Vec<u32>, usize),
    returned: Returned,
}

fn count(place: Place) -> usize {
    (place.len as usize).max(LEAST)
}

impl Arena {
    /// A new one, and the descriptors for the guest: *up* and *down*.
    pub(super) fn new(guest: usize, returned: Returned) -> io::Result<(Arena, [OwnedFd; 2])> {
        let (up, up_file) = Region::create(Side::Up, SIDE)?;
        let (down, down_file) = Region::create(Side::Down, SIDE)?;
        let arena = Arena {
            up: Arc::new(up),
            down,
            places: Places::new(SIDE),
            guest,
            lent: BTreeMap::new(),
            next: 0,
            bytes: 0,
            owed: (Vec::new(), 0),
            returned,
        };
        Ok((arena, [up_file, down_file]))
    }

    /// Takes a payload that the guest lends.
    ///
    /// # Errors
    /// [`FrameError::Place`]: it is not inside, or the guest lends more than there is.
    pub(super) fn borrow(&mut self, place: Place) -> Result<Payload, FrameError> {
        if !self.up.has(place) || self.bytes + count(place) > SIDE {
            return Err(FrameError::Place);
        }
        self.next += 1;
        self.bytes += count(place);
        let lent = Arc::new(Lent {
            place,
            up: Mutex::new(Some(self.up.clone())),
            copy: OnceLock::new(),
            guest: self.guest,
            number: self.next,
            returned: self.returned.clone(),
        });
        self.lent.insert(self.next, (place, Arc::downgrade(&lent)));
        Ok(Payload::from_shared(lent))
    }

    /// Something that was lent is used no more; whether the guest should be told soon.
    pub(super) fn take_back(&mut self, number: u64) -> bool {
        if let Some((place, _)) = self.lent.remove(&number) {
            self.bytes -= count(place);
            self.owed.0.push(place.at);
            self.owed.1 += count(place);
        }
        self.owed.1 >= GIVE_SOON
    }

    /// Where places begin that the guest has back now.
    pub(super) fn owed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.owed).0
    }

    /// Lends a large payload to the guest. `None`: it goes through the socket.
    pub(super) fn lend(&mut self, payload: &Payload) -> Option<Place> {
        if payload.len() < LARGE {
            return None;
        }
        let place = self.places.take(payload.len())?;
        let lent = payload.whole().and_then(Memory::as_any).and_then(|memory| memory.downcast_ref::<Lent>());
        let written = match lent {
            Some(lent) => lent.write_to(&self.down, place),
            None => self.write(place, payload),
        };
        if !written {
            self.places.give(place.at);
        }
        written.then_some(place)
    }

    fn write(&self, place: Place, payload: &Payload) -> bool {
        let mut rest = place;
        payload.chunks().into_iter().all(|chunk| {
            let written = self.down.write(rest, chunk);
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            rest = Place { at: rest.at.saturating_add(length), len: rest.len.saturating_sub(length) };
            written
        })
    }

    /// The guest gives a place back; `false`: it has none there.
    pub(super) fn give(&mut self, at: u32) -> bool {
        self.places.give(at)
    }

    /// The guest goes: what it lent and still waits somewhere is copied.
    pub(super) fn keep_all(&self) {
        for (_, lent) in self.lent.values() {
            if let Some(lent) = lent.upgrade() {
                lent.keep();
            }
        }
    }
}

#[cfg(test)]
impl Arena {
    /// How often the guest lent something.
    pub(super) fn lent_ever(&self) -> u64 {
        self.next
    }

    /// Payloads that the guest lent and places that it was lent, both still in use.
    pub(super) fn in_use(&self) -> (usize, usize) {
        (self.lent.len(), self.places.used())
    }

    pub(super) fn memory(&self) -> &Arc<Region> {
        &self.up
    }
}
