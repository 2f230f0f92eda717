//! The forwarding snapshot of one segment: built by the control thread, read by lanes without a lock.

use crate::Offloads;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use messenger_core::{Mac, NodeId, SegmentId};

/// Where a message to a member leaves this node. Opaque here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Which carrier of the lane.
    pub carrier: u8,
    /// Which channel of it.
    pub channel: u32,
}

/// Another node on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// The node at the other end of `hop`: `node` itself when it is linked directly, else the one that relays.
    pub via: NodeId,
    /// Where messages for it leave; `None` while it cannot be reached.
    pub hop: Option<Hop>,
    /// The largest message of the first link of the path to it, in bytes.
    pub message: usize,
    /// The largest message of the whole path, in bytes: slices must fit it, since nobody on the way can cut them.
    pub slice: usize,
    /// The largest Ethernet frame its interface takes: MTU and 14 bytes. VLAN tags do not count.
    pub largest_frame: usize,
    /// What it takes.
    pub offloads: Offloads,
}

impl Member {
    /// The largest IP packet its interface takes, in bytes.
    pub const fn mtu(&self) -> usize {
        self.largest_frame.saturating_sub(crate::Ethernet::LEN)
    }

    /// The largest message with a slice in it that arrives.
    pub(crate) const fn slice_most(&self) -> usize {
        if self.slice < self.message { self.slice } else { self.message }
    }

    /// It is linked to us, with nobody in between.
    pub fn is_direct(&self) -> bool {
        self.via == self.node
    }
}

/// A station behind a node, as the control thread learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its address.
    pub mac: Mac,
    /// The node it is behind; may be our own.
    pub node: NodeId,
    /// It flapped: what comes from it is dropped for now.
    pub blocked: bool,
}

/// What is allowed on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Stations behind nodes are allowed and learned.
    pub learn: bool,
    /// ARP requests and neighbour solicitations for members are answered here.
    pub answer: bool,
    /// Broadcast, multicast and unknown unicast frames that one source may send each second. 0: no limit.
    pub broadcast_rate: u32,
    /// How many of these may come at once.
    pub broadcast_burst: u32,
    /// ICMP "too big" answers that a lane makes each second. 0: none.
    pub icmp_rate: u32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { learn: false, answer: true, broadcast_rate: 10_000, broadcast_burst: 20_000, icmp_rate: 100 }
    }
}

/// The snapshot.
#[derive(Clone, Debug)]
pub struct Table {
    own: NodeId,
    mac: Mac,
    segment: SegmentId,
    largest_frame: usize,
    offloads: Offloads,
    policy: Policy,
    members: Vec<Member>,
    stations: Vec<Station>,
    ipv4: Vec<(Ipv4Addr, NodeId)>,
    ipv6: Vec<(Ipv6Addr, NodeId)>,
}

impl Table {
    /// Begins one for our own node on a segment. Our MAC is the computed one, our largest frame 1514 bytes, and our
    /// interface takes all offloads.
    pub fn builder(own: NodeId, segment: SegmentId) -> TableBuilder {
        TableBuilder {
            table: Table {
                own,
                mac: Mac::of(own),
                segment,
                largest_frame: 1514,
                offloads: Offloads::ALL,
                policy: Policy::default(),
                members: Vec::new(),
                stations: Vec::new(),
                ipv4: Vec::new(),
                ipv6: Vec::new(),
            },
        }
    }

    /// Whether that is the address of our interface, or the computed one of this node.
    pub fn is_ours(&self, to: Mac) -> bool {
        to == self.mac || to.node() == Some(self.own)
    }

    /// Our own node.
    pub const fn own(&self) -> NodeId {
        self.own
    }

    /// Our interface's address.
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// Which segment it is.
    pub const fn segment(&self) -> SegmentId {
        self.segment
    }

    /// The largest Ethernet frame our interface takes.
    pub const fn largest_frame(&self) -> usize {
        self.largest_frame
    }

    /// What our interface takes.
    pub const fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// What is allowed.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The other members, by number.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The stations, by address.
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// The place of a node among the members.
    pub fn find(&self, node: NodeId) -> Option<usize> {
        self.members.binary_search_by_key(&node, |m| m.node).ok()
    }

    /// The member at a place.
    pub fn member(&self, at: usize) -> Option<&Member> {
        self.members.get(at)
    }

    /// The station with an address.
    pub fn station(&self, mac: Mac) -> Option<&Station> {
        self.stations.binary_search_by_key(&mac, |s| s.mac).ok().and_then(|at| self.stations.get(at))
    }

    /// The node that has an address; may be our own.
    pub fn owner(&self, address: IpAddr) -> Option<NodeId> {
        match address {
            IpAddr::V4(a) => self.owner4(a),
            IpAddr::V6(a) => self.owner6(a),
        }
    }

    /// Places of the members that a frame for all goes to: each one that can be reached.
    pub fn flood(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.iter().enumerate().filter(|(_, m)| m.hop.is_some()).map(|(at, _)| at)
    }

