//! What the two ends of a link tell each other: the bodies of messages of [`super::Kind::Link`].
//!
//! The first byte is the opcode. The header's port carries the sender's *session*, a random number raised whenever the
//! sender's end of the link starts anew, so that what an earlier life sent is known as such.

use super::{
    WireError,
    cursor::{Reader, Writer},
};
use crate::{Incarnation, Name, NodeId};
use alloc::vec::Vec;

/// Why one end of a link does not want the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No common version of the wire format.
    Version,
    /// Another fabric's node.
    Fabric,
    /// The node number is in use by another living node.
    DuplicateNode,
    /// The name is in use by another node.
    DuplicateName,
    /// The peer is not the node that was expected on this link.
    WrongNode,
    /// Not allowed to join.
    NotAllowed,
    /// A code this build does not know.
    Other(u8),
}

impl From<u8> for Refusal {
    fn from(code: u8) -> Refusal {
        match code {
            1 => Refusal::Version,
            2 => Refusal::Fabric,
            3 => Refusal::DuplicateNode,
            4 => Refusal::DuplicateName,
            5 => Refusal::WrongNode,
            6 => Refusal::NotAllowed,
            other => Refusal::Other(other),
        }
    }
}

impl From<Refusal> for u8 {
    fn from(refusal: Refusal) -> u8 {
        match refusal {
            Refusal::Version => 1,
            Refusal::Fabric => 2,
            Refusal::DuplicateNode => 3,
            Refusal::DuplicateName => 4,
            Refusal::WrongNode => 5,
            Refusal::NotAllowed => 6,
            Refusal::Other(code) => code,
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Refusal::Version => "no common version of the wire format",
            Refusal::Fabric => "the peer belongs to another fabric",
            Refusal::DuplicateNode => "the node id is in use by another living node",
            Refusal::DuplicateName => "the name is in use by another node",
            Refusal::WrongNode => "another node was expected on this link",
            Refusal::NotAllowed => "the node may not join",
            Refusal::Other(_) => "refused for a reason this version does not know",
        })
    }
}

/// What a node says of itself when a link starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Lowest and highest major version of the wire format it speaks.
    pub versions: (u8, u8),
    /// The receiver's session, 0 while the sender does not know it: proof that the sender hears the receiver.
    pub echo: u32,
    /// The sender still greets and wants a Hello back.
    pub greeting: bool,
    /// Which life of the node this is.
    pub incarnation: Incarnation,
    /// It sends at least one message in that many milliseconds.
    pub interval_ms: u16,
    /// Largest message it takes on this link, in bytes.
    pub message: u32,
    /// Largest Ethernet frame that it takes, in bytes with the Ethernet header.
    pub frame: u32,
    /// What need not be done for it: a bit set of the data link's.
    pub offloads: u32,
    /// The node's name.
    pub name: Name,
    /// The fabric it belongs to.
    pub fabric: Name,
}

/// A sign of life on an idle link, and a measurement of the round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// The receiver is to answer at once.
    pub answer: bool,
    /// The sender's clock, in nanoseconds; means something to the sender only.
    pub sent: u64,
    /// The last `sent` that came from the receiver; 0 for none.
    pub echo: u64,
    /// How long ago `echo` arrived here, in nanoseconds.
    pub held: u64,
    /// Digest of the registry the sender holds.
    pub digest: u64,
}

/// Part of a registry record, on its way to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce<'a> {
    /// Whose record.
    pub node: NodeId,
    /// Which version of it.
    pub version: u64,
    /// Where `bytes` belongs.
    pub offset: u32,
    /// Length of the whole record.
    pub total: u32,
    /// The part.
    pub bytes: &'a [u8],
}

/// The body of a link message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkBody<'a> {
    /// Starts a link.
    Hello(Hello),
    /// Keeps it.
    Heartbeat(Heartbeat),
    /// Ends it in order: the node leaves.
    Bye,
    /// The peer is not wanted; carries the versions that would be.
    Refuse {
        /// Why.
        why: Refusal,
        /// Lowest and highest version that the refusing end speaks.
        versions: (u8, u8),
    },
    /// Tells of a member.
    Announce(Announce<'a>),
    /// New frames and messages are not wanted on this link for now.
    Quiesce,
    /// They are again.
    Enable,
    /// Asks nodes of a fabric that are on the same medium to greet. It belongs to no link.
    Seek {
        /// Which fabric.
        fabric: Name,
    },
    /// An opcode this build does not know.
    Other(u8),
}

impl<'a> LinkBody<'a> {
    /// Bytes in front of an [`Announce`]'s part.
    pub const ANNOUNCE_LEN: usize = 1 + 4 + 8 + 4 + 4;

