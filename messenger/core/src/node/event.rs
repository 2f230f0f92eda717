//! What a node tells of itself, its links and its members.

use super::Pong;
use crate::{
    LinkId, Name, NodeId,
    conduit::{Cause, Demotion},
    link::Reason,
    wire::Refusal,
};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link carries traffic now.
    LinkUp {
        /// Which.
        link: LinkId,
        /// To whom.
        peer: NodeId,
    },
    /// A link carries none any more.
    LinkDown {
        /// Which.
        link: LinkId,
        /// To whom.
        peer: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A link is no more; its number is not used again.
    LinkClosed {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Reason,
    },
    /// A live link takes messages of another size than before.
    LinkResized {
        /// Which.
        link: LinkId,
        /// To whom.
        peer: NodeId,
        /// The largest message, in bytes.
        message: u32,
    },
    /// The other end was refused, or refused us. Told once until the reason changes.
    LinkRefused {
        /// Which link.
        link: LinkId,
        /// The other end, if it said who it is.
        peer: Option<NodeId>,
        /// Why.
        why: Refusal,
        /// We refused; otherwise the peer did.
        ours: bool,
    },
    /// A conduit's traffic moved.
    Switched {
        /// To whom it leads.
        peer: NodeId,
        /// The link it left; `None` when the conduit was down.
        from: Option<LinkId>,
        /// The link it took; `None` when the conduit is down.
        to: Option<LinkId>,
        /// Why.
        why: Cause,
    },
    /// A link carries only while no better one is live from now on, or carries as well as others again.
    Judged {
        /// Which.
        link: LinkId,
        /// To whom.
        peer: NodeId,
        /// Why it is demoted; `None` when it is not any more.
        why: Option<Demotion>,
    },
    /// A member can be reached and is known.
    MemberUp(NodeId),
    /// A member's record changed.
    MemberChanged(NodeId),
    /// A member cannot be reached any more.
    MemberDown(NodeId),
    /// Another living node has this node's number. Of the same one it is told once a minute.
    DuplicateNode {
        /// Its name.
        name: Name,
    },
    /// An answer to [`crate::Node::ping`].
    Pong(Pong),
}
