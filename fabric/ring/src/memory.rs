//! The memory under a ring, and the only places that touch it.

use crate::{
    atomic::{Word, before_store},
    layout::{DATA_AT, Header},
    view::{Slot, View},
};
use core::ptr::{NonNull, addr_of};

/// Memory that holds a ring and lives as long as the value does.
///
/// # Safety
/// `start()` is always the same address; `len()` bytes from there are mapped, readable and writable until the value is
/// dropped, wherever the value is moved; nothing in this process makes a Rust reference to them.
pub unsafe trait Memory: Send {
    /// The first byte.
    fn start(&self) -> NonNull<u8>;

    /// How many bytes.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Under loom: the data bytes `at..at + len` are read or written now.
    #[cfg(loom)]
    fn touch(&self, _at: usize, _len: usize, _write: bool) {}
}

/// A ring's memory after its length and alignment were checked.
pub(crate) struct Shared<M> {
    memory: M,
    size: u32,
}

impl<M: Memory> Shared<M> {
    /// `None` when the memory is too short for a data area of `size` bytes or not aligned. The size was checked.
    pub(crate) fn new(memory: M, size: usize) -> Option<Shared<M>> {
        let aligned = memory.start().as_ptr().cast::<Header>().is_aligned();
        let fits = memory.len().checked_sub(DATA_AT).is_some_and(|data| size <= data);
        (aligned && fits).then_some(Shared { memory, size: size as u32 })
    }

    /// Bytes in the data area.
    pub(crate) const fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn resize(&mut self, size: u32) -> bool {
        let fits = self.memory.len().checked_sub(DATA_AT).is_some_and(|data| size as usize <= data);
        if fits {
            self.size = size;
        }
        fits
    }

    pub(crate) fn into_memory(self) -> M {
        self.memory
    }

    /// Where in the data area this position is.
    pub(crate) const fn offset(&self, position: u32) -> u32 {
        position & (self.size - 1)
    }

    fn header(&self) -> *const Header {
        self.memory.start().as_ptr().cast()
    }

    pub(crate) fn magic(&self) -> [&Word; 2] {
        // SAFETY: in bounds and aligned as `new` checked; a Word is an atomic, so a peer's writes to it are no race.
        unsafe { [&*addr_of!((*self.header()).identity.magic[0]), &*addr_of!((*self.header()).identity.magic[1])] }
    }

    pub(crate) fn versions(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).identity.versions) }
    }

    pub(crate) fn data_at(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).identity.data_at) }
    }

    pub(crate) fn size_word(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).identity.size) }
    }

    pub(crate) fn generation(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).identity.generation) }
    }

    pub(crate) fn state(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).identity.state) }
    }

    pub(crate) fn tail(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).tail.0) }
    }

    pub(crate) fn head(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).head.0) }
    }

    pub(crate) fn consumer_sleeps(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).consumer_sleeps.0) }
    }

    pub(crate) fn producer_sleeps(&self) -> &Word {
        // SAFETY: as in `magic`.
        unsafe { &*addr_of!((*self.header()).producer_sleeps.0) }
    }

    /// The data bytes `at..at + len`, or `None` when they are not all inside.
    fn data(&self, at: u32, len: u32) -> Option<NonNull<u8>> {
        if at > self.size || len > self.size - at {
            return None;
        }
        // SAFETY: DATA_AT + size bytes are mapped as `new` and `resize` checked, and at <= size.
        Some(unsafe { self.memory.start().add(DATA_AT + at as usize) })
    }

    /// The two words in front of a record, each read once. `None` when they are not inside.
    pub(crate) fn record(&self, at: u32) -> Option<(u32, u32)> {
        let start = self.data(at, 8)?.cast::<u32>();
        #[cfg(loom)]
        self.memory.touch(at as usize, 8, false);
        // SAFETY: eight bytes are inside; they are aligned since `at` is a multiple of 64 and the data area is aligned.
        let (len, mark) = unsafe { (start.read_volatile(), start.add(1).read_volatile()) };
        Some((u32::from_le(len), u32::from_le(mark)))
    }

    /// Writes the two words in front of a record; nothing when they are not inside.
    pub(crate) fn set_record(&self, at: u32, len: u32, mark: u32) {
        let Some(start) = self.data(at, 8) else { return };
        let start = start.cast::<u32>();
        #[cfg(loom)]
        self.memory.touch(at as usize, 8, true);
        before_store();
        // SAFETY: as in `record`; only this end writes records.
        unsafe { start.write_volatile(len.to_le()) };
        before_store();
        // SAFETY: as above.
        unsafe { start.add(1).write_volatile(mark.to_le()) };
    }

    /// The data bytes `at..at + len` to read, for as long as the caller lets `'a` be.
    ///
    /// # Safety
    /// The memory must outlive `'a`, and no [`Slot`] on these bytes may be used in this process during it.
    pub(crate) unsafe fn view<'a>(&self, at: u32, len: u32) -> Option<View<'a>> {
        let start = self.data(at, len)?;
        #[cfg(loom)]
        self.memory.touch(at as usize, len as usize, false);
        // SAFETY: inside as `data` checked; the caller warrants the rest.
        Some(unsafe { View::from_raw(start, len as usize) })
    }

    /// The data bytes `at..at + len` to write.
    pub(crate) fn slot(&mut self, at: u32, len: u32) -> Option<Slot<'_>> {
        let start = self.data(at, len)?;
        #[cfg(loom)]
        self.memory.touch(at as usize, len as usize, true);
        // SAFETY: inside as `data` checked; the borrow of self keeps the memory and forbids a second window.
        Some(unsafe { Slot::from_raw(start, len as usize) })
    }
}
