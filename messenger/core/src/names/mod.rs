//! Names of ports: this node's, and what the others told of theirs.
//!
//! Each node is the only one who tells of its own ports. It sends all of its names when a stream to a member begins, and then
//! what changes, in order (the streams see to that): a copy is a true picture of some moment, and is dropped with the
//! member. Records (see [`crate::wire::Record`]) do not carry names: a record is passed on whole by everybody at each
//! change, which is too much for ten thousand ports.
//!
//! A name is unique in its scope. For a name of the fabric that two nodes claim at once, or that was claimed on both sides of a
//! break, the higher claim has it, of equal ones that of the lower node; the other port goes on without its name. A node's next
//! claim is higher than all it ever saw, so whoever takes over a name keeps it when the former owner comes back.

mod book;
mod pattern;
mod sync;
mod watch;

pub(crate) use book::Book;
pub use pattern::Pattern;
pub(crate) use watch::Watch;
pub use watch::{Change, WatchId};
