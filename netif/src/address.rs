//! An IP address of an interface.

use netlink_packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage},
};
use std::{fmt, net::IpAddr};

/// An address, its prefix, and what the kernel says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
    /// IPv6: use it at once, without asking whether somebody has it.
    pub nodad: bool,
    /// IPv6: it is still being asked for, and not usable yet. Only told, never set.
    pub tentative: bool,
    /// IPv6: somebody else has it. Only told, never set.
    pub duplicate: bool,
}

impl Address {
    /// The address with that prefix.
    pub const fn new(ip: IpAddr, prefix: u8) -> Address {
        Address { ip, prefix, nodad: false, tentative: false, duplicate: false }
    }

    /// The same, to be used at once (IPv6).
    #[must_use]
    pub const fn without_dad(self) -> Address {
        Address { nodad: true, ..self }
    }

    /// Others can reach it: neither being asked for nor another's.
    pub const fn is_usable(&self) -> bool {
        !self.tentative && !self.duplicate
    }

    /// From the kernel; `None` when it has no address in it.
    pub(crate) fn from_message(message: &AddressMessage) -> Option<Address> {
        // IPv4 on a point-to-point interface: Local is ours, Address the peer's.
        let mut local = None;
        let mut address = None;
        let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Address(ip) => address = Some(*ip),
                AddressAttribute::Flags(all) => flags = *all,
                _ => {}
            }
        }
        Some(Address {
            ip: local.or(address)?,
            prefix: message.header.prefix_len,
            nodad: flags.contains(AddressFlags::Nodad),
            tentative: flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic),
            duplicate: flags.contains(AddressFlags::Dadfailed),
        })
    }

    /// For the kernel.
    pub(crate) fn to_message(self, index: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = self.prefix;
        message.attributes = vec![AddressAttribute::Local(self.ip), AddressAttribute::Address(self.ip)];
        match self.ip {
            IpAddr::V4(ip) => {
                message.header.family = AddressFamily::Inet;
                if self.prefix < 31 {
                    let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                    message.attributes.push(AddressAttribute::Broadcast((u32::from(ip) | host).into()));
                }
            }
            IpAddr::V6(_) => {
                message.header.family = AddressFamily::Inet6;
                if self.nodad {
                    message.header.flags = AddressHeaderFlags::Nodad;
                }
            }
        }
        message
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_message() {
        for (ip, prefix) in [("10.1.2.3", 24), ("10.1.2.3", 32), ("10.1.2.3", 0), ("fe80::1", 64)] {
            let address = Address::new(ip.parse().unwrap(), prefix);
            assert_eq!(Address::from_message(&address.to_message(7)), Some(address));
        }
        let nodad = Address::new("fd00::1".parse().unwrap(), 64).without_dad();
        assert_eq!(Address::from_message(&nodad.to_message(7)), Some(nodad));
        assert_eq!(Address::from_message(&AddressMessage::default()), None);
    }

    #[test]
    fn an_ipv4_broadcast_address_goes_with_it() {
        let message = Address::new("10.1.2.3".parse().unwrap(), 20).to_message(1);
        assert!(message.attributes.contains(&AddressAttribute::Broadcast("10.1.15.255".parse().unwrap())));
    }
}
