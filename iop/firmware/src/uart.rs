//! Serial lines of the usual kind (16550): the console, and one that carries messages where there is no shared memory.

use crate::arch::uart::{CARRIER, CONSOLE, read, write};
use iop_node::Bytes;

const STATUS: usize = 5;
const SCRATCH: usize = 7;
const CAME: u8 = 1;
const EMPTY: u8 = 0x20;
/// Bytes that an empty line takes at once.
const QUEUE: usize = 16;

/// 115200 baud, 8 bits, no parity; no interrupts.
fn set_up(line: usize) {
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 0xc7), (4, 3)] {
        write(line + register, value);
    }
}

/// Sets the console up.
pub fn start() {
    set_up(CONSOLE);
}

/// Writes a byte on the console.
pub fn put(byte: u8) {
    // A line that never becomes ready is not waited for.
    for _ in 0..100_000 {
        if read(CONSOLE + STATUS) & EMPTY != 0 {
            break;
        }
    }
    write(CONSOLE, byte);
}

/// The line that carries messages.
pub struct Line(usize);

impl Line {
    /// If the machine has it.
    pub fn find() -> Option<Line> {
        let line = CARRIER?;
        write(line + SCRATCH, 0x5a);
        if read(line + SCRATCH) != 0x5a {
            return None;
        }
        set_up(line);
        Some(Line(line))
    }
}

impl Bytes for Line {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let mut came = 0;
        for byte in to {
            if read(self.0 + STATUS) & CAME == 0 {
                break;
            }
            *byte = read(self.0);
            came += 1;
        }
        came
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if read(self.0 + STATUS) & EMPTY == 0 {
            return 0;
        }
        from.iter().take(QUEUE).map(|byte| write(self.0, *byte)).count()
    }
}
