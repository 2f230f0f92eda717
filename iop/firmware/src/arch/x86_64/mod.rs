//! A PC: how it starts, its console, clock and interrupts. All that depends on the processor is in this folder.

mod boot;
mod clock;
pub mod config_space;
mod interrupt;
mod port;
mod serial;

pub use clock::Clock;
pub use interrupt::{DOORBELL, Interrupts, MESSAGE_ADDRESS, halt};
pub use serial::Console;

/// Its name.
pub const NAME: &str = "x86_64";

/// Sets the machine up; once, first of all.
pub fn start() -> (Interrupts, Clock) {
    Console::start();
    Interrupts::start()
}
