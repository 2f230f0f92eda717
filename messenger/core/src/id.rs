//! Numbers that identify: nodes, their incarnations, ports, segments, links, and the MAC address a node's number gives.

use core::{fmt, num::NonZeroU32};

/// The number of a node on the fabric: 1 to 0xffff_fffe. Zero is no node; all ones means every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU32);

impl NodeId {
    /// On the wire: for every member.
    pub const EVERY: u32 = u32::MAX;

    /// `None` for the two numbers that are no node's.
    pub const fn new(n: u32) -> Option<NodeId> {
        if n == Self::EVERY {
            return None;
        }
        match NonZeroU32::new(n) {
            Some(n) => Some(NodeId(n)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number that a node gets which was given only a name: FNV-1a of it, moved off the two reserved values.
    pub fn from_name(name: &str) -> NodeId {
        let hash = fnv1a(name.as_bytes());
        match NodeId::new(hash) {
            Some(id) => id,
            None => NodeId(NonZeroU32::MIN),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which life of a node this is: another value at each start, never zero. Not ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(NonZeroU32);

impl Incarnation {
    /// Zero is no incarnation; it becomes 1.
    pub const fn new(n: u32) -> Incarnation {
        match NonZeroU32::new(n) {
            Some(n) => Incarnation(n),
            None => Incarnation(NonZeroU32::MIN),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A port on a node: its place in the node's table, and how often that place was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId {
    /// The place in the table.
    pub index: u16,
    /// Raised each time the place is used again, so that a stale number never meets a new port.
    pub generation: u16,
}

impl PortId {
    /// The port on every node that answers for the node itself.
    pub const NODE: PortId = PortId { index: 0, generation: 0 };

    /// As the wire has it.
    pub const fn to_wire(self) -> u32 {
        (self.generation as u32) << 16 | self.index as u32
    }

    /// From the wire.
    pub const fn from_wire(n: u32) -> PortId {
        PortId { index: n as u16, generation: (n >> 16) as u16 }
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// An Ethernet broadcast domain on the fabric. Every node computes it from the segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

impl SegmentId {
    /// FNV-1a of the name.
    pub fn from_name(name: &str) -> SegmentId {
        SegmentId(fnv1a(name.as_bytes()))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A link of this node, numbered by whoever made it. Never used again within one life of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every station.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// The address a node's number gives: `02:4d` and the number, big-endian.
    pub const fn of(node: NodeId) -> Mac {
        let [a, b, c, d] = node.get().to_be_bytes();
        Mac([0x02, 0x4d, a, b, c, d])
    }

    /// The node whose address this is, if it has the form of one.
    pub const fn node(self) -> Option<NodeId> {
        match self.0 {
            [0x02, 0x4d, a, b, c, d] => NodeId::new(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// Broadcast or multicast.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn fnv1a(bytes: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_two_reserved_numbers_are_no_node() {
        assert_eq!(NodeId::new(0), None);
        assert_eq!(NodeId::new(u32::MAX), None);
        assert_eq!(NodeId::new(7).unwrap().get(), 7);
    }

    /// PROTOCOL 2.2.
    #[test]
    fn fnv1a_matches_its_published_vectors() {
        assert_eq!(fnv1a(b""), 0x811c9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9cf968);
    }

    /// PROTOCOL 2.2.
    #[test]
    fn mac_and_node_are_one() {
        let node = NodeId::new(0x0102_0304).unwrap();
        assert_eq!(Mac::of(node).to_string(), "02:4d:01:02:03:04");
        assert_eq!(Mac::of(node).node(), Some(node));
        assert_eq!(Mac([2, 0x4d, 0, 0, 0, 0]).node(), None);
        assert_eq!(Mac([2, 0x4e, 0, 0, 0, 1]).node(), None);
    }

    #[test]
    fn a_port_survives_the_wire() {
        let port = PortId { index: 3, generation: 9 };
        assert_eq!(PortId::from_wire(port.to_wire()), port);
    }
}
