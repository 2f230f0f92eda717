//! The Ethernet header of a frame: addresses, up to two VLAN tags, and what it carries.

use messenger_core::Mac;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// 0x0800
    Ipv4,
    /// 0x86dd
    Ipv6,
    /// 0x0806
    Arp,
    /// Another type, or the length of an 802.3 frame.
    Other(u16),
}

impl From<u16> for Protocol {
    fn from(code: u16) -> Protocol {
        match code {
            0x0800 => Protocol::Ipv4,
            0x86dd => Protocol::Ipv6,
            0x0806 => Protocol::Arp,
            other => Protocol::Other(other),
        }
    }
}

/// What the Ethernet header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ethernet {
    /// Whom the frame is for.
    pub dst: Mac,
    /// Who says that it sent it.
    pub src: Mac,
    /// The tag control words of the VLAN tags, the outer one first.
    pub tags: [Option<u16>; 2],
    /// What the frame carries, behind the tags.
    pub protocol: Protocol,
    /// Where that starts, in bytes from the destination address on.
    pub payload: usize,
}

impl Ethernet {
    /// Length of a header without tags, in bytes.
    pub const LEN: usize = 14;

    /// Reads the header at the start of `bytes`; `None` when it is cut off. A third tag counts as payload.
    pub fn parse(bytes: &[u8]) -> Option<Ethernet> {
        let dst = Mac(*bytes.first_chunk()?);
        let src = Mac(*bytes.get(6..)?.first_chunk()?);
        let mut at = 12;
        let mut tags = [None; 2];
        for tag in &mut tags {
            match be16(bytes, at)? {
                0x8100 | 0x88a8 | 0x9100 => *tag = Some(be16(bytes, at + 2)?),
                _ => break,
            }
            at += 4;
        }
        Some(Ethernet { dst, src, tags, protocol: be16(bytes, at)?.into(), payload: at + 2 })
    }

    /// At least one VLAN tag.
    pub const fn is_tagged(&self) -> bool {
        self.tags[0].is_some()
    }
}

/// The big-endian u16 at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn frame(rest: &[u8]) -> Vec<u8> {
        let mut f = Vec::from([2, 0x4d, 0, 0, 0, 2, 2, 0x4d, 0, 0, 0, 1]);
        f.extend_from_slice(rest);
        f
    }

    #[test]
    fn tags_are_read_through() {
        let plain = Ethernet::parse(&frame(&[8, 0, 0x45])).unwrap();
        assert_eq!((plain.protocol, plain.payload, plain.is_tagged()), (Protocol::Ipv4, 14, false));
        assert_eq!((plain.dst.0[5], plain.src.0[5]), (2, 1));
        let tagged = Ethernet::parse(&frame(&[0x81, 0, 0x20, 5, 0x86, 0xdd])).unwrap();
        assert_eq!((tagged.protocol, tagged.payload, tagged.tags), (Protocol::Ipv6, 18, [Some(0x2005), None]));
        let double = Ethernet::parse(&frame(&[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 8, 6])).unwrap();
        assert_eq!((double.protocol, double.payload, double.tags), (Protocol::Arp, 22, [Some(9), Some(5)]));
        let triple = Ethernet::parse(&frame(&[0x81, 0, 0, 9, 0x81, 0, 0, 5, 0x81, 0, 0, 1, 8, 6])).unwrap();
        assert_eq!((triple.protocol, triple.payload), (Protocol::Other(0x8100), 22));
    }

    #[test]
    fn cut_off_headers_are_none() {
        let whole = frame(&[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 8, 6]);
        for n in 0..whole.len() {
            assert_eq!(Ethernet::parse(&whole[..n]), None, "{n}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(e) = Ethernet::parse(&bytes) {
                prop_assert!(e.payload <= bytes.len());
            }
        }
    }
}
