//! Buffers: memory of messages, and whose it is.
//!
//! | from \ event | client reads or writes | send | completion of the send | free |
//! | --- | --- | --- | --- | --- |
//! | the client's | *allowed* | the service's | – | gone |
//! | the service's (being sent) | *refused: in use* | *refused: in use* | the client's | *refused: in use* |
//! | gone | *refused: invalid* | *refused: invalid* | – | *refused: invalid* |
//!
//! A handle may be copied: whose the memory is stands in one place, behind all of them.

use crate::{Error, Status};
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most bytes of a message.
pub const MESSAGE_MOST: usize = messenger::protocol::PAYLOAD_MOST;

/// Who allocated: the buffers of one client are foreign to another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner(Arc<()>);

/// Memory for a message, from [`crate::Mps::allocate`].
#[derive(Clone, Debug)]
pub struct Buffer {
    owner: Owner,
    size: usize,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug)]
enum Memory {
    Client(Vec<u8>),
    /// Being sent. The bytes are with the call that sends while that lasts; the completion may be told meanwhile.
    Sending {
        bytes: Option<Vec<u8>>,
        complete: bool,
    },
    Gone,
}

impl Buffer {
    pub(crate) fn allocate(owner: &Owner, size: usize) -> Result<Buffer, Error> {
        let none = || Error::NoBuffer { size, most: MESSAGE_MOST };
        if size > MESSAGE_MOST {
            return Err(none());
        }
        let mut bytes = Vec::new();
        // An empty one has an address of its own, too.
        bytes.try_reserve_exact(size.max(1)).map_err(|_| none())?;
        bytes.resize(size, 0);
        Ok(Buffer { owner: owner.clone(), size, memory: Arc::new(Mutex::new(Memory::Client(bytes))) })
    }

    /// Its size in bytes; it may be 0.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes, or reads, its bytes.
    ///
    /// # Errors
    /// [`Status::BufferInUse`], [`Status::BufferInvalid`].
    pub fn with<T>(&self, work: impl FnOnce(&mut [u8]) -> T) -> Result<T, Error> {
        match &mut *self.lock() {
            Memory::Client(bytes) => Ok(work(bytes)),
            Memory::Sending { .. } => Err(Status::BufferInUse.into()),
            Memory::Gone => Err(Status::BufferInvalid.into()),
        }
    }

    /// Puts bytes at its beginning.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: there is no room for them; and as for [`Buffer::with`].
    pub fn fill(&self, bytes: &[u8]) -> Result<(), Error> {
        let too_large = || Error::TooLarge { size: bytes.len(), most: self.size };
        self.with(|memory| memory.get_mut(..bytes.len()).map(|room| room.copy_from_slice(bytes)))?.ok_or_else(too_large)
    }

    /// Where its bytes are, for those who cannot be given a slice; null while it is being sent. They stay there until the
    /// buffer is freed.
    pub fn address(&self) -> *mut u8 {
        match &mut *self.lock() {
            Memory::Client(bytes) => bytes.as_mut_ptr(),
            Memory::Sending { .. } | Memory::Gone => std::ptr::null_mut(),
        }
    }

    /// It is being sent: the memory is the service's.
    pub fn is_in_use(&self) -> bool {
        matches!(*self.lock(), Memory::Sending { .. })
    }

    pub(crate) fn free(&self, owner: &Owner) -> Result<(), Error> {
        self.take(owner, || Memory::Gone).map(drop)
    }

    /// Lends its first `size` bytes to `send`. When that goes well they are the service's until [`Buffer::give_back`].
    pub(crate) fn lend<T>(
        &self,
        owner: &Owner,
        size: usize,
        send: impl FnOnce(Vec<u8>) -> (Vec<u8>, Result<T, Error>),
    ) -> Result<T, Error> {
        if size > self.size {
            self.check(owner)?;
            return Err(Error::TooLarge { size, most: self.size });
        }
        let bytes = self.take(owner, || Memory::Sending { bytes: None, complete: false })?;
        let (bytes, sent) = if size == self.size {
            send(bytes)
        } else {
            // What is behind the message stays as it is.
            let part = bytes.get(..size).unwrap_or_default().to_vec();
            (bytes, send(part).1)
        };
        let mut memory = self.lock();
        *memory = match &*memory {
            Memory::Sending { complete: false, .. } if sent.is_ok() => {
                Memory::Sending { bytes: Some(bytes), complete: false }
            }
            _ => Memory::Client(bytes),
        };
        sent
    }

