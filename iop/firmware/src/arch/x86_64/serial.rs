//! The first serial line.

use super::port::{read8, write8};

const LINE: u16 = 0x3f8;

/// 115200 baud, 8 bits, no parity; no interrupts.
pub(super) fn start() {
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 0xc7), (4, 3)] {
        write8(LINE + register, value);
    }
}

/// Writes a byte.
pub fn put(byte: u8) {
    // A line that never becomes ready is not waited for.
    for _ in 0..100_000 {
        if read8(LINE + 5) & 0x20 != 0 {
            break;
        }
    }
    write8(LINE, byte);
}