    pub(crate) fn owner4(&self, address: Ipv4Addr) -> Option<NodeId> {
        let at = self.ipv4.binary_search_by_key(&address, |(a, _)| *a).ok()?;
        self.ipv4.get(at).map(|(_, node)| *node)
    }

    pub(crate) fn owner6(&self, address: Ipv6Addr) -> Option<NodeId> {
        let at = self.ipv6.binary_search_by_key(&address, |(a, _)| *a).ok()?;
        self.ipv6.get(at).map(|(_, node)| *node)
    }

    /// The reachable member that has an address.
    pub(crate) fn member_with(&self, address: IpAddr) -> Option<(usize, &Member)> {
        let at = self.find(self.owner(address)?)?;
        self.member(at).filter(|m| m.hop.is_some()).map(|m| (at, m))
    }
}

/// Collects what a [`Table`] is made of. Of two entries with one key the later one counts.
#[derive(Clone, Debug)]
pub struct TableBuilder {
    table: Table,
}

impl TableBuilder {
    /// Our interface's address, when it is not the computed one.
    #[must_use]
    pub fn mac(mut self, mac: Mac) -> Self {
        self.table.mac = mac;
        self
    }

    /// The largest Ethernet frame our interface takes: MTU and 14 bytes.
    #[must_use]
    pub fn largest_frame(mut self, bytes: usize) -> Self {
        self.table.largest_frame = bytes;
        self
    }

    /// What our interface takes, as our greeting says it. What a peer sends beyond it is dropped.
    #[must_use]
    pub fn offloads(mut self, offloads: Offloads) -> Self {
        self.table.offloads = offloads;
        self
    }

    /// What is allowed.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.table.policy = policy;
        self
    }

    /// Adds a member. Our own node is none and is left out.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        if member.node != self.table.own {
            self.table.members.push(member);
        }
        self
    }

    /// Adds a station behind a node.
    #[must_use]
    pub fn station(mut self, station: Station) -> Self {
        self.table.stations.push(station);
        self
    }

    /// Adds an address of a node, our own among them. The unspecified address and groups are nobody's.
    #[must_use]
    pub fn address(mut self, address: IpAddr, node: NodeId) -> Self {
        if !address.is_unspecified() && !address.is_multicast() {
            match address {
                IpAddr::V4(a) => self.table.ipv4.push((a, node)),
                IpAddr::V6(a) => self.table.ipv6.push((a, node)),
            }
        }
        self
    }

    /// Adds many of each; handy where they are kept in collections.
    #[must_use]
    pub fn extend(
        self,
        members: impl IntoIterator<Item = Member>,
        stations: impl IntoIterator<Item = Station>,
        addresses: impl IntoIterator<Item = (IpAddr, NodeId)>,
    ) -> Self {
        let with_members = members.into_iter().fold(self, TableBuilder::member);
        let with_stations = stations.into_iter().fold(with_members, TableBuilder::station);
        addresses.into_iter().fold(with_stations, |b, (address, node)| b.address(address, node))
    }

    /// Sorts all and makes the snapshot.
    pub fn build(self) -> Table {
        let mut table = self.table;
        sort(&mut table.members, |m| m.node);
        sort(&mut table.stations, |s| s.mac);
        sort(&mut table.ipv4, |(a, _)| *a);
        sort(&mut table.ipv6, |(a, _)| *a);
        table
    }
}

/// Sorts by key and keeps the last of equal ones.
fn sort<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    items.reverse();
    items.sort_by_key(&key);
    items.dedup_by_key(|item| key(item));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{member, node};

    #[test]
    fn finds_what_was_put_in_whatever_the_order() {
        let table = Table::builder(node(5), SegmentId(1))
            .member(member(9))
            .member(member(2))
            .member(member(5))
            .member(Member { largest_frame: 100, ..member(7) })
            .member(Member { hop: None, largest_frame: 200, ..member(7) })
            .address("10.0.0.9".parse().unwrap(), node(9))
            .address("10.0.0.5".parse().unwrap(), node(5))
            .address("fe80::2".parse().unwrap(), node(2))
            .address("0.0.0.0".parse().unwrap(), node(2))
            .address("224.0.0.1".parse().unwrap(), node(2))
            .build();
        assert_eq!(table.members().iter().map(|m| m.node.get()).collect::<Vec<_>>(), [2, 7, 9]);
        assert_eq!(table.member(table.find(node(7)).unwrap()).unwrap().largest_frame, 200);
        assert_eq!(table.flood().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(table.owner("10.0.0.9".parse().unwrap()), Some(node(9)));
        assert_eq!(table.owner("10.0.0.5".parse().unwrap()), Some(node(5)));
        assert_eq!(table.owner("fe80::2".parse().unwrap()), Some(node(2)));
        assert_eq!(table.owner("0.0.0.0".parse().unwrap()), None);
        assert_eq!(table.owner("224.0.0.1".parse().unwrap()), None);
        assert_eq!(table.find(node(5)), None);
        assert_eq!(table.find(node(3)), None);
    }
}
