//! A PC's event timer (HPET), whose period is known: counters are measured against it.
#![allow(dead_code, reason = "a machine that knows the rate of its counter measures nothing")]

use crate::sys::Window;

const HPET: usize = 0xfed0_0000;
const PERIOD: usize = 4;
const CONFIG: usize = 0x10;
const COUNTER: usize = 0xf0;
/// No timer is so slow, in femtoseconds a tick.
const PERIOD_MOST: u64 = 100_000_000;

/// The event timer.
pub struct EventTimer {
    registers: Window,
    /// Femtoseconds a tick.
    pub period: u64,
}

impl EventTimer {
    /// Finds it and has it count.
    pub fn start() -> EventTimer {
        let registers = Window::device(HPET, 4096).unwrap_or(Window::EMPTY);
        let period = u64::from(registers.read(PERIOD));
        assert!((1..=PERIOD_MOST).contains(&period), "this machine has no event timer (HPET)");
        registers.write(CONFIG, 1);
        EventTimer { registers, period }
    }

    /// Ticks.
    pub fn now(&self) -> u32 {
        self.registers.read(COUNTER)
    }
}
