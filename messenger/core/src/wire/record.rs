//! A registry record: what the fabric knows of one member. The member writes it, everybody else passes it on unchanged.

use super::{
    WireError,
    cursor::{Reader, Writer},
};
use crate::{Incarnation, Name, NodeId, SegmentId};
use alloc::vec::Vec;

/// A member's interface on a segment; its port there is named `minet/<segment>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The segment.
    pub segment: SegmentId,
    /// Its name.
    pub name: Name,
    /// Largest Ethernet frame it takes, in bytes with the Ethernet header, without VLAN tags.
    pub frame: u32,
    /// What need not be done for it: a bit set of the data link's.
    pub offloads: u32,
    /// Its IPv4 addresses there.
    pub v4: Vec<[u8; 4]>,
    /// Its IPv6 addresses there.
    pub v6: Vec<[u8; 16]>,
}

/// What the fabric knows of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The member.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Raised by the member at every change; the highest counts.
    pub version: u64,
    /// Its name.
    pub name: Name,
    /// It passes on what is meant for others.
    pub relay: bool,
    /// It is about to leave, and wants no new messages.
    pub leaving: bool,
    /// The members it has a live conduit to, in order.
    pub neighbours: Vec<NodeId>,
    /// The largest message to each of them, in bytes and in their order. Empty where the member does not tell.
    pub messages: Vec<u32>,
    /// Its interfaces.
    pub attachments: Vec<Attachment>,
}

/// Bits of a record's flags.
const RELAYS: u8 = 1;
const LEAVES: u8 = 1 << 1;
/// An option behind the fixed fields: the largest message to each neighbour.
const MESSAGES: u8 = 1;

impl Record {
    /// The longest record that is taken, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Reads a whole record.
    pub fn parse(bytes: &[u8]) -> Result<Record, WireError> {
        let mut r = Reader::new(bytes);
        let (node, incarnation) = (r.node()?, Incarnation::new(r.u32()?));
        let (version, flags, name) = (r.u64()?, r.u8()?, r.name()?);
        let (relay, leaving) = (flags & RELAYS != 0, flags & LEAVES != 0);
        let neighbours = (0..r.u16()?).map(|_| r.node()).collect::<Result<_, _>>()?;
        let mut attachments = Vec::new();
        for _ in 0..r.u8()? {
            attachments.push(Attachment {
                segment: SegmentId(r.u32()?),
                name: r.name()?,
                frame: r.u32()?,
                offloads: r.u32()?,
                v4: (0..r.u8()?).map(|_| r.fixed()).collect::<Result<_, _>>()?,
                v6: (0..r.u8()?).map(|_| r.fixed()).collect::<Result<_, _>>()?,
            });
        }
        let mut record =
            Record { node, incarnation, version, name, relay, leaving, neighbours, messages: Vec::new(), attachments };
        while !r.is_empty() {
            let (code, len) = (r.u8()?, r.u16()?);
            let value = r.bytes(usize::from(len))?;
            // A list that does not belong to the neighbours tells nothing.
            if code == MESSAGES && value.len() == 4 * record.neighbours.len() {
                let mut values = Reader::new(value);
                record.messages = record.neighbours.iter().map(|_| values.u32()).collect::<Result<_, _>>()?;
            }
        }
        Ok(record)
    }

    /// Whether the ways that lead by it are the same as by the other record.
    pub(crate) fn has_ways_of(&self, other: &Record) -> bool {
        self.neighbours == other.neighbours && self.messages == other.messages && self.relay == other.relay
    }

    /// The largest message that it sends to a neighbour, in bytes; no limit where it does not tell.
    pub fn message_to(&self, neighbour: NodeId) -> u32 {
        let at = self.neighbours.binary_search(&neighbour).ok();
        at.and_then(|at| self.messages.get(at)).copied().unwrap_or(u32::MAX)
    }

    /// Appends the record to `out`. What exceeds a count's field (65,535 neighbours, 255 of the rest) is left out.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.u32(self.node.get()).u32(self.incarnation.get()).u64(self.version);
        w.u8((u8::from(self.relay) * RELAYS) | (u8::from(self.leaving) * LEAVES)).name(&self.name);
        let neighbours = &self.neighbours[..self.neighbours.len().min(usize::from(u16::MAX))];
        w.u16(neighbours.len() as u16);
        for n in neighbours {
            w.u32(n.get());
        }
        let attachments = short(&self.attachments);
        w.u8(attachments.len() as u8);
        for a in attachments {
            w.u32(a.segment.0).name(&a.name).u32(a.frame).u32(a.offloads);
            w.u8(short(&a.v4).len() as u8);
            for ip in short(&a.v4) {
                w.bytes(ip);
            }
            w.u8(short(&a.v6).len() as u8);
            for ip in short(&a.v6) {
                w.bytes(ip);
            }
        }
        if let (Ok(len), false) = (u16::try_from(4 * self.messages.len()), self.messages.is_empty()) {
            w.u8(MESSAGES).u16(len);
            for message in &self.messages {
                w.u32(*message);
            }
        }
    }
}

/// As many as a one-byte count can say.
fn short<T>(items: &[T]) -> &[T] {
    &items[..items.len().min(usize::from(u8::MAX))]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn record(node: u32, version: u64) -> Record {
        Record {
            node: NodeId::new(node).unwrap(),
            incarnation: Incarnation::new(5),
            version,
            name: Name::new("node").unwrap(),
            relay: true,
            leaving: false,
            neighbours: [1, 2, 3].map(|n| NodeId::new(n).unwrap()).into(),
            messages: [600, 1_472, 65_600].into(),
            attachments: [Attachment {
                segment: SegmentId::from_name("lan"),
                name: Name::new("lan").unwrap(),
                frame: 1_514,
                offloads: 0x3f,
                v4: [[10, 77, 0, 1]].into(),
                v6: [[0xfd; 16], [0xfe; 16]].into(),
            }]
            .into(),
        }
    }

    /// PROTOCOL 4.1.
    #[test]
    fn survives_the_wire() {
        let mut out = Vec::new();
        record(7, 9).emit(&mut out);
        assert_eq!(Record::parse(&out), Ok(record(7, 9)));
    }

    #[test]
    fn every_truncation_is_an_answer() {
        let mut out = Vec::new();
        record(7, 9).emit(&mut out);
        // Without the option it is a whole record: that of an older build.
        let plain = out.len() - (3 + 3 * 4);
        for n in (0..out.len()).filter(|n| *n != plain) {
            assert!(Record::parse(&out[..n]).is_err(), "{n}");
        }
        assert_eq!(Record::parse(&out[..plain]), Ok(Record { messages: Vec::new(), ..record(7, 9) }));
    }

    /// PROTOCOL 4.1.
    #[test]
    fn unknown_options_and_lists_of_another_length_tell_nothing() {
        let plain = Record { messages: Vec::new(), ..record(7, 9) };
        for option in [&[200, 2, 0, 1, 2][..], &[MESSAGES, 4, 0, 1, 2, 3, 4], &[MESSAGES, 0, 0]] {
            let mut out = Vec::new();
            plain.emit(&mut out);
            out.extend_from_slice(option);
            assert_eq!(Record::parse(&out), Ok(plain.clone()));
        }
        assert_eq!(plain.message_to(NodeId::new(2).unwrap()), u32::MAX);
        assert_eq!(record(7, 9).message_to(NodeId::new(2).unwrap()), 1_472);
        assert_eq!(record(7, 9).message_to(NodeId::new(9).unwrap()), u32::MAX);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Record::parse(&noise);
        }
    }
}
