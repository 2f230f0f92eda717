//! The 16-byte header in front of everything.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | version (high nibble), header length in 8-byte units (low nibble) |
//! | 1 | 1 | kind |
//! | 2 | 2 | flags: priority (bits 0-1), first, more, slice, offload, sub-header, options, hops left (bits 8-10), sequenced, receipt, response |
//! | 4 | 4 | source node |
//! | 8 | 4 | destination node, all ones for every member, zero where not known yet |
//! | 12 | 4 | destination port; for a frame the segment, for a link message the sender's session |

use super::{VERSION, WireError, array, u16_at, u32_at};
use crate::NodeId;
use core::fmt;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Between the two ends of a link: greeting, heartbeat, registry.
    Link,
    /// A message to a port.
    Message,
    /// The receiving node's verdict on a message.
    Receipt,
    /// The receiving port's answer.
    Response,
    /// An Ethernet frame.
    Frame,
    /// What a receiver has of a stream of messages.
    Ack,
    /// A code this build does not know.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(code: u8) -> Kind {
        match code {
            0 => Kind::Link,
            1 => Kind::Message,
            2 => Kind::Receipt,
            3 => Kind::Response,
            4 => Kind::Frame,
            5 => Kind::Ack,
            other => Kind::Other(other),
        }
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> u8 {
        match kind {
            Kind::Link => 0,
            Kind::Message => 1,
            Kind::Receipt => 2,
            Kind::Response => 3,
            Kind::Frame => 4,
            Kind::Ack => 5,
            Kind::Other(code) => code,
        }
    }
}

/// Which of a port's four areas a message goes to; 0 is the most urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others.
    Urgent,
    /// Before the usual.
    High,
    /// The usual.
    #[default]
    Normal,
    /// After the usual.
    Low,
}

/// The flag word. Bits that this build does not know are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Priority {
    /// All four, the most urgent first.
    pub const ALL: [Priority; 4] = [Priority::Urgent, Priority::High, Priority::Normal, Priority::Low];
}

impl Flags {
    /// First part of a run.
    pub const FIRST: Flags = Flags(1 << 2);
    /// More parts of the run follow.
    pub const MORE: Flags = Flags(1 << 3);
    /// The part is a slice of one frame (a [`super::Slice`] follows the header), not a whole segment.
    pub const SLICE: Flags = Flags(1 << 4);
    /// A 10-byte virtio-net header, little-endian, stands before the Ethernet frame.
    pub const OFFLOAD: Flags = Flags(1 << 5);
    /// A sub-header follows the extension.
    pub const SUBHEADER: Flags = Flags(1 << 6);
    /// Options follow.
    pub const OPTIONS: Flags = Flags(1 << 7);
    /// Of a message: it is part of a reliable stream, a [`super::Sequence`] says where.
    pub const SEQUENCED: Flags = Flags(1 << 11);
    /// Of a message: the sender waits for a receipt.
    pub const RECEIPT: Flags = Flags(1 << 12);
    /// Of a message: the sender waits for a response.
    pub const RESPONSE: Flags = Flags(1 << 13);
    /// How many more nodes may relay a message that starts here.
    pub const MAX_HOPS: u8 = 7;

    /// All of `other`'s bits are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Without `other`'s bits.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The priority bits.
    pub const fn priority(self) -> Priority {
        match self.0 & 3 {
            0 => Priority::Urgent,
            1 => Priority::High,
            2 => Priority::Normal,
            _ => Priority::Low,
        }
    }

    /// With these priority bits.
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Flags {
        Flags((self.0 & !3) | priority as u16)
    }

    /// How many more nodes may relay this message.
    pub const fn hops(self) -> u8 {
        (self.0 >> 8 & 7) as u8
    }

    /// With that many hops left, at most [`Flags::MAX_HOPS`].
    #[must_use]
    pub const fn with_hops(self, hops: u8) -> Flags {
        let hops = if hops > Self::MAX_HOPS { Self::MAX_HOPS } else { hops };
        Flags((self.0 & !(7 << 8)) | ((hops as u16) << 8))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Whole length of header, extension, sub-header and options, in bytes; a multiple of 8.
    pub len: u8,
    /// What follows.
    pub kind: Kind,
    /// Priority, run and relay flags.
    pub flags: Flags,
    /// The node that made the message.
    pub source: u32,
    /// The node it is for, [`NodeId::EVERY`] or 0 (not known yet).
    pub destination: u32,
    /// Destination port, segment or session: see the table above.
    pub port: u32,
}

impl Header {
    /// Length of the fixed part, all that a frame has.
    pub const LEN: usize = 16;
    /// The longest header with all that belongs to it.
    pub const MAX_LEN: usize = 15 * 8;

