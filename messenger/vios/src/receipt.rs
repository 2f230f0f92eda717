//! The receipts array: one entry for each registered node of the cluster.

use messenger::{Code, Member, NodeId, Slot, Status};

/// What is known of one node's delivery. It says nothing of what the node's daemon does with the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptState {
    /// Nothing was written here.
    #[default]
    Empty,
    /// The sender's own node.
    Own,
    /// The message was not for this node.
    NotAddressed,
    /// The node has the message.
    Delivered,
    /// It refused it, could not be reached, or its receipt did not come in time.
    Failed(Status),
}

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The node; `None` in an entry that nobody wrote.
    pub node: Option<NodeId>,
    /// Its name.
    pub node_name: String,
    /// What is known.
    pub state: ReceiptState,
}

/// Writes the array from a ticket's slots as they are now: for each registered node, in their order. An open slot without a receipt
/// is one whose receipt did not come in time.
pub(crate) fn fill(array: &mut [Receipt], members: &[Member], own: NodeId, slots: &[Slot], broadcast: bool) {
    for (entry, member) in array.iter_mut().zip(members) {
        let slot = slots.iter().find(|slot| slot.node == member.node);
        let state = match slot {
            Some(slot) => state(slot),
            None if member.node == own => ReceiptState::Own,
            // Registered, and not there when it was sent.
            None if broadcast => ReceiptState::Failed(Status::new(Code::NodeDown)),
            None => ReceiptState::NotAddressed,
        };
        *entry = Receipt { node: Some(member.node), node_name: member.node_name.clone(), state };
    }
}

/// Writes what another try came to into the entries of those that it was for.
pub(crate) fn complete(array: &mut [Receipt], slots: &[Slot]) {
    for slot in slots {
        let Some(entry) = array.iter_mut().find(|entry| entry.node == Some(slot.node)) else { continue };
        entry.state = state(slot);
    }
}

fn state(slot: &Slot) -> ReceiptState {
    match slot {
        slot if slot.stored => ReceiptState::Delivered,
        slot if slot.settled => ReceiptState::Failed(slot.status),
        _ => ReceiptState::Failed(Status::new(Code::TimedOut)),
    }
}

/// Good when nothing failed, else the first failure.
pub(crate) fn verdict(array: &[Receipt]) -> Status {
    let failed = array.iter().find_map(|entry| match entry.state {
        ReceiptState::Failed(status) => Some(status),
        _ => None,
    });
    failed.unwrap_or(Status::GOOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u32, up: bool) -> Member {
        Member { node: NodeId::new(n).unwrap(), node_name: format!("n{n}"), addresses: vec![], up }
    }

    fn slot(n: u32, status: Option<Code>, stored: bool) -> Slot {
        let status_now = status.map_or(Status::GOOD, Status::new);
        let node = NodeId::new(n).unwrap();
        Slot { node, node_name: String::new(), port: None, status: status_now, stored, settled: status.is_some() }
    }

    /// A receipt counts even where the answer failed; a missing one is marked at the end.
    ///
    /// Rows: VI-24, VI-26, VI-28, VI-30.
    #[test]
    fn each_registered_node_has_an_entry() {
        let members = [1, 2, 3, 4, 5, 6].map(|n| member(n, n != 6));
        let slots = [
            slot(2, Some(Code::Good), true),
            slot(3, None, true),
            slot(4, None, false),
            slot(5, Some(Code::Failed), true),
        ];
        let mut array = vec![Receipt::default(); 7];
        fill(&mut array, &members, NodeId::new(1).unwrap(), &slots, true);
        let states: Vec<ReceiptState> = array.iter().map(|entry| entry.state).collect();
        let failed = |code| ReceiptState::Failed(Status::new(code));
        assert_eq!(
            states,
            [
                ReceiptState::Own,
                ReceiptState::Delivered,
                ReceiptState::Delivered,
                failed(Code::TimedOut),
                ReceiptState::Delivered,
                failed(Code::NodeDown),
                ReceiptState::Empty,
            ]
        );
        assert_eq!(verdict(&array), Status::new(Code::TimedOut));
        fill(&mut array, &members, NodeId::new(1).unwrap(), &slots[..1], false);
        assert_eq!((array[2].state, verdict(&array)), (ReceiptState::NotAddressed, Status::GOOD));
    }
}
