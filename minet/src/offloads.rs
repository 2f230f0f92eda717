//! What a node can take, as its greeting says it.

use crate::{Gso, VirtioNet};
use core::fmt;

/// A set of abilities. Bits this build does not know are dropped.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Offloads(u32);

impl Offloads {
    /// Nothing: whole frames with complete checksums, no virtio-net header.
    pub const NONE: Offloads = Offloads(0);
    /// Virtio-net headers and partial checksums.
    pub const CSUM: Offloads = Offloads(1);
    /// TCP super-frames over IPv4.
    pub const TSO4: Offloads = Offloads(1 << 1);
    /// TCP super-frames over IPv6.
    pub const TSO6: Offloads = Offloads(1 << 2);
    /// TCP super-frames with congestion marks.
    pub const TSO_ECN: Offloads = Offloads(1 << 3);
    /// UDP super-frames.
    pub const USO: Offloads = Offloads(1 << 4);
    /// Frames in slices.
    pub const SLICES: Offloads = Offloads(1 << 5);
    /// All of these.
    pub const ALL: Offloads = Offloads(0x3f);

    const NAMES: [(Offloads, &'static str); 6] = [
        (Offloads::CSUM, "csum"),
        (Offloads::TSO4, "tso4"),
        (Offloads::TSO6, "tso6"),
        (Offloads::TSO_ECN, "tso-ecn"),
        (Offloads::USO, "uso"),
        (Offloads::SLICES, "slices"),
    ];

    /// From a greeting.
    pub const fn from_bits(bits: u32) -> Offloads {
        Offloads(bits & Self::ALL.0)
    }

    /// For a greeting.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// All of `other`'s.
    pub const fn has(self, other: Offloads) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Offloads) -> Offloads {
        Offloads(self.0 | other.0)
    }

    /// Without `other`'s.
    #[must_use]
    pub const fn without(self, other: Offloads) -> Offloads {
        Offloads(self.0 & !other.0)
    }

    /// What somebody must take to be given a frame with such a virtio-net header as it is.
    pub const fn wanted(vnet: &VirtioNet) -> Offloads {
        let kind = match vnet.gso {
            Gso::None | Gso::Other(_) => Offloads::NONE,
            Gso::Tcp4 => Offloads::TSO4,
            Gso::Tcp6 => Offloads::TSO6,
            Gso::Udp => Offloads::USO,
        };
        let csum = if vnet.is_trivial() { Offloads::NONE } else { Offloads::CSUM };
        let mark = if vnet.ecn { Offloads::TSO_ECN } else { Offloads::NONE };
        kind.with(csum).with(mark)
    }

    /// What is in both.
    #[must_use]
    pub const fn common(self, other: Offloads) -> Offloads {
        Offloads(self.0 & other.0)
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (_, name) in Self::NAMES.iter().filter(|(bit, _)| self.has(*bit)) {
            if !first {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
            first = false;
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Debug for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn survives_a_greeting_and_drops_what_is_unknown() {
        let set = Offloads::CSUM.with(Offloads::USO);
        assert_eq!(Offloads::from_bits(set.bits() | 1 << 31), set);
        assert_eq!(set.to_string(), "csum uso");
        assert_eq!(Offloads::NONE.to_string(), "none");
        assert_eq!(Offloads::ALL.without(Offloads::CSUM).common(set), Offloads::USO);
    }

    #[test]
    fn a_frame_wants_what_its_header_leaves_undone() {
        let vnet = VirtioNet::default();
        assert_eq!(Offloads::wanted(&vnet), Offloads::NONE);
        assert_eq!(Offloads::wanted(&VirtioNet { flags: VirtioNet::DATA_VALID, ..vnet }), Offloads::NONE);
        let partial = VirtioNet { flags: VirtioNet::NEEDS_CSUM, ..vnet };
        assert_eq!(Offloads::wanted(&partial), Offloads::CSUM);
        let marked = VirtioNet { gso: Gso::Tcp6, ecn: true, ..partial };
        assert_eq!(Offloads::wanted(&marked), Offloads::CSUM.with(Offloads::TSO6).with(Offloads::TSO_ECN));
    }
}
