//! The virtio-net header that tells of unfinished work: a checksum to complete, a super-frame to cut.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | flags: 1 checksum to complete, 2 checksum known to be good |
//! | 1 | 1 | kind of super-frame: 0 none, 1 TCP over IPv4, 4 TCP over IPv6, 5 UDP; 0x80 congestion mark |
//! | 2 | 2 | length of the headers of a super-frame |
//! | 4 | 2 | payload of each of its segments |
//! | 6 | 2 | where the checksum starts |
//! | 8 | 2 | where it is put, from there |
//!
//! All is little-endian; offsets count from the Ethernet header on.

/// What a super-frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gso {
    /// None: an ordinary frame.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
    /// A code this build does not know.
    Other(u8),
}

/// The header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VirtioNet {
    /// The flag byte.
    pub flags: u8,
    /// What kind of super-frame it is.
    pub gso: Gso,
    /// The super-frame's first segment carries a congestion mark (CWR).
    pub ecn: bool,
    /// Length of all headers of a super-frame in bytes; a hint.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// Where the checksum starts, from the Ethernet header on.
    pub csum_start: u16,
    /// Where it is put, from `csum_start` on.
    pub csum_offset: u16,
}

pub(crate) const ECN: u8 = 0x80;

impl VirtioNet {
    /// Its length in bytes.
    pub const LEN: usize = 10;
    /// Flag: the checksum field holds the sum of the pseudo-header only.
    pub const NEEDS_CSUM: u8 = 1;
    /// Flag: somebody has verified the checksum.
    pub const DATA_VALID: u8 = 2;

    /// Reads it; `None` when `bytes` is too short.
    pub fn parse(bytes: &[u8]) -> Option<VirtioNet> {
        let [flags, kind, rest @ ..] = bytes.first_chunk::<{ Self::LEN }>()?;
        let [h0, h1, g0, g1, s0, s1, o0, o1] = *rest;
        Some(VirtioNet {
            flags: *flags,
            gso: match kind & !ECN {
                0 => Gso::None,
                1 => Gso::Tcp4,
                4 => Gso::Tcp6,
                5 => Gso::Udp,
                other => Gso::Other(other),
            },
            ecn: kind & ECN != 0,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
        })
    }

    /// As bytes.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let kind = match self.gso {
            Gso::None => 0,
            Gso::Tcp4 => 1,
            Gso::Tcp6 => 4,
            Gso::Udp => 5,
            Gso::Other(code) => code & !ECN,
        };
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [g0, g1] = self.gso_size.to_le_bytes();
        let [s0, s1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        [self.flags, kind | if self.ecn { ECN } else { 0 }, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// The checksum is still to be completed.
    pub const fn needs_csum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }

    /// Nothing is left to do for the frame: the header may be left out.
    pub const fn is_trivial(&self) -> bool {
        !self.needs_csum() && matches!(self.gso, Gso::None)
    }

    /// Whether what it says is possible for a frame of `len` bytes of which the first `head` are known. A checksum must
    /// start and lie in the known part; a super-frame must be of a known kind, with a partial checksum and a segment size.
    pub const fn check(&self, head: usize, len: usize) -> bool {
        let known = if head < len { head } else { len };
        if self.needs_csum() {
            let start = self.csum_start as usize;
            if start < 14 || start + self.csum_offset as usize + 2 > known {
                return false;
            }
        }
        match self.gso {
            Gso::None => true,
            Gso::Other(_) => false,
            Gso::Udp if self.ecn => false,
            Gso::Tcp4 | Gso::Tcp6 | Gso::Udp => self.needs_csum() && self.gso_size > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 10] = [1, 0x81, 66, 0, 0xa8, 5, 34, 0, 16, 0];

    fn header() -> VirtioNet {
        VirtioNet { flags: 1, gso: Gso::Tcp4, ecn: true, hdr_len: 66, gso_size: 1448, csum_start: 34, csum_offset: 16 }
    }

    /// PROTOCOL 2.1.
    #[test]
    fn parse_and_emit() {
        assert_eq!(VirtioNet::parse(&BYTES), Some(header()));
        assert_eq!(header().emit(), BYTES);
        assert_eq!(VirtioNet::parse(&BYTES[..9]), None);
    }

    #[test]
    fn unknown_kinds_survive_and_are_refused() {
        let mut bytes = BYTES;
        bytes[1] = 3;
        let odd = VirtioNet::parse(&bytes).unwrap();
        assert_eq!((odd.gso, odd.emit()), (Gso::Other(3), bytes));
        assert!(!odd.check(100, 100));
    }

    #[test]
    fn offsets_must_lie_in_the_known_part() {
        assert!(header().check(52, 60_000));
        assert!(!header().check(51, 60_000));
        assert!(!header().check(60_000, 51));
        assert!(!VirtioNet { csum_start: 13, ..header() }.check(246, 60_000));
        assert!(!VirtioNet { csum_start: u16::MAX, csum_offset: u16::MAX, ..header() }.check(246, 60_000));
        assert!(!VirtioNet { gso_size: 0, ..header() }.check(246, 60_000));
        assert!(!VirtioNet { flags: 0, ..header() }.check(246, 60_000));
        assert!(VirtioNet::default().check(0, 14));
    }
}
