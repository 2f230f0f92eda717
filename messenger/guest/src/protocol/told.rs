//! What a daemon tells a guest.

use super::{Change, Done, Head, Path, Slot, Ticket, Watch, plain};
use messenger_core::{NodeId, PathState, PortId, Status};
use serde::{Deserialize, Serialize};

/// What a daemon tells a guest. `Bye` and `Welcome` are the same in every version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The last that is told: the guest is ended.
    Bye {
        /// Why.
        why: String,
    },
    /// The greeting was taken.
    Welcome {
        /// The number of the node.
        #[serde(with = "plain::node")]
        node: NodeId,
        /// Its name.
        node_name: String,
    },
    /// A call was carried out.
    Done {
        /// Which.
        number: u32,
        /// What it came to.
        done: Done,
    },
    /// A call was refused, and nothing was done.
    Refused {
        /// Which.
        number: u32,
        /// Why.
        #[serde(with = "plain::status")]
        status: Status,
    },
    /// A port has a message that no receive has looked at yet: it was empty before, or the last receive found nothing.
    Ready {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// An answer to a message, with its payload.
    Answer {
        /// The message's ticket.
        ticket: Ticket,
        /// Which slot of it.
        slot: u16,
        /// The answer.
        head: Head,
    },
    /// Every slot of a ticket is settled, and the ticket is no more.
    Settled {
        /// Which.
        ticket: Ticket,
        /// Target by target.
        slots: Vec<Slot>,
    },
    /// A watch saw something.
    Seen {
        /// Which.
        watch: Watch,
        /// What.
        change: Change,
    },
    /// A port is no more.
    Closed {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// Another node has the name of this port now; the port goes on without it.
    NameLost {
        /// Which.
        #[serde(with = "plain::port")]
        port: PortId,
    },
    /// A path is in another state.
    PathChanged {
        /// Which.
        path: Path,
        /// What it is in now.
        #[serde(with = "plain::path_state")]
        state: PathState,
    },
    /// A path is no more.
    PathClosed {
        /// Which.
        path: Path,
    },
    /// Of a message that wants receipts and answers: no slot waits for a receipt any more.
    Confirmed {
        /// Its ticket.
        ticket: Ticket,
    },
    /// A payload that the guest lent is not used any more: its place is free again.
    Given {
        /// Where it begins in the side *up*.
        at: u32,
    },
}
