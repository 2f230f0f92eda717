//! A request: all that goes into [`crate::Vios::submit`] and all that comes out, in one value.

use crate::{Header, Origin, Originator, Receipt, SubHeader};
use messenger::{Member, NodeId, Status, Ticket};
use std::{net::IpAddr, time::Duration};

/// Which node is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// By its number.
    Node(NodeId),
    /// By its name.
    Name(String),
    /// By one of its addresses on the fabric.
    Ip(IpAddr),
}

impl Address {
    /// Which registered node that is.
    pub(crate) fn find<'a>(&self, members: &'a [Member]) -> Option<&'a Member> {
        members.iter().find(|member| match self {
            Address::Node(node) => member.node == *node,
            Address::Name(name) => member.node_name == *name,
            Address::Ip(ip) => member.addresses.contains(ip),
        })
    }
}

/// One node that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Which.
    pub address: Address,
    /// Out: [`messenger::Code::NotFound`] when no registered node has this address; the others are sent to all the same.
    pub status: Status,
}

/// A request. What is in the header and the sub-header when it comes back is what was sent and how it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// In: origin, receipt flag, and the transaction unless a new one is wanted. Out: transaction and status.
    pub header: Header,
    /// In: opcode, originator, broadcast, response. Out: targets, the address and length of the receipts array: that which is
    /// needed where the array is too small.
    pub sub: SubHeader,
    /// Whom it is for, unless it is a broadcast.
    pub to: Vec<Destination>,
    /// The receipts array. With `None`, or a length of 0, nobody waits for receipts.
    pub receipts: Option<Vec<Receipt>>,
    /// The receipts array becomes as long as is needed by itself.
    pub grow: bool,
    /// How long receipts are waited for; a missing one is marked then. Counted from the sending.
    pub receipt_limit: Duration,
    /// How long responses are waited for, from the sending.
    pub response_limit: Duration,
    /// What the operation needs. It is never changed.
    pub payload: Vec<u8>,
    /// Out: the ticket. While it is not settled each of its open slots is an entry of the response queue.
    pub ticket: Option<Ticket>,
    /// Out: the ticket is settled, and no response comes any more.
    pub settled: bool,
    /// Out, once it is settled: the targets whose response did not come or said no.
    pub unanswered: Vec<Receipt>,
}

const LIMIT: Duration = Duration::from_secs(5);

impl Request {
    /// To all other nodes; nobody waits for anything.
    pub fn broadcast(opcode: u16, payload: impl Into<Vec<u8>>) -> Request {
        Request {
            sub: SubHeader { opcode, broadcast: true, ..SubHeader::default() },
            receipt_limit: LIMIT,
            response_limit: LIMIT,
            payload: payload.into(),
            ..Request::default()
        }
    }

    /// To some nodes; nobody waits for anything.
    pub fn directed(opcode: u16, to: impl IntoIterator<Item = Address>, payload: impl Into<Vec<u8>>) -> Request {
        let to = to.into_iter().map(|address| Destination { address, status: Status::GOOD }).collect();
        let mut request = Request { to, ..Request::broadcast(opcode, payload) };
        request.sub.broadcast = false;
        request
    }

    /// With receipts, into this array.
    #[must_use]
    pub fn confirmed(mut self, array: Vec<Receipt>) -> Request {
        self.header.receipt = true;
        self.receipts = Some(array);
        self
    }

    /// With responses, waited for so long.
    #[must_use]
    pub fn answered(mut self, limit: Duration) -> Request {
        self.sub.response = true;
        self.response_limit = limit;
        self
    }

    /// Made by this originator; what a command line makes has that origin, too.
    #[must_use]
    pub fn by(mut self, originator: Originator) -> Request {
        self.header.origin = if originator == Originator::Cli { Origin::Cli } else { Origin::Api };
        self.sub.originator = originator;
        self
    }

    /// Whether anybody waits for receipts: they are wanted, and there is an array to write them to.
    pub fn waits_for_receipts(&self) -> bool {
        let has_array = self.receipts.as_ref().is_some_and(|array| !array.is_empty() || self.grow);
        self.header.receipt && has_array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No array, or one of length 0: nobody waits, whatever the flag says.
    ///
    /// Rows: VI-07, VI-10, VI-16, VI-21, VI-22.
    #[test]
    fn only_an_array_with_room_is_waited_for() {
        let request = Request::broadcast(1, "x");
        assert!(!request.waits_for_receipts());
        let mut flagged = request.clone();
        flagged.header.receipt = true;
        assert!(!flagged.waits_for_receipts(), "null");
        assert!(!request.clone().confirmed(Vec::new()).waits_for_receipts(), "length 0");
        let mut full = request.confirmed(vec![Receipt::default(); 3]);
        assert!(full.waits_for_receipts());
        full.header.receipt = false;
        assert!(!full.waits_for_receipts(), "the flag is off");
        assert!(Request { grow: true, ..Request::broadcast(1, "x").confirmed(Vec::new()) }.waits_for_receipts());
    }

    #[test]
    fn nodes_are_found_by_number_name_and_address() {
        let ip: IpAddr = "10.77.0.2".parse().unwrap();
        let node = NodeId::new(2).unwrap();
        let members = [Member { node, node_name: "b".into(), addresses: vec![ip], up: true }];
        for address in [Address::Node(node), Address::Name("b".into()), Address::Ip(ip)] {
            assert_eq!(address.find(&members), Some(&members[0]));
        }
        assert_eq!(Address::Ip("10.77.0.3".parse().unwrap()).find(&members), None);
    }
}
