//! For tests, fuzzing and loom: memory on the heap, and a way to stop an end at each of its stores.

mod heap;
pub mod steps;

pub use heap::Heap;
