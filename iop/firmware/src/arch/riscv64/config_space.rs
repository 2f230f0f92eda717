//! PCI configuration space: 4 KiB a function, one behind the other.

use crate::sys::Window;

const START: usize = 0x3000_0000;
const LEN: usize = 256 << 20;

/// Reads a register (a multiple of 4) of a function.
pub fn read(bus: u8, device: u8, function: u8, register: u8) -> u32 {
    space().read(place(bus, device, function, register))
}

/// Writes one.
pub fn write(bus: u8, device: u8, function: u8, register: u8, value: u32) {
    space().write(place(bus, device, function, register), value);
}

fn space() -> Window {
    Window::device(START, LEN).unwrap_or(Window::EMPTY)
}

fn place(bus: u8, device: u8, function: u8, register: u8) -> usize {
    usize::from(bus) << 20
        | usize::from(device & 31) << 15
        | usize::from(function & 7) << 12
        | usize::from(register & 0xfc)
}
