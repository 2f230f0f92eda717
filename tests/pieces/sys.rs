//! Memory for a ring as the daemon has it: mapped pages, without the stops that the ring's own test memory has.

use fabric_ring::{Memory, layout};
use std::{
    alloc::{Layout, alloc_zeroed, handle_alloc_error},
    ptr::NonNull,
};

/// Memory of a ring, shared by its two ends and never given back: a program that measures ends soon.
#[derive(Clone, Copy)]
pub struct Pages {
    start: NonNull<u8>,
    len: usize,
}

impl Pages {
    /// For a data area of `size` bytes.
    pub fn new(size: usize) -> Self {
        let len = layout::memory_len(size);
        let layout = Layout::from_size_align(len, 4096).unwrap();
        // SAFETY: the layout has a length: at least the header page.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, len }
    }
}

// SAFETY: plain memory that nobody else knows; the ring says who may touch what.
unsafe impl Send for Pages {}

// SAFETY: `len` bytes from `start`, readable and writable until the process ends, and no reference to them is made.
unsafe impl Memory for Pages {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn len(&self) -> usize {
        self.len
    }
}
