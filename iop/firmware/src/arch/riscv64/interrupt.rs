//! Interrupts: what wakes the processor. They are never taken: a sleep ends when one is pending, and whoever slept looks for
//! work.

use crate::sys::Window;
use core::{arch::asm, time::Duration};

/// The number of the doorbell at the processor's own interrupt file.
pub const DOORBELL: u8 = 64;
/// Where a message-signalled interrupt is written to: that file, of machine mode.
pub const MESSAGE_ADDRESS: u32 = 0x2400_0000;

/// The timer of all processors, and in it the time at which it wakes the first one.
const TIMER: usize = 0x0200_0000;
const WAKE_AT: usize = 0x4000;
/// Ticks in a second.
const RATE: u128 = 10_000_000;

// Registers of the interrupt file, behind a pair of select and value.
const DELIVERY: usize = 0x70;
const THRESHOLD: usize = 0x72;
/// The word with the doorbell's bit, which is its first.
const ENABLE: usize = 0xc0 + DOORBELL as usize / 32;
/// Timer and external interrupts may wake.
const WAKING: usize = 1 << 7 | 1 << 11;

/// The timer and the interrupt file.
pub struct Interrupts {
    timer: Window,
}

impl Interrupts {
    /// Lets the doorbell and the timer wake, and nothing else.
    pub(super) fn start() -> Interrupts {
        let interrupts = Interrupts { timer: Window::device(TIMER, 0x10000).unwrap_or(Window::EMPTY) };
        interrupts.wake_at(u64::MAX);
        for (register, value) in [(DELIVERY, 1), (THRESHOLD, 0), (ENABLE, 1)] {
            // SAFETY: the interrupt file's own registers; no memory is touched, and interrupts are never taken.
            unsafe {
                asm!("csrw 0x350, {}", "csrw 0x351, {}", in(reg) register, in(reg) value, options(nomem, nostack))
            };
        }
        // SAFETY: as above.
        unsafe { asm!("csrw mie, {}", in(reg) WAKING, options(nomem, nostack)) };
        interrupts
    }

    /// Sleeps until an interrupt comes, or for so long. Nothing is missed between `idle` saying so and the sleep: what came
    /// meanwhile is pending.
    pub fn sleep_if(&self, most: Duration, idle: impl FnOnce() -> bool) {
        if most.is_zero() || !idle() {
            return;
        }
        let ticks = u64::try_from(most.as_nanos() * RATE / 1_000_000_000).unwrap_or(u64::MAX);
        self.wake_at(super::counter().saturating_add(ticks.max(1)));
        // SAFETY: it waits; interrupts are not taken.
        unsafe { asm!("wfi", options(nomem, nostack)) };
        self.wake_at(u64::MAX);
        // All that is pending is forgotten: it has woken.
        loop {
            let top: usize;
            // SAFETY: takes the first pending one from the interrupt file.
            unsafe { asm!("csrrw {}, 0x35c, zero", out(reg) top, options(nomem, nostack)) };
            if top == 0 {
                break;
            }
        }
    }

    /// In an order in which it never wakes too early.
    fn wake_at(&self, time: u64) {
        self.timer.write(WAKE_AT + 4, u32::MAX);
        self.timer.write(WAKE_AT, time as u32);
        self.timer.write(WAKE_AT + 4, (time >> 32) as u32);
    }
}

/// Stops for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing is touched.
        unsafe { asm!("csrw mie, zero", "wfi", options(nomem, nostack)) };
    }
}
