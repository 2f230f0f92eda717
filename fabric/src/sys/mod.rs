//! The only unsafe code of this room: memory that is mapped, and system calls that take pointers.

mod datagram;
mod file;
mod mapping;
mod pktinfo;
mod socket;

pub(crate) use datagram::{PIECES_PER_GROUP, Receiver, Sender, Sent};
pub(crate) use file::{read_into, write_from};
pub(crate) use mapping::Mapping;
pub(crate) use pktinfo::{Control, Source, ask_for_local, local_of, put_control};
pub(crate) use socket::{peer_credentials, set_option};
