//! What is live: the client of this process, its sessions, its buffers, and the messages that it did not release.

use messenger_mps::{
    Buffer, Conduit, Error, Event, Mailbox, MessageReceived, Mps, Opening, Place, Session, SpIds, State, Status,
    SyncSession,
};
use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The one of this process.
static LIBRARY: Mutex<Library> = Mutex::new(Library::new());

/// See the module's comment. Addresses are numbers here: nothing is read through them.
pub(crate) struct Library {
    place: Option<Place>,
    mps: Option<Mps>,
    /// Numbers of sessions are never used again.
    last: usize,
    sessions: BTreeMap<usize, AnySession>,
    buffers: BTreeMap<usize, Buffer>,
    received: BTreeMap<usize, Box<MessageReceived>>,
}

/// A session of either kind.
#[derive(Clone)]
pub(crate) enum AnySession {
    Full(Session),
    Sync(SyncSession),
}

impl Deref for AnySession {
    type Target = SyncSession;

    fn deref(&self) -> &SyncSession {
        match self {
            AnySession::Full(session) => session,
            AnySession::Sync(session) => session,
        }
    }
}

impl Library {
    const fn new() -> Library {
        Library {
            place: None,
            mps: None,
            last: 0,
            sessions: BTreeMap::new(),
            buffers: BTreeMap::new(),
            received: BTreeMap::new(),
        }
    }

    /// The library of this process. No service that may wait for another client is used under the lock.
    pub(crate) fn lock() -> MutexGuard<'static, Library> {
        // Tables are changed by whole entries.
        LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which daemon; refused once there is a client.
    pub(crate) fn use_node(&mut self, place: Place) -> Result<(), Error> {
        if self.mps.is_some() {
            return Err(Status::Exists.into());
        }
        self.place = Some(place);
        Ok(())
    }

    /// Does something with the client. One whose daemon ended joins anew, once; its buffers stay its own.
    fn with_mps<T>(&mut self, mut work: impl FnMut(&Mps) -> Result<T, Error>) -> Result<T, Error> {
        let place = self.place.clone().unwrap_or_default();
        let Some(mps) = &self.mps else {
            return work(self.mps.insert(Mps::join(&place)?));
        };
        match work(mps) {
            Err(error) if error.status() == Status::Lost => {
                let again = mps.join_again(&place)?;
                work(self.mps.insert(again))
            }
            done => done,
        }
    }

    /// Opens a session; `callback` is told the events of it, with its number.
    pub(crate) fn open(
        &mut self,
        conduit: Conduit,
        mailbox: Mailbox,
        callback: Option<impl Fn(usize, Event) -> Status + Clone + Send + Sync + 'static>,
    ) -> Result<usize, Error> {
        self.sessions.retain(|_, session| session.state() != State::Closed);
        let number = self.last + 1;
        let opening = Opening::new(conduit, mailbox).context(number as u64);
        let session = self.with_mps(|mps| match callback.clone() {
            Some(callback) => mps.open(&opening, move |event| callback(number, event)).map(AnySession::Full),
            None => mps.open_sync(&opening).map(AnySession::Sync),
        })?;
        self.last = number;
        self.sessions.insert(number, session);
        Ok(number)
    }

    /// A session that is not closed.
    pub(crate) fn session(&mut self, number: usize) -> Result<AnySession, Error> {
        let session = self.sessions.get(&number).ok_or(Status::NotOpen)?;
        if session.state() == State::Closed {
            self.sessions.remove(&number);
            return Err(Status::NotOpen.into());
        }
        Ok(session.clone())
    }

    /// Lets go of a session that is closed.
    pub(crate) fn forget(&mut self, number: usize) {
        self.sessions.remove(&number);
    }

    pub(crate) fn sp_ids(&mut self, peer: &str) -> Result<SpIds, Error> {
        self.with_mps(|mps| mps.sp_ids(peer))
    }

    /// Allocates a buffer and gives its address.
    pub(crate) fn allocate(&mut self, size: usize) -> Result<*mut u8, Error> {
        let buffer = self.with_mps(|mps| mps.allocate(size))?;
        let address = buffer.address();
        self.buffers.insert(address as usize, buffer);
        Ok(address)
    }

    /// The buffer at an address.
    pub(crate) fn buffer(&self, address: usize) -> Result<Buffer, Error> {
        self.buffers.get(&address).cloned().ok_or(Status::BufferInvalid.into())
    }

    pub(crate) fn free(&mut self, address: usize) -> Result<(), Error> {
        let buffer = self.buffer(address)?;
        // Who has a buffer has a client.
        self.mps.as_ref().ok_or(Status::BufferInvalid)?.free(&buffer)?;
        self.buffers.remove(&address);
        Ok(())
    }

    /// Keeps a message until it is released, and gives the address of its bytes; of an empty one, an address of its own.
    pub(crate) fn keep(&mut self, message: MessageReceived) -> *const u8 {
        let message = Box::new(message);
        let address = if message.size() == 0 { (&raw const *message).cast::<u8>() } else { message.bytes().as_ptr() };
        self.received.insert(address as usize, message);
        address
    }

    /// The message at an address, which is not kept any more.
    pub(crate) fn take(&mut self, address: usize) -> Result<Box<MessageReceived>, Error> {
        self.received.remove(&address).ok_or(Status::BufferInvalid.into())
    }
}
