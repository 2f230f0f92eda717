//! The serial lines: the first is the console, the second one carries messages where there is no shared memory.

use super::port::{read8, write8};
use iop_node::Bytes;

const CONSOLE: u16 = 0x3f8;
const CARRIER: u16 = 0x2f8;
const STATUS: u16 = 5;
const SCRATCH: u16 = 7;
const CAME: u8 = 1;
const EMPTY: u8 = 0x20;
/// Bytes that an empty line takes at once.
const QUEUE: usize = 16;

/// 115200 baud, 8 bits, no parity; no interrupts.
fn set_up(line: u16) {
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 0xc7), (4, 3)] {
        write8(line + register, value);
    }
}

pub(super) fn start() {
    set_up(CONSOLE);
}

/// Writes a byte on the console.
pub fn put(byte: u8) {
    // A line that never becomes ready is not waited for.
    for _ in 0..100_000 {
        if read8(CONSOLE + STATUS) & EMPTY != 0 {
            break;
        }
    }
    write8(CONSOLE, byte);
}

/// The line that carries messages.
pub struct Line(());

impl Line {
    /// If the machine has it.
    pub fn find() -> Option<Line> {
        write8(CARRIER + SCRATCH, 0x5a);
        if read8(CARRIER + SCRATCH) != 0x5a {
            return None;
        }
        set_up(CARRIER);
        Some(Line(()))
    }
}

impl Bytes for Line {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let mut came = 0;
        for byte in to {
            if read8(CARRIER + STATUS) & CAME == 0 {
                break;
            }
            *byte = read8(CARRIER);
            came += 1;
        }
        came
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if read8(CARRIER + STATUS) & EMPTY == 0 {
            return 0;
        }
        from.iter().take(QUEUE).map(|byte| write8(CARRIER, *byte)).count()
    }
}
