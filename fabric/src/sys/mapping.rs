//! Shared memory, mapped.

use fabric_ring::Memory;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::{
    io,
    os::fd::BorrowedFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

/// A file mapped shared, for reading and writing.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes, which must not be none. The file must be sealed against shrinking.
    pub(crate) fn new(file: BorrowedFd<'_>, len: usize) -> io::Result<Mapping> {
        Mapping::part(file, 0, len)
    }

    /// Maps `len` bytes from `at` on, which must be a multiple of a page. As in [`Mapping::new`].
    pub(crate) fn part(file: BorrowedFd<'_>, at: usize, len: usize) -> io::Result<Mapping> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping where the kernel likes; no existing memory is touched.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, file, at as u64) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
    }

    /// The little-endian word at `at`, read once; all ones where there is none.
    pub(crate) fn word(&self, at: usize) -> u32 {
        self.atomic(at).map_or(u32::MAX, |word| u32::from_le(word.load(Ordering::Acquire)))
    }

    /// Writes it; nothing where there is none.
    pub(crate) fn set_word(&self, at: usize, value: u32) {
        if let Some(word) = self.atomic(at) {
            word.store(value.to_le(), Ordering::Release);
        }
    }

    fn atomic(&self, at: usize) -> Option<&AtomicU32> {
        if !at.is_multiple_of(4) || at > self.len.checked_sub(4)? {
            return None;
        }
        // SAFETY: inside the mapping and aligned by the check above; an atomic, so that a peer's writes are no race.
        Some(unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) })
    }
}

// SAFETY: the mapping is unmapped only on drop, and nothing else in this process refers to it.
unsafe impl Memory for Mapping {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, unmapped once.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            log::error!("cannot unmap shared memory: {error}");
        }
    }
}
