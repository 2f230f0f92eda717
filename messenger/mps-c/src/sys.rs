//! The border to C: types, and functions that check every pointer they are given. No panic passes it.
#![allow(non_snake_case, reason = "the names of the source document")]

mod buffers;
mod events;
mod exchange;
mod sessions;
mod text;

use crate::library::Library;
use messenger_mps::{Error, Status};
use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A session, of which C sees nothing.
#[repr(C)]
pub struct MpsSession {
    nothing: [u8; 0],
}

/// The handle of a session. It is a number that is never used again, and no address.
pub type MpsHandle = *mut MpsSession;

/// The bit of a sequence tag that says that its message is asynchronous. The other 31 are the transaction.
pub const MPS_ASYNCHRONOUS: u32 = 0x8000_0000;

/// The transaction that means any.
pub const MPS_ANY_TRANSACTION: u32 = 0xffff_ffff;

/// What is to be sent, and where to.
#[repr(C)]
pub struct MpsSendDescriptor {
    /// The client's own, told at the completion of an asynchronous send.
    pub ContextHandle: *mut c_void,
    /// The number of the storage processor.
    pub Destination: u32,
    /// The message: what MpsAllocateMessage gave.
    pub Ptr: *mut c_void,
    /// Bytes of it to be sent.
    pub Size: usize,
    /// The transaction, with MPS_ASYNCHRONOUS or without.
    pub SequenceTag: u32,
}

/// A message that came.
#[repr(C)]
pub struct MpsMessageReceived {
    /// Its bytes, to be given back with MpsReleaseReceivedMessage.
    pub Ptr: *const c_void,
    /// The number of the storage processor that sent it.
    pub Sender: u32,
    /// How many bytes.
    pub Size: usize,
    /// 1 for a synchronous message, 0 for an asynchronous one.
    pub SynchronousStatus: u32,
    /// The transaction, with MPS_ASYNCHRONOUS or without.
    pub SequenceTag: u32,
}

/// What an event tells.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum MpsEventKind {
    /// A close that was pending is complete: the last event of its session.
    CloseCompleted = 1,
    /// An asynchronous send is complete; its buffer is the client's again.
    MessageSent = 2,
    /// An asynchronous message came.
    MessageReceived = 3,
}

/// What happened.
#[repr(C)]
pub struct MpsEvent {
    /// What.
    pub Kind: MpsEventKind,
    /// Of CloseCompleted and MessageSent: how it went.
    pub EventStatus: Status,
    /// Which session.
    pub FilamentHandle: MpsHandle,
    /// Of MessageSent: the context of the descriptor.
    pub ContextHandle: *mut c_void,
    /// Of MessageReceived: the message.
    pub Message: MpsMessageReceived,
}

/// The client's code for events, with the context of its session. Its status is MPS_STATUS_SUCCESS, or it is counted. It is
/// called by one thread of the library, for one event after another.
pub type MpsCallback = Option<unsafe extern "C" fn(context: *mut c_void, event: *const MpsEvent) -> u32>;

/// Does something on the Rust side of the border.
fn inside(work: impl FnOnce() -> Result<Status, Error>) -> Status {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => error.status(),
        Err(_) => Status::Internal,
    }
}

/// The session of a handle.
fn session(handle: MpsHandle) -> Result<crate::library::AnySession, Error> {
    Library::lock().session(handle.addr())
}

#[cfg(test)]
mod tests;
