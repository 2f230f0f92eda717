//! Events, as C is told them.

use super::{MpsCallback, MpsEvent, MpsEventKind, MpsHandle, MpsMessageReceived};
use crate::library::Library;
use messenger_mps::{Event, MessageReceived, Status};
use std::{ffi::c_void, ptr};

/// A client's code and its context.
#[derive(Clone, Copy)]
pub(super) struct Client {
    callback: unsafe extern "C" fn(*mut c_void, *const MpsEvent) -> u32,
    context: *mut c_void,
}

// SAFETY: the library never reads through the context; the client said where it may be used when it gave it to a library
// that calls it in a thread of its own.
unsafe impl Send for Client {}
// SAFETY: as above, and events of one guest are told one after another.
unsafe impl Sync for Client {}

impl Client {
    /// # Safety
    /// The function may be called with the context from any thread until the session is closed.
    pub(super) unsafe fn new(callback: MpsCallback, context: *mut c_void) -> Option<Client> {
        callback.map(|callback| Client { callback, context })
    }

    /// Tells it an event of the session with this number.
    pub(super) fn tell(self, number: usize, event: Event) -> Status {
        let handle: MpsHandle = ptr::without_provenance_mut(number);
        let none = MpsMessageReceived { Ptr: ptr::null(), Sender: 0, Size: 0, SynchronousStatus: 0, SequenceTag: 0 };
        let (kind, status, context, message) = match event {
            Event::CloseCompleted { status, .. } => (MpsEventKind::CloseCompleted, status, 0, none),
            Event::MessageSent { status, context, .. } => (MpsEventKind::MessageSent, status, context, none),
            Event::MessageReceived { message, .. } => {
                (MpsEventKind::MessageReceived, Status::Success, 0, keep(message))
            }
        };
        let event = MpsEvent {
            Kind: kind,
            EventStatus: status,
            FilamentHandle: handle,
            // It was a pointer when it came.
            ContextHandle: ptr::with_exposed_provenance_mut(usize::try_from(context).unwrap_or_default()),
            Message: message,
        };
        // SAFETY: the promise of `new`; the event is there as long as the call lasts.
        let status = unsafe { (self.callback)(self.context, &raw const event) };
        Status::from_number(status).unwrap_or(Status::Failed)
    }
}

/// Keeps a message until the client releases it.
pub(super) fn keep(message: MessageReceived) -> MpsMessageReceived {
    let (sender, size, tag) = (message.sender(), message.size(), message.tag());
    let synchronous = u32::from(message.is_synchronous());
    MpsMessageReceived {
        Ptr: Library::lock().keep(message).cast(),
        Sender: sender.number(),
        Size: size,
        SynchronousStatus: synchronous,
        SequenceTag: tag.number(),
    }
}
