//! Sessions and storage processors.

use super::{
    MpsCallback, MpsHandle,
    events::Client,
    inside, session,
    text::{text, wide},
};
use crate::library::Library;
use messenger_mps::{Closure, Conduit, Mailbox, Place, Status};
use std::{
    ffi::{c_char, c_void},
    ptr,
};

/// Says which daemon of this host is meant, before the first session: its run-time directory, its fabric and its node's name. Null
/// is as if this was never called: the directory in MINET_RUN_DIR or the usual one, the usual fabric, the only node.
///
/// # Safety
/// Each is null or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsUseNode(directory: *const c_char, fabric: *const c_char, name: *const c_char) -> Status {
    inside(|| {
        let mut place = Place::default();
        // SAFETY: the caller's promise.
        let (directory, fabric, name) = unsafe { (text(directory)?, text(fabric)?, text(name)?) };
        place.run_dir = directory.map_or(place.run_dir, Into::into);
        place.fabric = fabric.unwrap_or(place.fabric);
        place.name = name;
        Library::lock().use_node(place).map(|()| Status::Success)
    })
}

/// Opens a session: a mailbox in a domain of one to four characters, over the conduit to the node of that name or number, or for
/// null over all. The callback is told the session's events with the context; without one the session has synchronous
/// services only.
///
/// # Safety
/// Texts are null or end with a zero; `handle` is null or may be written to; the callback may be called with the context from
/// another thread until the session is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsOpen(
    callback: MpsCallback,
    conduit: *const c_char,
    domain: *const c_char,
    mailbox: *const libc::wchar_t,
    context: *mut c_void,
    handle: *mut MpsHandle,
) -> Status {
    inside(|| {
        if handle.is_null() {
            return Err(Status::Invalid.into());
        }
        // SAFETY: the caller's promise.
        let (conduit, domain, name) = unsafe { (text(conduit)?, text(domain)?, wide(mailbox)?) };
        let mailbox = Mailbox::new(&domain.ok_or(Status::Invalid)?, &name.ok_or(Status::Invalid)?)?;
        let conduit = conduit.map_or(Conduit::Fabric, Conduit::To);
        // SAFETY: the caller's promise.
        let client = unsafe { Client::new(callback, context) };
        let told = client.map(|client| move |number, event| client.tell(number, event));
        let number = Library::lock().open(conduit, mailbox, told)?;
        // SAFETY: the caller's promise; it is not null.
        unsafe { handle.write(ptr::without_provenance_mut(number)) };
        Ok(Status::Success)
    })
}

/// Closes a session: at once, or when its outstanding sends and receives are done; then it returns MPS_STATUS_PENDING, and the
/// event CloseCompleted follows.
#[unsafe(no_mangle)]
pub extern "C" fn MpsClose(handle: MpsHandle) -> Status {
    inside(|| {
        let session = session(handle)?;
        let closure = session.close()?;
        Ok(match closure {
            Closure::Pending => Status::Pending,
            Closure::Done => {
                Library::lock().forget(handle.addr());
                Status::Success
            }
        })
    })
}

/// Gives the number of this storage processor and of the one at the other end of a conduit, by its node's name or number.
///
/// # Safety
/// `conduit` is null or ends with a zero byte; the others are null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MpsGetSpId(conduit: *const c_char, local: *mut u32, peer: *mut u32) -> Status {
    inside(|| {
        // SAFETY: the caller's promise.
        let name = unsafe { text(conduit) }?.ok_or(Status::Invalid)?;
        let ids = Library::lock().sp_ids(&name)?;
        for (place, id) in [(local, ids.local), (peer, ids.peer)] {
            if !place.is_null() {
                // SAFETY: the caller's promise; it is not null.
                unsafe { place.write(id.number()) };
            }
        }
        Ok(Status::Success)
    })
}
