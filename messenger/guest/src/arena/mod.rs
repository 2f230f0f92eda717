//! Memory that a guest and its daemon share, for payloads that are too large to go through a socket well.
//!
//! An arena is two files in memory, made and sealed by the daemon so that nobody can shrink them: *up* is written by the guest and
//! read by the daemon, *down* the other way round, and the guest cannot map it for writing. Who writes a side says which
//! *places* of it are in use ([`Places`]); a place is lent with a frame and comes back with another one. Nothing but payloads is in
//! the memory: no length, no offset, no state. So neither side can be led astray by what the other writes there, and who changes a
//! payload that it lent changes its own message and nothing else.
//!
//! It is no must: a payload for which there is no place goes through the socket.

mod places;
mod sys;

pub use places::{Place, Places};
pub use sys::{Region, Side};

/// The size of each side, in bytes: the largest payload fits.
pub const SIDE: usize = 16 << 20;
/// Payloads of so many bytes and more are lent, if there is a place.
pub const LARGE: usize = 16 << 10;
