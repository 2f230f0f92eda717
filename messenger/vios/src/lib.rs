//! The VIOS cluster protocol over Messenger.
//!
//! On each node of a cluster one process is the *VIOS daemon*; others are *callers*. A daemon or a person sends a [`Request`] to all other
//! nodes or to some by their addresses, may wait until each node says that it has the message (the *receipts array*), and
//! may take a response of each (the *response queue*). Callers are told of events.
//!
//! It is *not* a transport, and it has no queue, timer or table: every process is a guest of its host's node (crate
//! `messenger`). A request is one message with one ticket. The ticket's slots are the receipts array while receipts come, and
//! the response queue while responses do; the node makes receipts, matches responses, keeps the time and drops doubles. Whom a
//! name or an address means is asked of the node at each request.
//!
//! ```no_run
//! use messenger_vios::{Receipt, Request, Vios};
//! use std::time::Duration;
//!
//! // On every node:
//! let mut vios = Vios::daemon(&Default::default(), &[])?;
//! if let Some(incoming) = vios.receive(Some(Duration::from_secs(60)))? {
//!     vios.respond(&incoming, messenger::Status::GOOD, b"done")?;
//! }
//!
//! // On one of them, to all others:
//! let mut request = Request::broadcast(7, "do this").confirmed(vec![Receipt::default(); 5]).answered(Duration::from_secs(5));
//! vios.submit(&mut request)?;
//! for entry in request.receipts.iter().flatten() {
//!     println!("{}: {:?}", entry.node_name, entry.state);
//! }
//! while let Some(response) = vios.response(&mut request, None)? {
//!     println!("{}: {} bytes", response.node_name, response.packet.payload.len());
//! }
//! # Ok::<(), messenger_vios::ViosError>(())
//! ```
#![forbid(unsafe_code)]

mod decision;
mod error;
mod event;
mod id;
pub mod opcode;
pub mod packet;
mod receipt;
mod request;
mod vios;
pub mod xml;

pub use decision::Decision;
pub use error::ViosError;
pub use event::{Class, Event};
pub use id::UniqueId;
pub use packet::{Header, Kind, Origin, Originator, Packet, PacketError, SubHeader};
pub use receipt::{Receipt, ReceiptState};
pub use request::{Address, Destination, Request};
pub use vios::{Counts, Incoming, PORT, Response, Vios, What};