    /// Reads a body. Bytes behind the known fields are a later version's and are skipped.
    pub fn parse(body: &'a [u8]) -> Result<LinkBody<'a>, WireError> {
        let mut r = Reader::new(body);
        Ok(match r.u8()? {
            1 => LinkBody::Hello(Hello {
                versions: (r.u8()?, r.u8()?),
                greeting: r.u8()? & 1 != 0,
                echo: r.u32()?,
                incarnation: Incarnation::new(r.u32()?),
                interval_ms: r.u16()?,
                message: r.u32()?,
                frame: r.u32()?,
                offloads: r.u32()?,
                name: r.name()?,
                fabric: r.name()?,
            }),
            2 => LinkBody::Heartbeat(Heartbeat {
                answer: r.u8()? & 1 != 0,
                sent: r.u64()?,
                echo: r.u64()?,
                held: r.u64()?,
                digest: r.u64()?,
            }),
            3 => LinkBody::Bye,
            4 => LinkBody::Refuse { why: r.u8()?.into(), versions: (r.u8()?, r.u8()?) },
            5 => LinkBody::Announce(Announce {
                node: r.node()?,
                version: r.u64()?,
                offset: r.u32()?,
                total: r.u32()?,
                bytes: r.rest(),
            }),
            6 => LinkBody::Quiesce,
            7 => LinkBody::Enable,
            8 => LinkBody::Seek { fabric: r.name()? },
            other => LinkBody::Other(other),
        })
    }

    /// Appends the body to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        match self {
            LinkBody::Hello(h) => {
                w.u8(1).u8(h.versions.0).u8(h.versions.1).u8(u8::from(h.greeting)).u32(h.echo);
                w.u32(h.incarnation.get()).u16(h.interval_ms).u32(h.message).u32(h.frame).u32(h.offloads);
                w.name(&h.name).name(&h.fabric);
            }
            LinkBody::Heartbeat(b) => {
                w.u8(2).u8(u8::from(b.answer)).u64(b.sent).u64(b.echo).u64(b.held).u64(b.digest);
            }
            LinkBody::Bye => {
                w.u8(3);
            }
            LinkBody::Refuse { why, versions } => {
                w.u8(4).u8((*why).into()).u8(versions.0).u8(versions.1);
            }
            LinkBody::Announce(a) => {
                w.u8(5).u32(a.node.get()).u64(a.version).u32(a.offset).u32(a.total).bytes(a.bytes);
            }
            LinkBody::Quiesce => {
                w.u8(6);
            }
            LinkBody::Enable => {
                w.u8(7);
            }
            LinkBody::Seek { fabric } => {
                w.u8(8).name(fabric);
            }
            LinkBody::Other(code) => {
                w.u8(*code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Hello {
        Hello {
            versions: (1, 1),
            echo: 7,
            greeting: true,
            incarnation: Incarnation::new(9),
            interval_ms: 500,
            message: 65_600,
            frame: 1_518,
            offloads: 3,
            name: Name::new("a").unwrap(),
            fabric: Name::new("default").unwrap(),
        }
    }

    fn bodies() -> Vec<LinkBody<'static>> {
        let announce =
            Announce { node: NodeId::new(3).unwrap(), version: 1 << 60, offset: 8, total: 12, bytes: b"part" };
        let heartbeat = Heartbeat { answer: true, sent: 1, echo: 2, held: 3, digest: u64::MAX };
        [
            LinkBody::Hello(hello()),
            LinkBody::Heartbeat(heartbeat),
            LinkBody::Bye,
            LinkBody::Refuse { why: Refusal::DuplicateNode, versions: (1, 2) },
            LinkBody::Announce(announce),
            LinkBody::Quiesce,
            LinkBody::Enable,
            LinkBody::Seek { fabric: Name::new("default").unwrap() },
            LinkBody::Other(200),
        ]
        .into()
    }

    #[test]
    fn every_body_survives_the_wire() {
        for body in bodies() {
            let mut out = Vec::new();
            body.emit(&mut out);
            assert_eq!(LinkBody::parse(&out), Ok(body));
        }
    }

    /// PROTOCOL 1.6.
    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let mut out = Vec::new();
        LinkBody::Hello(hello()).emit(&mut out);
        out.extend_from_slice(b"later");
        assert_eq!(LinkBody::parse(&out), Ok(LinkBody::Hello(hello())));
    }

    proptest! {
        #[test]
        fn truncated_or_random_bytes_never_panic(cut in 0usize..80, noise in prop::collection::vec(any::<u8>(), 0..100)) {
            for body in bodies() {
                let mut out = Vec::new();
                body.emit(&mut out);
                let _ = LinkBody::parse(&out[..cut.min(out.len())]);
            }
            let _ = LinkBody::parse(&noise);
        }
    }
}
