//! The Message Passing Service, MPS: exchange between the storage processors of one or several computers.
//!
//! A client opens a *session*, which is a *mailbox* of its storage processor: a domain of at most four characters and a name.
//! The same mailbox may be open on every storage processor, and a message is sent to a storage processor's number: it goes to
//! the mailbox of the same name there. Where that is, in this computer or another one, makes no difference. Each message is
//! confirmed by the target's storage processor before its client sees it, and whether or not it ever does.
//!
//! It stands on the crate `messenger` alone and holds no queue, timer or table of its own:
//!
//! | of the service | is |
//! | --- | --- |
//! | storage processor, its number | a node, its number |
//! | conduit | the way to a node that can be reached, or to all of them |
//! | session, mailbox | a port `mps/DOMAIN/NAME` of the node (PROTOCOL.md, section 13) |
//! | filament | a session that sends to one target only |
//! | received messages | what waits in the port; a message that the client holds keeps its room there |
//! | outstanding transmission | a ticket with one slot |
//! | confirmation | the receipt |
//! | sequence tag | the tag: bit 31 for asynchronous, the transaction below |
//! | pending close | the daemon closes the port when its tickets are settled |
//!
//! # Services
//!
//! | service | here | in C | is |
//! | --- | --- | --- | --- |
//! | open a session | [`Mps::open`], [`Mps::open_sync`] | `MpsOpen` | synchronous |
//! | close it | [`SyncSession::close`] | `MpsClose` | either: at once, or pending and [`Event::CloseCompleted`] |
//! | allocate and free a buffer | [`Mps::allocate`], [`Mps::free`] | `MpsAllocateMessage`, `MpsFreeMessage` | synchronous |
//! | send and go on | [`Session::send_async`] | `MpsAsynchronousSend` | asynchronous: [`Event::MessageSent`] |
//! | send and wait | [`SyncSession::send_sync`] | `MpsSynchronousSend` | synchronous |
//! | receive a synchronous message | [`SyncSession::receive`] | `MpsSynchronousReceive` | synchronous |
//! | receive an asynchronous message | the callback | the callback | asynchronous: [`Event::MessageReceived`] |
//! | release what was received | [`MessageReceived::release`] | `MpsReleaseReceivedMessage` | synchronous |
//! | look a storage processor up | [`Mps::sp_ids`] | `MpsGetSpId` | synchronous |
//!
//! How a message is sent and how it is received are two matters: the call decides whether the sender waits, the
//! [`SequenceTag`] whether the receiver is called or asks. A synchronous service waits only if it cannot be done at once, and
//! uses no processor time while it waits.
//!
//! ```no_run
//! use messenger_mps::{Conduit, Mailbox, Mps, Opening, SendDescriptor, SequenceTag, Status, Timeout};
//!
//! // On each of two storage processors, `a` and `b`:
//! let mps = Mps::join(&Default::default())?;
//! let opening = Opening::new(Conduit::Fabric, Mailbox::new("MGMT", "greeter")?);
//! let session = mps.open(&opening, |event| {
//!     println!("{event:?}");
//!     Status::Success
//! })?;
//!
//! // On `a`: send, and know that `b` has it.
//! let buffer = mps.allocate(5)?;
//! buffer.fill(b"hello")?;
//! let tag = SequenceTag::sync(1).ok_or(Status::Invalid)?;
//! let destination = mps.sp_ids("b")?.peer;
//! session.send_sync(&SendDescriptor { context: 0, destination, buffer: buffer.clone(), size: 5, tag })?;
//! mps.free(&buffer)?;
//!
//! // On `b`: the message of transaction 1.
//! let mut message = session.receive(Timeout::Forever, Some(1))?;
//! assert_eq!((message.sender(), message.bytes()), (mps.sp_ids("a")?.peer, &b"hello"[..]));
//! message.release()?;
//! session.close()?;
//! # Ok::<(), messenger_mps::Error>(())
//! ```
#![forbid(unsafe_code)]

mod buffer;
mod conduit;
mod error;
mod event;
mod mailbox;
mod message;
mod mps;
mod session;
mod status;
mod tag;

pub use buffer::{Buffer, MESSAGE_MOST};
pub use conduit::{Conduit, SpId, SpIds};
pub use error::Error;
pub use event::{Event, Filament};
pub use mailbox::Mailbox;
pub use message::{MessageReceived, SendDescriptor, Timeout};
pub use messenger::Place;
pub use mps::{Mps, Opening};
pub use session::{Closure, Record, Session, State, SyncSession};
pub use status::Status;
pub use tag::{Exchange, SequenceTag};
