//! The wire format: little-endian, a 16-byte header that is all a frame has, and what other kinds put behind it.
//!
//! Each part is a `Repr` of meaningful values with `parse`, `buffer_len` and `emit`. Unknown codes survive a round trip;
//! nothing here panics on any input. Offsets and meanings are numbered clauses in `PROTOCOL.md`.

mod ack;
mod cursor;
mod header;
mod link;
mod message;
mod names;
mod record;
mod sequence;
mod slice;

pub use ack::{Ack, LaneAck};
pub use header::{Flags, Header, Kind, Priority};
pub use link::{Announce, Heartbeat, Hello, LinkBody, Refusal};
pub use message::{Again, Agent, Extension, Opt, Options, SubHeader};
pub use names::{Entry, Names, Scope, WITHDRAWN};
pub use record::{Attachment, Record};
pub use sequence::Sequence;
pub use slice::Slice;

#[cfg(test)]
pub(crate) use record::tests::record as sample_record;

use core::fmt;

/// Major version of this wire format, in the high nibble of a message's first byte.
pub const VERSION: u8 = 1;

/// Why bytes are not what they should be, or do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Ends before it should; carries how many bytes would be needed.
    Truncated(usize),
    /// Another major version; carries which.
    Version(u8),
    /// The header says it is shorter than its kind's least, or longer than the message.
    HeaderLength(usize),
    /// A field has a value it must not have; carries the field's name.
    Field(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated(need) => write!(f, "message is too short, {need} bytes are needed"),
            WireError::Version(v) => write!(f, "wire format version {v}, this node speaks {VERSION}"),
            WireError::HeaderLength(n) => write!(f, "header length {n} is wrong for its message"),
            WireError::Field(name) => write!(f, "field `{name}` has a value it must not have"),
        }
    }
}

impl core::error::Error for WireError {}

/// `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], WireError> {
    bytes.get(at..).and_then(|b| b.first_chunk::<N>()).copied().ok_or(WireError::Truncated(at + N))
}

/// A u16 at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, WireError> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// A u32 at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, WireError> {
    array(bytes, at).map(u32::from_le_bytes)
}
