//! The data link of MINET: what happens to an Ethernet frame, decided by its head alone.
//!
//! A *lane* reads a frame from the host's interface or a message from a carrier, copies the first [`HEAD_MAX`] bytes
//! into private memory and asks here what to do: whom it is for ([`Switch::outbound`]), whether it may be delivered
//! ([`Switch::inbound`]), and in which messages it travels ([`Switch::plan`]). Answers name ranges of the bytes the
//! lane holds; the bulk of a frame is never touched, and nothing is allocated for a frame.
//!
//! What all lanes share is the [`Table`], an immutable snapshot of one segment: members, routes, addresses, stations.
//! What one lane keeps for itself is the [`Switch`]: counters, rate limits, what it saw lately.
//!
//! It is *not* a network stack and does no I/O: there is no socket, ring, clock or lock. Time is an argument.
//!
//! ```
//! use messenger_core::{Mac, NodeId, SegmentId, Time};
//! use minet::{ANSWER_MAX, Frame, Hop, Member, Offloads, Outbound, Plan, Route, Switch, Table};
//!
//! let (a, b) = (NodeId::new(1).unwrap(), NodeId::new(2).unwrap());
//! let table = Table::builder(a, SegmentId::from_name("lan"))
//!     .member(Member {
//!         node: b,
//!         via: b,
//!         hop: Some(Hop { carrier: 0, channel: 7 }),
//!         message: 65_600,
//!         slice: 65_600,
//!         largest_frame: 1514,
//!         offloads: Offloads::ALL,
//!     })
//!     .build();
//!
//! // What the lane read: a virtio-net header (10 zero bytes) and a frame from a to b.
//! let mut read = [0; 10 + 60];
//! read[10..16].copy_from_slice(&Mac::of(b).0);
//! read[16..22].copy_from_slice(&Mac::of(a).0);
//! read[22..24].copy_from_slice(&[0x88, 0xb5]);
//!
//! let frame = Frame { head: &read, total: read.len(), vnet: true };
//! let mut switch = Switch::new();
//! let mut answer = [0; ANSWER_MAX];
//! let Outbound::To(to) = switch.outbound(&table, Time::ZERO, frame, &mut answer) else { panic!() };
//! let Plan::Whole(whole) = switch.plan(&table, to, Time::ZERO, frame, Route::Own, &mut answer) else { panic!() };
//! assert!(whole.in_place()); // the header goes in front of what was read, and nothing moves
//! assert_eq!(table.members()[to].hop, Some(Hop { carrier: 0, channel: 7 }));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod checksum;
mod counters;
mod cut;
mod ethernet;
mod expected;
mod frame;
mod inbound;
mod layers;
mod limit;
mod merge;
mod neighbour;
#[cfg(test)]
mod net_tests;
mod offloads;
mod outbound;
mod plan;
mod reassembly;
mod sightings;
mod slicer;
mod stations;
mod switch;
mod table;
#[cfg(test)]
mod testing;
mod too_big;
pub mod tun;
mod virtio;

pub use checksum::{Completion, complete_checksum};
pub use counters::{Counters, Reason};
pub use cut::Cutter;
pub use ethernet::{Ethernet, Protocol};
pub use frame::{ANSWER_MAX, Frame, HEAD_MAX};
pub use inbound::Inbound;
pub use merge::{Merge, Merged, Merger, Piece, RUN_MAX};
pub use offloads::Offloads;
pub use outbound::Outbound;
pub use plan::{Part, Plan, Route, Whole};
pub use reassembly::Reassembly;
pub use sightings::Sighting;
pub use slicer::Slicer;
pub use stations::{Learned, Stations};
pub use switch::Switch;
pub use table::{Hop, Member, Policy, Station, Table, TableBuilder};
pub use virtio::{Gso, VirtioNet};
