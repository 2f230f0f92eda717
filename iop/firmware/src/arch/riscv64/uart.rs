//! The serial line, whose registers are bytes. The machine's only one is the console.

use core::ptr;

pub const CONSOLE: usize = 0x1000_0000;
pub const CARRIER: Option<usize> = None;

pub fn read(register: usize) -> u8 {
    // SAFETY: a register of the line, a byte that is always there.
    unsafe { ptr::with_exposed_provenance::<u8>(register).read_volatile() }
}

pub fn write(register: usize, value: u8) {
    // SAFETY: as above; what is written is a setting or is sent, and touches no memory.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(register).write_volatile(value) };
}
