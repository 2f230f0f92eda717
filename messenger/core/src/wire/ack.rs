//! What a receiver has of a stream: the body of messages of [`super::Kind::Ack`].
//!
//! Five fields of four bytes (the sender's incarnation, the receiver's, the epoch of the sender's own stream, the floor, the
//! epoch that is acknowledged), then one entry for each lane: lane u8, number of ranges u8, the first number that is
//! missing u32, and ranges that are there nevertheless (first u32, one past the last u32).

use super::{
    WireError,
    cursor::{Reader, Writer},
};
use crate::Incarnation;
use alloc::vec::Vec;

/// What is there of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneAck {
    /// Which lane: 0 receipts, 1 to 4 the priorities.
    pub lane: u8,
    /// The first number that is missing.
    pub next: u32,
    /// Numbers beyond it that are there: first, and one past the last.
    pub ranges: Vec<(u32, u32)>,
}

/// What is there of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The life of whoever sends this.
    pub source: Incarnation,
    /// The life of whoever it is for.
    pub destination: Incarnation,
    /// The present epoch of the sender's own stream.
    pub epoch: u32,
    /// See [`super::Sequence::floor`].
    pub floor: u32,
    /// Which epoch of the receiver's stream this tells of; 0 for none.
    pub of: u32,
    /// Lane by lane.
    pub lanes: Vec<LaneAck>,
}

impl Ack {
    /// Reads a body. Bytes behind the known fields are a later version's and are skipped.
    pub fn parse(body: &[u8]) -> Result<Ack, WireError> {
        let mut r = Reader::new(body);
        let (source, destination) = (Incarnation::new(r.u32()?), Incarnation::new(r.u32()?));
        let (epoch, floor, of) = (r.u32()?, r.u32()?, r.u32()?);
        let mut lanes = Vec::new();
        for _ in 0..r.u8()? {
            let (lane, count, next) = (r.u8()?, r.u8()?, r.u32()?);
            let ranges = (0..count).map(|_| Ok((r.u32()?, r.u32()?))).collect::<Result<_, _>>()?;
            lanes.push(LaneAck { lane, next, ranges });
        }
        Ok(Ack { source, destination, epoch, floor, of, lanes })
    }

    /// Appends the body. What exceeds a count's field (255 lanes, 255 ranges) is left out.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.u32(self.source.get()).u32(self.destination.get()).u32(self.epoch).u32(self.floor).u32(self.of);
        let lanes = &self.lanes[..self.lanes.len().min(255)];
        w.u8(lanes.len() as u8);
        for lane in lanes {
            let ranges = &lane.ranges[..lane.ranges.len().min(255)];
            w.u8(lane.lane).u8(ranges.len() as u8).u32(lane.next);
            for (first, past) in ranges {
                w.u32(*first).u32(*past);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    /// PROTOCOL 7.6.
    #[test]
    fn survives_the_wire_and_every_truncation_is_an_answer() {
        let ack = Ack {
            source: Incarnation::new(1),
            destination: Incarnation::new(2),
            epoch: 3,
            floor: 0,
            of: u32::MAX,
            lanes: vec![
                LaneAck { lane: 0, next: u32::MAX, ranges: vec![] },
                LaneAck { lane: 3, next: 7, ranges: vec![(9, 11), (u32::MAX, 5)] },
            ],
        };
        let mut out = Vec::new();
        ack.emit(&mut out);
        assert_eq!(Ack::parse(&out), Ok(ack));
        for n in 0..out.len() {
            assert!(Ack::parse(&out[..n]).is_err(), "{n}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Ack::parse(&noise);
        }
    }
}
