//! Where a peer is, as its carrier says it: bytes without a meaning here.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

/// Longest address in bytes.
const MOST: usize = 24;

/// An address on some carrier. Equal bytes are the same place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    len: u8,
    bytes: [u8; MOST],
}

impl Address {
    /// From a carrier's own form; `None` when it has more than 24 bytes.
    pub fn new(address: &[u8]) -> Option<Address> {
        let mut bytes = [0; MOST];
        bytes.get_mut(..address.len())?.copy_from_slice(address);
        Some(Address { len: u8::try_from(address.len()).ok()?, bytes })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The part of it that one sender can hardly have many of: an IPv4 address without its port, the first half of an
    /// IPv6 address, else all of it.
    pub(crate) fn origin(&self) -> &[u8] {
        let len = match self.socket() {
            Some(SocketAddr::V4(_)) => 16,
            Some(SocketAddr::V6(_)) => 8,
            None => usize::from(self.len),
        };
        self.bytes.get(..len).unwrap_or_default()
    }

    /// The socket address in it, if it was made from one.
    pub fn socket(&self) -> Option<SocketAddr> {
        match (*self.as_bytes().first_chunk::<22>()?, self.len) {
            (bytes, 22) => {
                let (ip, rest) = bytes.split_first_chunk::<16>()?;
                let (port, scope) = rest.split_first_chunk::<2>()?;
                let (ip, port) = (Ipv6Addr::from(*ip), u16::from_be_bytes(*port));
                let scope = u32::from_be_bytes(*scope.first_chunk()?);
                Some(match ip.to_ipv4_mapped() {
                    Some(v4) => SocketAddr::new(v4.into(), port),
                    None => SocketAddrV6::new(ip, port, 0, scope).into(),
                })
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Address {
    /// Addresses of version 4 become mapped ones of version 6, so that one place has one form.
    fn from(socket: SocketAddr) -> Address {
        let (ip, scope) = match socket {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        let mut bytes = [0; MOST];
        let parts = ip.octets().into_iter().chain(socket.port().to_be_bytes()).chain(scope.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Address { len: 22, bytes }
    }
}

impl From<[u8; 6]> for Address {
    /// An Ethernet address.
    fn from(mac: [u8; 6]) -> Address {
        let mut bytes = [0; MOST];
        bytes.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Address { len: 6, bytes }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = self.socket() {
            let ip: IpAddr = socket.ip();
            return if ip.is_ipv6() { write!(f, "{socket}") } else { write!(f, "{ip}:{}", socket.port()) };
        }
        for (i, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if i > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_addresses_survive() {
        for text in ["10.1.2.3:7400", "[fd00::1]:7400", "[fe80::1%3]:9"] {
            let socket: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(socket).socket(), Some(socket));
            assert_eq!(Address::from(socket).to_string(), text);
        }
        assert_eq!(Address::from([1, 2, 3, 4, 5, 6]).to_string(), "01:02:03:04:05:06");
        assert_eq!(Address::from([1; 6]).socket(), None);
        assert_eq!(Address::new(&[0; 25]), None);
    }

    #[test]
    fn an_origin_has_no_port() {
        let at = |text: &str| Address::from(text.parse::<SocketAddr>().unwrap());
        assert_eq!(at("10.1.2.3:1").origin(), at("10.1.2.3:2").origin());
        assert_ne!(at("10.1.2.3:1").origin(), at("10.1.2.4:1").origin());
        assert_eq!(at("[fd00::1]:1").origin(), at("[fd00::2]:2").origin());
    }
}
