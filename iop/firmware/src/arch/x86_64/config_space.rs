//! PCI configuration space, through the two ports every PC has.

use super::port::{read32, write32};

/// Reads a register (a multiple of 4) of a function.
pub fn read(bus: u8, device: u8, function: u8, register: u8) -> u32 {
    select(bus, device, function, register);
    read32(0xcfc)
}

/// Writes one.
pub fn write(bus: u8, device: u8, function: u8, register: u8, value: u32) {
    select(bus, device, function, register);
    write32(0xcfc, value);
}

fn select(bus: u8, device: u8, function: u8, register: u8) {
    let place = u32::from(bus) << 16 | u32::from(device & 31) << 11 | u32::from(function & 7) << 8;
    write32(0xcf8, 1 << 31 | place | u32::from(register & 0xfc));
}
