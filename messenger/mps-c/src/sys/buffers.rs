//! Memory of messages.

use super::inside;
use crate::library::Library;
use messenger_mps::Status;
use std::ffi::c_void;

/// Allocates a buffer of so many bytes, which may be 0, and puts its address there. Its bytes are 0.
///
/// # Safety
/// `message` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsAllocateMessage(size: usize, message: *mut *mut c_void) -> Status {
    inside(|| {
        if message.is_null() {
            return Err(Status::Invalid.into());
        }
        let address = Library::lock().allocate(size)?;
        // SAFETY: the caller's promise; it is not null.
        unsafe { message.write(address.cast()) };
        Ok(Status::Success)
    })
}

/// Frees a buffer of MpsAllocateMessage that is not being sent.
#[unsafe(no_mangle)]
pub extern "C" fn MpsFreeMessage(message: *mut c_void) -> Status {
    inside(|| Library::lock().free(message.addr()).map(|()| Status::Success))
}

/// Gives a received message back, synchronous or asynchronous, once.
#[unsafe(no_mangle)]
pub extern "C" fn MpsReleaseReceivedMessage(message: *const c_void) -> Status {
    inside(|| {
        let mut message = Library::lock().take(message.addr())?;
        message.release().map(|()| Status::Success)
    })
}
