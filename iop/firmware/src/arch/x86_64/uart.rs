//! Where a PC's first two serial lines are.

use super::port::{read8, write8};

pub const CONSOLE: usize = 0x3f8;
pub const CARRIER: Option<usize> = Some(0x2f8);

pub fn read(register: usize) -> u8 {
    read8(register as u16)
}

pub fn write(register: usize, value: u8) {
    write8(register as u16, value);
}