    /// The header of a whole frame.
    pub const fn frame(source: NodeId, destination: NodeId, segment: u32) -> Header {
        Header {
            len: Self::LEN as u8,
            kind: Kind::Frame,
            flags: Flags(Priority::Normal as u16).with_hops(Flags::MAX_HOPS),
            source: source.get(),
            destination: destination.get(),
            port: segment,
        }
    }

    /// Reads and checks the fixed part. `bytes` may end after it: whether the rest is there is for [`Header::body`].
    pub fn parse(bytes: &[u8]) -> Result<Header, WireError> {
        let [first, kind] = array(bytes, 0)?;
        if first >> 4 != VERSION {
            return Err(WireError::Version(first >> 4));
        }
        let len = usize::from(first & 15) * 8;
        if len < Self::LEN {
            return Err(WireError::HeaderLength(len));
        }
        let header = Header {
            len: len as u8,
            kind: kind.into(),
            flags: Flags(u16_at(bytes, 2)?),
            source: u32_at(bytes, 4)?,
            destination: u32_at(bytes, 8)?,
            port: u32_at(bytes, 12)?,
        };
        match NodeId::new(header.source) {
            Some(_) => Ok(header),
            None => Err(WireError::Field("source")),
        }
    }

    /// What follows the header in `message`.
    pub fn body<'a>(&self, message: &'a [u8]) -> Result<&'a [u8], WireError> {
        message.get(usize::from(self.len)..).ok_or(WireError::HeaderLength(usize::from(self.len)))
    }

    /// Writes the fixed part; what stands behind it is the caller's.
    pub fn emit(&self, bytes: &mut [u8]) -> Result<(), WireError> {
        let out = bytes.first_chunk_mut::<{ Self::LEN }>().ok_or(WireError::Truncated(Self::LEN))?;
        out[0] = (VERSION << 4) | ((self.len / 8) & 15);
        out[1] = self.kind.into();
        out[2..4].copy_from_slice(&self.flags.0.to_le_bytes());
        out[4..8].copy_from_slice(&self.source.to_le_bytes());
        out[8..12].copy_from_slice(&self.destination.to_le_bytes());
        out[12..16].copy_from_slice(&self.port.to_le_bytes());
        Ok(())
    }

    /// The node that made the message.
    pub const fn source_node(&self) -> Option<NodeId> {
        NodeId::new(self.source)
    }

    /// The one node it is for, if it is for one.
    pub const fn destination_node(&self) -> Option<NodeId> {
        NodeId::new(self.destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [0x12, 4, 0x2e, 0x07, 1, 0, 0, 0, 2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];

    fn header() -> Header {
        Header {
            flags: Flags(2).with(Flags::FIRST).with(Flags::MORE).with(Flags::OFFLOAD).with_hops(7),
            ..Header::frame(NodeId::new(1).unwrap(), NodeId::new(2).unwrap(), 0x1234_5678)
        }
    }

    #[test]
    fn parse() {
        assert_eq!(Header::parse(&BYTES), Ok(header()));
    }

    #[test]
    fn emit_over_old_bytes() {
        let mut out = [0xa5; 16];
        header().emit(&mut out).unwrap();
        assert_eq!(out, BYTES);
    }

    #[test]
    fn every_truncation_is_an_answer() {
        for n in 0..BYTES.len() {
            assert!(matches!(Header::parse(&BYTES[..n]), Err(WireError::Truncated(_))), "{n}");
        }
    }

    /// PROTOCOL 1.5.
    #[test]
    fn other_versions_and_lengths_are_refused() {
        let mut bytes = BYTES;
        bytes[0] = 0x22;
        assert_eq!(Header::parse(&bytes), Err(WireError::Version(2)));
        bytes[0] = 0x11;
        assert_eq!(Header::parse(&bytes), Err(WireError::HeaderLength(8)));
        let mut bytes = BYTES;
        bytes[4..8].fill(0xff);
        assert_eq!(Header::parse(&bytes), Err(WireError::Field("source")));
    }

    #[test]
    fn unknown_kinds_and_flags_survive() {
        let mut bytes = BYTES;
        bytes[1] = 0x77;
        bytes[3] = 0xff;
        let mut out = [0; 16];
        Header::parse(&bytes).unwrap().emit(&mut out).unwrap();
        assert_eq!(out, bytes);
    }

    /// PROTOCOL 1.3.
    #[test]
    fn flag_fields_do_not_touch_each_other() {
        let f = Flags(0xffff).with_hops(0).with_priority(Priority::Urgent);
        assert_eq!((f.hops(), f.priority()), (0, Priority::Urgent));
        assert_eq!(f.with_hops(200).hops(), Flags::MAX_HOPS);
        assert!(f.has(Flags::MORE) && !f.without(Flags::MORE).has(Flags::MORE));
    }
}
