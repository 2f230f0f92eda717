//! QEMU's `virt` machine with a RISC-V processor, in machine mode: how it starts, its serial line, counter and interrupts. All that
//! depends on the processor is in this folder.

mod boot;
pub mod config_space;
mod interrupt;
pub mod uart;

use crate::{clock::Clock, settings::Items};
use core::{arch::asm, ops::Range};
pub use interrupt::{DOORBELL, Interrupts, MESSAGE_ADDRESS, halt};

/// Its name.
pub const NAME: &str = "riscv64";
/// Where devices are; the image, its stack and its heap lie above.
pub const DEVICES: Range<usize> = 0x1000..0x8000_0000;
/// Nobody placed the windows of devices before: they go here.
pub const WINDOWS: Option<Range<usize>> = Some(0x4000_0000..0x8000_0000);

/// It is told all that it needs on its memory.
pub const SETTINGS: Option<Items> = None;

/// Ticks of the counter in 10 ms: this machine's has 10 MHz.
const RATE: u64 = 100_000;

/// The processor's counter; it never goes back.
pub fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: every machine of this kind has the counter.
    unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Sets the machine up; once, before all but the heap.
pub fn start() -> (Interrupts, Clock) {
    (Interrupts::start(), Clock::new(counter(), RATE))
}
