//! A PC: how it starts, its serial line, counters and interrupts. All that depends on the processor is in this folder.

mod boot;
pub mod config_space;
mod counter;
mod interrupt;
mod port;
mod serial;

use crate::clock::Clock;
pub use counter::counter;
pub use interrupt::{DOORBELL, Interrupts, MESSAGE_ADDRESS, halt};
pub use serial::put;

/// Its name.
pub const NAME: &str = "x86_64";

/// Sets the machine up; once, before all but the heap.
pub fn start() -> (Interrupts, Clock) {
    serial::start();
    Interrupts::start()
}
