//! Every atomic of the ring, so that loom can stand in, and so that a test can stop a thread at each store.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, fence};

pub(crate) use core::sync::atomic::Ordering;

/// Orders what was stored before it against what is loaded after it, for both ends.
///
/// An end that goes to sleep says so, calls this, and looks again for work. An end that made work publishes it, calls
/// this, and looks whether the other sleeps. So at least one of the two sees the other. One call serves many rings.
pub fn barrier() {
    fence(Ordering::SeqCst);
}

/// One word in shared memory, little-endian there whatever the processor.
#[repr(transparent)]
pub(crate) struct Word(AtomicU32);

impl Word {
    #[cfg(loom)]
    pub(crate) fn new() -> Word {
        Word(AtomicU32::new(0))
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        u32::from_le(self.0.load(order))
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        before_store();
        self.0.store(value.to_le(), order);
    }

    /// Clears the word; whether it was set. Whoever finds it set must ring, and that is why no swap is needed: if the
    /// other end armed again between the load and the store, its word is lost but it is rung, and arms once more.
    pub(crate) fn take(&self) -> bool {
        if self.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.store(0, Ordering::Release);
        true
    }

    /// Puts `next` where `expected` was; else returns what was there.
    pub(crate) fn replace(&self, expected: u32, next: u32) -> Result<(), u32> {
        before_store();
        match self.0.compare_exchange(expected.to_le(), next.to_le(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(was) => Err(u32::from_le(was)),
        }
    }
}

/// Called before each store to shared memory. Only tests stop here.
#[inline(always)]
pub(crate) fn before_store() {
    #[cfg(any(test, feature = "model"))]
    crate::model::steps::step();
}
