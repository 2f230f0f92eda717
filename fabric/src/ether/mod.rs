//! Raw Ethernet: messages in frames of an EtherType of their own, on any interface that looks like an Ethernet, with or
//! without an IP address.
//!
//! One carrier stands on one interface. A peer is a MAC address there; the broadcast address is a peer too, to find the
//! others by. What comes from an address that nobody attached is handed out as a stranger's.
//!
//! A frame on the wire, PROTOCOL section 10:
//!
//! ```text
//! 0            6            12     14     16
//! destination  source       0x88b5 length message ...  padding
//! ```
//!
//! Ethernet pads short frames, so the length of the message (two bytes, little-endian) stands in front of it; with these
//! 16 bytes in front, what is aligned in a message is aligned in the frame as well.
//!
//! The kernel sorts frames out before they cost anything: by EtherType, and by a filter that drops what a promiscuous
//! interface sees of others. The carrier follows its interface: renamed, switched off and on, unplugged, removed and
//! made again ([`crate::Carrier::medium`]).

mod carrier;
pub mod header;
mod interface;

pub use carrier::Ether;
pub use interface::{EtherError, interfaces};
pub use pnet_base::MacAddr;

/// The EtherType: the first of the two that IEEE 802 leaves to local experiments.
pub const ETHER_TYPE: u16 = 0x88b5;
