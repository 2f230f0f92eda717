//! An open interface: its name, what its descriptors speak, and the descriptors.

use crate::Error;
use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The longest interface name, in bytes.
pub const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// What the descriptors carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Ethernet frames.
    Tap,
    /// IP packets.
    Tun,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Tap => "TAP",
            Mode::Tun => "TUN",
        })
    }
}

/// What the kernel may leave undone in what it hands out through a virtio-net header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offloads {
    /// Checksums.
    pub csum: bool,
    /// Cutting TCP over IPv4.
    pub tso4: bool,
    /// Cutting TCP over IPv6.
    pub tso6: bool,
    /// Cutting TCP with congestion marks.
    pub tso_ecn: bool,
    /// Cutting UDP, over IPv4 and IPv6.
    pub uso: bool,
}

impl Offloads {
    /// Nothing.
    pub const NONE: Offloads = Offloads { csum: false, tso4: false, tso6: false, tso_ecn: false, uso: false };
    /// Everything.
    pub const ALL: Offloads = Offloads { csum: true, tso4: true, tso6: true, tso_ecn: true, uso: true };

    /// The flag word of `TUNSETOFFLOAD`. The kernel takes nothing else without checksums.
    pub(crate) fn flags(self) -> libc::c_uint {
        if !self.csum {
            return 0;
        }
        let when = |on, flag| if on { flag } else { 0 };
        let tso = self.tso4 || self.tso6;
        libc::TUN_F_CSUM
            | when(self.tso4, libc::TUN_F_TSO4)
            | when(self.tso6, libc::TUN_F_TSO6)
            | when(self.tso_ecn && tso, libc::TUN_F_TSO_ECN)
            | when(self.uso, libc::TUN_F_USO4 | libc::TUN_F_USO6)
    }

    /// What of it makes sense together.
    pub(crate) fn sane(self) -> Offloads {
        let Offloads { csum, tso4, tso6, tso_ecn, uso } = self;
        Offloads {
            csum,
            tso4: csum && tso4,
            tso6: csum && tso6,
            tso_ecn: csum && tso_ecn && (tso4 || tso6),
            uso: csum && uso,
        }
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.csum, "csum"),
            (self.tso4, "tso4"),
            (self.tso6, "tso6"),
            (self.tso_ecn, "tso-ecn"),
            (self.uso, "uso"),
        ];
        let names: Vec<&str> = all.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

/// An open interface. The kernel removes it when the last descriptor is closed, unless it was made to persist.
#[derive(Debug)]
pub struct Interface {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) vnet: bool,
    pub(crate) offloads: Offloads,
    pub(crate) queues: Vec<OwnedFd>,
}

impl Interface {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Frames or packets.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A 10-byte little-endian virtio-net header stands before each frame, on reading and on writing.
    pub fn has_vnet_header(&self) -> bool {
        self.vnet
    }

    /// What the kernel granted.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// The descriptors, at least one. They do not block and are closed on exec.
    pub fn queues(&self) -> &[OwnedFd] {
        &self.queues
    }

    /// One of them.
    pub fn queue(&self, at: usize) -> Option<BorrowedFd<'_>> {
        self.queues.get(at).map(AsFd::as_fd)
    }

    /// Gives the descriptors away, one for each lane.
    pub fn into_queues(self) -> Vec<OwnedFd> {
        self.queues
    }
}

/// Refuses what the kernel would not take as a name, or would take as a pattern.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |why| Err(Error::BadName { name: name.to_owned(), why });
    if name.is_empty() {
        return bad("is empty");
    }
    if name.len() > NAME_MAX {
        return Err(Error::NameTooLong { name: name.to_owned() });
    }
    if name == "." || name == ".." {
        return bad("is a directory");
    }
    if name.contains(['/', ':', '%']) {
        return bad("has one of the characters / : %");
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return bad("has white space or a control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_kernel_does_not_take_are_refused_with_the_reason() {
        for good in ["mn0", "a", "minet-segment-1", "größe"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:1", "mn%d", "a b", "a\0b", "a\n"] {
            assert!(matches!(check_name(bad), Err(Error::BadName { .. })), "{bad:?}");
        }
        assert!(matches!(check_name("0123456789abcdef"), Err(Error::NameTooLong { .. })));
    }

    #[test]
    fn offloads_need_checksums() {
        assert_eq!(Offloads { csum: false, ..Offloads::ALL }.flags(), 0);
        assert_eq!(Offloads { csum: false, ..Offloads::ALL }.sane(), Offloads::NONE);
        assert_eq!(Offloads::ALL.flags(), 0x6f);
        assert_eq!(Offloads::ALL.to_string(), "csum tso4 tso6 tso-ecn uso");
        assert_eq!(Offloads::NONE.to_string(), "none");
        assert!(!Offloads { tso4: false, tso6: false, ..Offloads::ALL }.sane().tso_ecn);
    }
}
