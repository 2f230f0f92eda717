//! A PC: how it starts, its serial line, counters and interrupts. All that depends on the processor is in this folder.

mod boot;
pub mod config_space;
mod counter;
mod interrupt;
mod measure;
mod port;
mod serial;
mod settings;

use crate::clock::Clock;
use core::ops::Range;
pub use counter::counter;
pub use interrupt::{DOORBELL, Interrupts, MESSAGE_ADDRESS, halt};
pub use serial::{Line, put};
pub use settings::settings;

/// Its name.
pub const NAME: &str = "x86_64";

/// What is mapped as it is, but the image's own memory: it lies below.
pub const DEVICES: Range<usize> = 16 << 20..1 << 32;
/// The machine's own firmware has placed the windows of devices.
pub const WINDOWS: Option<Range<usize>> = None;

/// Sets the machine up; once, before all but the heap.
pub fn start() -> (Interrupts, Clock) {
    serial::start();
    Interrupts::start()
}