    /// The send is complete: the memory is the client's again.
    pub(crate) fn give_back(&self) {
        let mut memory = self.lock();
        *memory = match mem::replace(&mut *memory, Memory::Gone) {
            Memory::Sending { bytes: Some(bytes), .. } => Memory::Client(bytes),
            Memory::Sending { bytes: None, .. } => Memory::Sending { bytes: None, complete: true },
            other => other,
        };
    }

    /// Refuses what another one allocated, what is being sent, and what is gone.
    fn check(&self, owner: &Owner) -> Result<(), Error> {
        if !Arc::ptr_eq(&owner.0, &self.owner.0) {
            return Err(Status::BufferInvalid.into());
        }
        self.with(|_| ())
    }

    /// Takes the client's bytes and leaves something else.
    fn take(&self, owner: &Owner, leave: impl FnOnce() -> Memory) -> Result<Vec<u8>, Error> {
        if !Arc::ptr_eq(&owner.0, &self.owner.0) {
            return Err(Status::BufferInvalid.into());
        }
        let mut memory = self.lock();
        match mem::replace(&mut *memory, Memory::Gone) {
            Memory::Client(bytes) => {
                *memory = leave();
                Ok(bytes)
            }
            other => {
                let refusal = if matches!(other, Memory::Gone) { Status::BufferInvalid } else { Status::BufferInUse };
                *memory = other;
                Err(refusal.into())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // A client that panics while it writes leaves bytes, whatever they are.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: Vec<u8>) -> (Vec<u8>, Result<usize, Error>) {
        let length = bytes.len();
        (bytes, Ok(length))
    }

    /// Rows: MP-35, MP-36.
    #[test]
    fn buffers_of_any_size_are_had_and_freed_once() {
        let (owner, other) = (Owner::default(), Owner::default());
        for size in [0, 1, MESSAGE_MOST] {
            let buffer = Buffer::allocate(&owner, size).unwrap();
            assert_eq!((buffer.size(), buffer.with(|bytes| bytes.len()).unwrap()), (size, size));
            assert_eq!(buffer.free(&other).unwrap_err().status(), Status::BufferInvalid, "it is another client's");
            buffer.free(&owner).unwrap();
            assert_eq!(buffer.free(&owner).unwrap_err().status(), Status::BufferInvalid);
            assert_eq!(buffer.fill(&[]).unwrap_err().status(), Status::BufferInvalid);
        }
        for size in [MESSAGE_MOST + 1, usize::MAX] {
            assert_eq!(Buffer::allocate(&owner, size).unwrap_err().status(), Status::InsufficientResources);
        }
    }

    /// Rows: MI-2.
    #[test]
    fn between_send_and_completion_it_is_the_services() {
        let owner = Owner::default();
        let buffer = Buffer::allocate(&owner, 8).unwrap();
        buffer.fill(b"12345678").unwrap();
        let address = buffer.address();
        assert_eq!(buffer.lend(&owner, 4, |bytes| (bytes.clone(), Ok(bytes))).unwrap(), b"1234");
        assert!(buffer.is_in_use() && buffer.address().is_null());
        for refusal in [buffer.free(&owner), buffer.fill(b"x"), buffer.lend(&owner, 8, sent).map(drop)] {
            assert_eq!(refusal.unwrap_err().status(), Status::BufferInUse);
        }
        buffer.give_back();
        assert_eq!(buffer.with(|bytes| bytes.to_vec()).unwrap(), b"12345678");
        assert_eq!(buffer.lend(&owner, 9, sent).unwrap_err().status(), Status::TooLarge);
        // One that is refused, and one whose end is told before the call is back.
        let refused = |bytes| (bytes, Err::<(), _>(Status::Closing.into()));
        assert_eq!(buffer.lend(&owner, 8, refused).unwrap_err().status(), Status::Closing);
        assert!(!buffer.is_in_use());
        let told = |bytes| {
            buffer.give_back();
            (bytes, Ok(()))
        };
        buffer.lend(&owner, 8, told).unwrap();
        assert!(!buffer.is_in_use());
        assert_eq!(buffer.address(), address, "bytes stay where they are");
        buffer.give_back();
        buffer.free(&owner).unwrap();
    }
}
