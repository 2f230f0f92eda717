//! A PC: how it starts, its serial line, counters and interrupts. All that depends on the processor is in this folder.

mod boot;
pub mod config_space;
mod counter;
mod interrupt;
mod port;
pub mod uart;

use crate::{clock::Clock, settings::Items};
use core::ops::Range;
pub use counter::counter;
pub use interrupt::{DOORBELL, Interrupts, MESSAGE_ADDRESS, halt};

/// Its name.
pub const NAME: &str = "x86_64";

/// What is mapped as it is, but the image's own memory: it lies below.
pub const DEVICES: Range<usize> = 16 << 20..1 << 32;
/// The machine's own firmware has placed the windows of devices.
pub const WINDOWS: Option<Range<usize>> = None;

/// What it was started with.
pub const SETTINGS: Option<Items> =
    Some(Items { select: |item| port::write16(0x510, item), next: || port::read8(0x511) });

/// Sets the machine up; once, before all but the heap.
pub fn start() -> (Interrupts, Clock) {
    Interrupts::start()
}
