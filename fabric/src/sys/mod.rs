//! The only unsafe code of this room: memory that is mapped, and system calls that take pointers.

mod batch;
mod datagram;
mod file;
mod interface;
mod mapping;
mod packet;
mod pktinfo;
mod socket;

pub(crate) use datagram::{PIECES_PER_GROUP, Receiver, Sender, Sent};
pub(crate) use file::{read_into, write_from};
pub(crate) use interface::{Facts, facts, index_of, name_of};
pub use mapping::Mapping;
pub(crate) use packet::{HEAD, PacketReceiver, PacketSender, bind_packet};
pub(crate) use pktinfo::{Control, Source, ask_for_local, local_of, put_control};
pub(crate) use socket::{peer_credentials, set_option};
