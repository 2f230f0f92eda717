//! What counts: the processor's time-stamp counter.

use core::arch::x86_64::_rdtsc;

/// The processor's counter; it never goes back.
pub fn counter() -> u64 {
    // SAFETY: every 64-bit processor has the counter.
    unsafe { _rdtsc() }
}
