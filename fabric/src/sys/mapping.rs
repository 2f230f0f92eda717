//! Shared memory, mapped.

use fabric_ring::Memory;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::{io, os::fd::BorrowedFd, ptr::NonNull};

/// A file mapped shared, for reading and writing.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes, which must not be none. The file must be sealed against shrinking.
    pub(crate) fn new(file: BorrowedFd<'_>, len: usize) -> io::Result<Mapping> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping where the kernel likes; no existing memory is touched.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
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
