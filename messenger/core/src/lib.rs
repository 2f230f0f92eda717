//! Messenger without I/O.
//!
//! What two nodes say to one another and what a node concludes from it: the wire format, link supervision, the choice
//! among several links to one peer (conduits), routes over nodes in between, and the registry of members and segments.
//!
//! It is *not* a network program: there is no socket, clock, thread or allocation of shared memory here. Time is an
//! argument ([`Time`]), messages go in by `handle_*`, out by `poll_*`. That is what lets one core run in a daemon, in a
//! seeded simulator and on bare metal.
//!
//! ```
//! use messenger_core::{NodeId, wire::{Header, Kind}};
//! let header = Header::frame(NodeId::new(1).unwrap(), NodeId::new(2).unwrap(), 7);
//! let mut bytes = [0; Header::LEN];
//! header.emit(&mut bytes).unwrap();
//! assert_eq!(Header::parse(&bytes).unwrap().kind, Kind::Frame);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod conduit;
mod delivery;
mod exchange;
mod id;
mod limits;
mod link;
mod message;
mod name;
mod names;
mod node;
mod path;
mod payload;
mod port;
mod registry;
mod route;
mod status;
mod stream;
mod table;
mod ticket;
mod time;
pub mod wire;

pub use conduit::{Cause, Demotion, Policy};
pub use delivery::{Ask, Delivery, Outcome, Received, Slot};
pub use exchange::{Exchange, Gone, StreamView, TraceFilter, Traced, Traffic, UnderWay};
pub use id::{Incarnation, LinkId, Mac, NodeId, PortId, SegmentId};
pub use limits::{AREA, Limits, MESSAGE_COST, PATTERN, PROPERTIES};
pub use link::{Link, LinkPeer, LinkSpec, LinkState, Reason, Transmit};
pub use message::{Answer, Message, Quality};
pub use name::{Name, NameError};
pub use names::{Change, Pattern, WatchId};
pub use node::{Counts, Event, Node, NodeConfig, Pong};
pub use path::{Choice, Control, Path, PathCounts, PathId, PathSpec, PathState, Sent, Target};
pub use payload::{Memory, Payload};
pub use port::{HoldId, Life, Mode, Port, PortCounts, PortSpec};
pub use route::Route;
pub use status::{Code, Status, Tier};
pub use ticket::{StaticId, Ticket, TicketId};
pub use time::Time;
