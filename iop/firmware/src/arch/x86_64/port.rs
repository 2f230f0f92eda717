//! I/O ports. The image owns the machine: there is nobody whose ports these could be.

use core::arch::asm;

pub(super) fn write8(port: u16, value: u8) {
    // SAFETY: only ports of the serial line, the interrupt controllers and the timer are written; none touches memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

pub(super) fn read8(port: u16) -> u8 {
    let value;
    // SAFETY: as in `write8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}

pub(super) fn write32(port: u16, value: u32) {
    // SAFETY: the PCI configuration ports; what is set there is only where a device's windows lie and that it may
    // interrupt.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags)) };
}

pub(super) fn read32(port: u16) -> u32 {
    let value;
    // SAFETY: as in `write32`.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags)) };
    value
}

pub(super) fn write16(port: u16, value: u16) {
    // SAFETY: the selector of the firmware configuration; it says what is read next.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags)) };
}
