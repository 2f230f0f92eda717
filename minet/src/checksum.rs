//! The internet checksum, and completing one that was left partial.

use core::net::IpAddr;

/// What is missing from a checksum: the sum from `start` to the end of the bytes, put at `field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Where the sum starts.
    pub start: usize,
    /// Where it is put: at or behind `start`.
    pub field: usize,
}

/// Completes a partial checksum in private memory that holds all the bytes; `false`, and nothing done, when the offsets
/// are not inside. The field holds the sum of the pseudo-header before, the checksum afterwards.
pub fn complete_checksum(bytes: &mut [u8], completion: Completion) -> bool {
    let Completion { start, field } = completion;
    if field < start {
        return false;
    }
    let Some(sum) = bytes.get(start..).map(sum) else { return false };
    let Some(place) = bytes.get_mut(field..).and_then(|b| b.first_chunk_mut::<2>()) else { return false };
    *place = match !fold(sum) {
        0 => [0xff, 0xff],
        sum => sum.to_be_bytes(),
    };
    true
}

/// The unfolded sum of big-endian 16-bit words; an odd byte at the end counts as a high one.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    let whole: u64 = chunks.map(|c| c.first_chunk().map_or(0, |c| u64::from(u32::from_be_bytes(*c)))).sum();
    let mut last = [0; 4];
    if let Some(place) = last.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
    }
    whole + u64::from(u32::from_be_bytes(last))
}

/// Down to 16 bits, carries added in.
pub(crate) fn fold(sum: u64) -> u16 {
    let mut sum = (sum >> 32) + (sum & 0xffff_ffff);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// The unfolded sum of a pseudo-header without its length.
pub(crate) fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8) -> u64 {
    let one = |address| match address {
        IpAddr::V4(a) => sum(&a.octets()),
        IpAddr::V6(a) => sum(&a.octets()),
    };
    one(src) + one(dst) + u64::from(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn sums_as_rfc1071_has_it() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum(&[0x01])), 0x0100);
        assert_eq!(fold(sum(&[0xff; 65_536])), 0xffff);
    }

    proptest! {
        #[test]
        fn completes_as_etherparse_computes(payload in proptest::collection::vec(any::<u8>(), 0..600), v6: bool, tcp: bool) {
            let ip = if v6 {
                PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([1; 16], [9; 16], 64)
            } else {
                PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            };
            let mut whole = Vec::new();
            if tcp {
                ip.tcp(1, 2, 3, 4).write(&mut whole, &payload).unwrap();
            } else {
                ip.udp(1, 2).write(&mut whole, &payload).unwrap();
            }
            let start = 14 + if v6 { 40 } else { 20 };
            let field = start + if tcp { 16 } else { 6 };
            let (src, dst): (IpAddr, IpAddr) =
                if v6 { ([1; 16].into(), [9; 16].into()) } else { ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()) };
            let mut partial = whole.clone();
            let len = (whole.len() - start) as u64;
            let seed = fold(pseudo(src, dst, if tcp { 6 } else { 17 }) + len);
            partial[field..field + 2].copy_from_slice(&seed.to_be_bytes());
            let done = complete_checksum(&mut partial, Completion { start, field });
            prop_assert!(done);
            if whole[field..field + 2] == [0, 0] {
                whole[field..field + 2].fill(0xff);
            }
            prop_assert_eq!(partial, whole);
        }

        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), start in 0usize..80, field in 0usize..80) {
            let before = bytes.clone();
            if !complete_checksum(&mut bytes, Completion { start, field }) {
                prop_assert_eq!(before, bytes);
            }
        }
    }
}
