//! Sending and receiving.

use super::{MPS_ANY_TRANSACTION, MpsHandle, MpsMessageReceived, MpsSendDescriptor, events::keep, inside, session};
use crate::library::{AnySession, Library};
use messenger_mps::{Error, SendDescriptor, SequenceTag, SpId, Status, Timeout};

/// Sends a message and returns MPS_STATUS_PENDING; the event MessageSent tells what became of it. Any other status: nothing was
/// sent, and there is no event. A session without a callback does not have it.
///
/// # Safety
/// `descriptor` is null or may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsAsynchronousSend(handle: MpsHandle, descriptor: *const MpsSendDescriptor) -> Status {
    inside(|| {
        let session = session(handle)?;
        // SAFETY: the caller's promise.
        let descriptor = unsafe { read(descriptor) }?;
        match session {
            AnySession::Full(session) => session.send_async(&descriptor).map(|()| Status::Pending),
            AnySession::Sync(_) => Err(Status::NotSupported.into()),
        }
    })
}

/// Sends a message and waits until the target's storage processor confirmed it.
///
/// # Safety
/// `descriptor` is null or may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsSynchronousSend(handle: MpsHandle, descriptor: *const MpsSendDescriptor) -> Status {
    inside(|| {
        let session = session(handle)?;
        // SAFETY: the caller's promise.
        let descriptor = unsafe { read(descriptor) }?;
        session.send_sync(&descriptor).map(|()| Status::Success)
    })
}

/// Takes a synchronous message of a transaction, or with MPS_ANY_TRANSACTION of any. It waits for ever with a timeout below 0,
/// not at all with 0, and so many seconds above 0.
///
/// # Safety
/// `message` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsSynchronousReceive(
    handle: MpsHandle,
    timeout: i32,
    transaction: u32,
    message: *mut MpsMessageReceived,
) -> Status {
    inside(|| {
        let session = session(handle)?;
        if message.is_null() {
            return Err(Status::Invalid.into());
        }
        let transaction = (transaction != MPS_ANY_TRANSACTION).then_some(transaction);
        let received = session.receive(Timeout::from_seconds(timeout), transaction)?;
        // SAFETY: the caller's promise; it is not null.
        unsafe { message.write(keep(received)) };
        Ok(Status::Success)
    })
}

/// Sends away who waits in MpsSynchronousReceive of a session now, with MPS_STATUS_CANCELED.
#[unsafe(no_mangle)]
pub extern "C" fn MpsCancelReceive(handle: MpsHandle) -> Status {
    inside(|| {
        session(handle)?.cancel_receives();
        Ok(Status::Success)
    })
}

/// # Safety
/// It is null or may be read.
unsafe fn read(descriptor: *const MpsSendDescriptor) -> Result<SendDescriptor, Error> {
    // SAFETY: the caller's promise.
    let descriptor = unsafe { descriptor.as_ref() }.ok_or(Status::Invalid)?;
    let destination = SpId::try_from(descriptor.Destination)?;
    Ok(SendDescriptor {
        context: descriptor.ContextHandle.expose_provenance() as u64,
        destination,
        buffer: Library::lock().buffer(descriptor.Ptr.addr())?,
        size: descriptor.Size,
        tag: SequenceTag::from_number(descriptor.SequenceTag),
    })
}
