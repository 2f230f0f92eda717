//! What counts: the processor's time-stamp counter, and the machine's event timer (HPET), whose period is known.

use crate::sys::Window;
use core::arch::x86_64::_rdtsc;

const HPET: usize = 0xfed0_0000;
const PERIOD: usize = 4;
const CONFIG: usize = 0x10;
const COUNTER: usize = 0xf0;
/// No timer is so slow, in femtoseconds a tick.
const PERIOD_MOST: u64 = 100_000_000;

/// The processor's counter; it never goes back.
pub fn counter() -> u64 {
    // SAFETY: every 64-bit processor has the counter.
    unsafe { _rdtsc() }
}

/// The event timer.
pub(super) struct EventTimer {
    registers: Window,
    /// Femtoseconds a tick.
    pub(super) period: u64,
}

impl EventTimer {
    /// Finds it and has it count.
    pub(super) fn start() -> EventTimer {
        let registers = Window::device(HPET, 4096).unwrap_or(Window::EMPTY);
        let period = u64::from(registers.read(PERIOD));
        assert!((1..=PERIOD_MOST).contains(&period), "this machine has no event timer (HPET)");
        registers.write(CONFIG, 1);
        EventTimer { registers, period }
    }

    /// Ticks.
    pub(super) fn now(&self) -> u32 {
        self.registers.read(COUNTER)
    }
}
