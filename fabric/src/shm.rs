//! Shared memory.
/// Mapped rings of one peer.
pub struct Rings;
