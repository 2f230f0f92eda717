//! The serial line, whose registers are bytes.

use alloc::string::String;
use core::ptr;
use iop_node::Bytes;

const LINE: usize = 0x1000_0000;
const STATUS: usize = 5;
const EMPTY: u8 = 0x20;

/// Writes a byte.
pub fn put(byte: u8) {
    let register = |at: usize| ptr::with_exposed_provenance_mut::<u8>(LINE + at);
    // A line that never becomes ready is not waited for.
    for _ in 0..100_000 {
        // SAFETY: the line's status register, a byte that is always there.
        if unsafe { register(STATUS).read_volatile() } & EMPTY != 0 {
            break;
        }
    }
    // SAFETY: the line's data register; what is written there is sent, and touches no memory.
    unsafe { register(0).write_volatile(byte) };
}

/// The line that carries messages: this machine's only one is the console.
pub enum Line {}

impl Line {
    /// There is none.
    pub const fn find() -> Option<Line> {
        None
    }
}

impl Bytes for Line {
    fn read(&mut self, _: &mut [u8]) -> usize {
        match *self {}
    }

    fn write(&mut self, _: &[u8]) -> usize {
        match *self {}
    }
}

/// What the machine was given when it was started: it is told on the shared memory only.
pub const fn settings() -> Option<String> {
    None
}
