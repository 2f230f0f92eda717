//! What the sender decides about a request, and in which order.

use crate::{Request, SubHeader};
use messenger::{Agent, Message, Origin, Wants};

/// A decision. The order is that of the protocol: it is never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Who it comes from.
    Originator,
    /// Whether responses are wanted: then the ticket's slots are entries of the response queue.
    Response(bool),
    /// Whether receipts are waited for.
    Receipt(bool),
    /// For all, or for some.
    Broadcast(bool),
    /// It goes to the node.
    Handover,
}

/// Decides in order, telling each decision, and gives the message without its payload.
pub(crate) fn decide(request: &Request, sub: &SubHeader, mut told: impl FnMut(Decision)) -> Message {
    told(Decision::Originator);
    let agent = match &sub.originator {
        crate::Originator::Daemon => Agent::Daemon,
        crate::Originator::Cli => Agent::CommandLine,
        crate::Originator::ThirdParty(_) => Agent::ThirdParty,
    };
    told(Decision::Response(sub.response));
    let receipts = request.waits_for_receipts();
    told(Decision::Receipt(receipts));
    let (wants, deadline) = match (receipts, sub.response) {
        (false, false) => (Wants::Nothing, None),
        (true, false) => (Wants::Receipt, Some(request.receipt_limit)),
        (false, true) => (Wants::Answer, Some(request.response_limit)),
        (true, true) => (Wants::Both, Some(request.response_limit.max(request.receipt_limit))),
    };
    told(Decision::Broadcast(sub.broadcast));
    // A broadcast is for whoever is there when it is sent; the array has an entry for each of them and the sender.
    let array = request.receipts.as_ref().map_or(0, Vec::len);
    let capacity = (receipts && sub.broadcast).then(|| u32::try_from(array.saturating_sub(1)).unwrap_or(u32::MAX));
    told(Decision::Handover);
    Message {
        wants,
        deadline,
        opcode: sub.opcode,
        origin: Origin { agent, ..Origin::default() },
        capacity,
        ..Message::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Originator, Receipt};
    use messenger::NodeId;
    use std::time::Duration;

    /// Originator, response, receipt, broadcast, handing over; for each of the eight kinds.
    ///
    /// Rows: VI-15.
    #[test]
    fn decisions_are_made_in_order() {
        for kind in 0..8 {
            let (receipt, response, broadcast) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
            let mut request = match broadcast {
                true => Request::broadcast(1, ""),
                false => Request::directed(1, [Address::Node(NodeId::new(2).unwrap())], ""),
            };
            if receipt {
                request = request.confirmed(vec![Receipt::default(); 5]);
            }
            if response {
                request = request.answered(Duration::from_secs(9));
            }
            request = request.by(Originator::Cli);
            let mut told = Vec::new();
            let message = decide(&request, &request.sub, |decision| told.push(decision));
            assert_eq!(
                told,
                [
                    Decision::Originator,
                    Decision::Response(response),
                    Decision::Receipt(receipt),
                    Decision::Broadcast(broadcast),
                    Decision::Handover,
                ]
            );
            assert!(told.is_sorted(), "the order of the type is the order of the protocol");
            let wants = [Wants::Nothing, Wants::Receipt, Wants::Answer, Wants::Both][kind & 3];
            assert_eq!((message.wants, message.origin.agent), (wants, Agent::CommandLine));
            assert_eq!(message.capacity, (receipt && broadcast).then_some(4));
        }
    }
}
