//! Memory that is a device's, or shared with the host: never a Rust reference.

use crate::arch::DEVICES;
use core::ptr::NonNull;
use fabric_ring::Memory;

/// A window on a device's memory.
#[derive(Clone, Copy)]
pub struct Window {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: there is one processor and one thread.
unsafe impl Send for Window {}

impl Window {
    /// None of it: reads are all ones, writes go nowhere.
    pub const EMPTY: Window = Window { start: NonNull::dangling(), len: 0 };

    /// On `len` bytes at a physical address; `None` where the image's own memory lies, or nothing is mapped.
    pub fn device(start: usize, len: usize) -> Option<Window> {
        let fits = start >= DEVICES.start && start.checked_add(len).is_some_and(|end| end <= DEVICES.end);
        NonNull::new(start as *mut u8).filter(|_| fits).map(|start| Window { start, len })
    }

    /// A part of it.
    pub fn part(&self, at: usize, len: usize) -> Option<Window> {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len);
        // SAFETY: inside by the check above.
        fits.then(|| Window { start: unsafe { self.start.add(at) }, len })
    }

    /// Reads the word at a byte offset; all ones outside.
    pub fn read(&self, at: usize) -> u32 {
        match self.word(at) {
            // SAFETY: inside, aligned, mapped and no Rust object, by `word` and `device`.
            Some(word) => u32::from_le(unsafe { word.read_volatile() }),
            None => u32::MAX,
        }
    }

    /// Writes the word at a byte offset; nothing outside.
    pub fn write(&self, at: usize, value: u32) {
        if let Some(word) = self.word(at) {
            // SAFETY: as in `read`.
            unsafe { word.write_volatile(value.to_le()) };
        }
    }

    fn word(&self, at: usize) -> Option<NonNull<u32>> {
        let part = self.part(at, 4)?;
        Some(part.start.cast::<u32>()).filter(|word| word.is_aligned())
    }
}

// SAFETY: `device` gives only memory that is mapped for ever and holds no Rust object; the value is never unmapped.
unsafe impl Memory for Window {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn len(&self) -> usize {
        self.len
    }
}
