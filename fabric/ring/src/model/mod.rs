//! For tests, fuzzing and loom: memory on the heap, a ring beside a model that knows what it must answer, a peer that
//! lies, and a way to stop an end at each of its stores.

mod attack;
mod heap;
mod oracle;
pub mod steps;

pub use attack::attack;
pub use heap::Heap;
pub use oracle::{Model, Op, run};

/// The bytes of record `number`: whoever reads them can tell that they are whole and whose they are.
pub fn pattern(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (number.wrapping_mul(0x9e37_79b9) >> 8).wrapping_add(at) as u8).collect()
}

/// Takes bytes from the front of a fuzzer's input; zeros when there are none left.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from(self.half()) | u32::from(self.half()) << 16
    }
}
