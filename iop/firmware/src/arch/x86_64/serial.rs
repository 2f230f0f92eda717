//! The console: the first serial line.

use super::port::{read8, write8};
use core::fmt;

const LINE: u16 = 0x3f8;

/// The console. Making one needs nothing: the line is written a byte at a time.
pub struct Console;

impl Console {
    /// 115200 baud, 8 bits, no parity; no interrupts.
    pub fn start() {
        for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 0xc7), (4, 3)] {
            write8(LINE + register, value);
        }
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // A line that never becomes ready is not waited for.
            for _ in 0..100_000 {
                if read8(LINE + 5) & 0x20 != 0 {
                    break;
                }
            }
            write8(LINE, byte);
        }
        Ok(())
    }
}
