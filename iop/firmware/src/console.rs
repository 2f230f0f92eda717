//! The console: a serial line. Making one needs nothing, so that a panic can.

use crate::uart;
use core::fmt;

/// The console.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(uart::put);
        Ok(())
    }
}
