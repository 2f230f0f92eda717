//! The 24 bytes that make a message part of a reliable stream, there when [`Flags::SEQUENCED`] is set. They stand behind
//! the sub-header if there is one, else behind the extension; options follow them.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | the sender's incarnation |
//! | 4 | 4 | the receiver's incarnation |
//! | 8 | 4 | epoch of the sender's stream |
//! | 12 | 4 | floor: the receiver's epochs up to this one are over; 0 for none |
//! | 16 | 4 | number of the first byte of the payload in its lane |
//! | 20 | 4 | where the payload belongs in the whole message |

use super::{Extension, Flags, Header, SubHeader, WireError, u32_at};
use crate::Incarnation;

/// Where a message stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// The sender's life.
    pub source: Incarnation,
    /// The life of the receiver that it is for.
    pub destination: Incarnation,
    /// Which beginning of the sender's stream.
    pub epoch: u32,
    /// The receiver's stream must be of a later epoch than this; 0 for any.
    pub floor: u32,
    /// Number of the payload's first byte in its lane. An empty message takes one number too.
    pub number: u32,
    /// Bytes of the whole message before this payload.
    pub offset: u32,
}

impl Sequence {
    /// Length in bytes.
    pub const LEN: usize = 24;
    /// The number of a lane's first byte in every epoch: near the end, so that the wrap is met at once.
    pub const FIRST: u32 = 0xffff_fc00;

    /// Where it stands in a message with these flags.
    pub const fn at(flags: Flags) -> usize {
        let sub = if flags.has(Flags::SUBHEADER) { SubHeader::LEN } else { 0 };
        Header::LEN + Extension::LEN + sub
    }

    /// From a whole message.
    pub fn parse(header: &Header, message: &[u8]) -> Result<Sequence, WireError> {
        let at = Self::at(header.flags);
        let end = at + Self::LEN;
        let message = message.get(..usize::from(header.len)).filter(|m| m.len() >= end);
        let message = message.ok_or(WireError::HeaderLength(end))?;
        Ok(Sequence {
            source: Incarnation::new(u32_at(message, at)?),
            destination: Incarnation::new(u32_at(message, at + 4)?),
            epoch: u32_at(message, at + 8)?,
            floor: u32_at(message, at + 12)?,
            number: u32_at(message, at + 16)?,
            offset: u32_at(message, at + 20)?,
        })
    }

    /// Into a whole message with these flags.
    pub fn emit(&self, flags: Flags, message: &mut [u8]) -> Result<(), WireError> {
        let at = Self::at(flags);
        let end = at + Self::LEN;
        let out = message.get_mut(at..end).ok_or(WireError::Truncated(end))?;
        let fields = [self.source.get(), self.destination.get(), self.epoch, self.floor, self.number, self.offset];
        for (to, field) in out.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use std::vec;

    fn sequence() -> Sequence {
        Sequence {
            source: Incarnation::new(0x0403_0201),
            destination: Incarnation::new(0x0807_0605),
            epoch: 0x0c0b_0a09,
            floor: 0x100f_0e0d,
            number: 0x1413_1211,
            offset: 0x1817_1615,
        }
    }

    /// PROTOCOL 7.2.
    #[test]
    fn round_trip_over_old_bytes_with_and_without_a_sub_header() {
        for (flags, len) in [(Flags::SEQUENCED, 56), (Flags::SEQUENCED.with(Flags::SUBHEADER), 80)] {
            let header =
                Header { len: len as u8, flags, ..Header::frame(NodeId::new(1).unwrap(), NodeId::new(2).unwrap(), 0) };
            let mut out = vec![0xa5; len];
            sequence().emit(flags, &mut out).unwrap();
            assert!(out[len - 24..].iter().copied().eq(1..=24));
            assert_eq!(Sequence::parse(&header, &out), Ok(sequence()));
            for n in 0..len {
                assert!(Sequence::parse(&header, &out[..n]).is_err(), "{n}");
            }
            assert!(sequence().emit(flags, &mut out[..len - 1]).is_err());
            // A header that ends before it has none.
            let short = Header { len: len as u8 - 8, ..header };
            assert_eq!(Sequence::parse(&short, &out), Err(WireError::HeaderLength(len)));
        }
    }
}
