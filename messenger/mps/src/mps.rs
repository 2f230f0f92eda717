//! The service: a client's place at its storage processor.

use crate::{
    Buffer, Error, Event, Mailbox, Session, SpId, SpIds, Status, SyncSession,
    buffer::Owner,
    conduit::Conduit,
    session::{Callback, Inner},
};
use messenger::{Code, Guest, GuestError, Place};

/// A client of the service on its storage processor; see the crate's example. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Mps {
    pub(crate) guest: Guest,
    pub(crate) owner: Owner,
}

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    pub(crate) conduit: Conduit,
    pub(crate) mailbox: Mailbox,
    pub(crate) context: Option<u64>,
    pub(crate) target: Option<SpId>,
    pub(crate) room: Option<u32>,
}

impl Opening {
    /// A session for any target of a conduit.
    pub fn new(conduit: Conduit, mailbox: Mailbox) -> Opening {
        Opening { conduit, mailbox, context: None, target: None, room: None }
    }

    /// With the client's own number, which its record shows.
    pub fn context(self, context: u64) -> Opening {
        Opening { context: Some(context), ..self }
    }

    /// A filament: a session that sends to one target only.
    pub fn dedicated(self, target: SpId) -> Opening {
        Opening { target: Some(target), ..self }
    }

    /// With room for so many bytes of synchronous messages, and as many of asynchronous ones; 128 are counted for each message
    /// besides. 256 KiB if this is not said, 64 MiB at the most.
    pub fn room(self, bytes: u32) -> Opening {
        Opening { room: Some(bytes), ..self }
    }
}

impl Mps {
    /// Joins a daemon of this host.
    ///
    /// # Errors
    /// [`Error::Guest`]: there is none, or not one.
    pub fn join(place: &Place) -> Result<Mps, Error> {
        Ok(Mps::of(Guest::join(place)?))
    }

    /// The same client, joined anew after its daemon ended: sessions are gone, its buffers stay its own.
    ///
    /// # Errors
    /// As for [`Mps::join`].
    pub fn join_again(&self, place: &Place) -> Result<Mps, Error> {
        Ok(Mps { guest: Guest::join(place)?, owner: self.owner.clone() })
    }

    /// With a guest that is there; other use of it goes on beside.
    pub fn of(guest: Guest) -> Mps {
        Mps { guest, owner: Owner::default() }
    }

    /// Opens a session. Its callback is told what happens, one event after the other, in a thread of the client's guest. It
    /// returns how it went; what is no success is counted, and the session goes on.
    ///
    /// # Errors
    /// [`Error::NoConduit`]; [`Status::Exists`]: the mailbox is open on this storage processor; [`Status::InsufficientResources`].
    pub fn open(
        &self,
        opening: &Opening,
        callback: impl Fn(Event) -> Status + Send + Sync + 'static,
    ) -> Result<Session, Error> {
        self.open_with(opening, Some(Box::new(callback))).map(Session::new)
    }

    /// Opens a session of a client that has synchronous services only.
    ///
    /// # Errors
    /// As for [`Mps::open`].
    pub fn open_sync(&self, opening: &Opening) -> Result<SyncSession, Error> {
        self.open_with(opening, None)
    }

    fn open_with(&self, opening: &Opening, callback: Option<Callback>) -> Result<SyncSession, Error> {
        let peer = match &opening.conduit {
            Conduit::Fabric => None,
            Conduit::To(peer) => Some(self.peer(peer)?),
        };
        Inner::open(self, opening, peer, callback).map(SyncSession::new)
    }

    /// Memory for a message of `size` bytes; 0 is a size as any other.
    ///
    /// # Errors
    /// [`Error::NoBuffer`]: there is not so much, or it is more than [`crate::MESSAGE_MOST`].
    pub fn allocate(&self, size: usize) -> Result<Buffer, Error> {
        Buffer::allocate(&self.owner, size)
    }

    /// Frees memory for messages, through any of its handles.
    ///
    /// # Errors
    /// [`Status::BufferInvalid`]: it is another client's, or was freed; [`Status::BufferInUse`]: it is being sent.
    pub fn free(&self, buffer: &Buffer) -> Result<(), Error> {
        buffer.free(&self.owner)
    }

    /// Both ends of the conduit to a storage processor, by its node's name or number. Its own is one, too.
    ///
    /// # Errors
    /// [`Error::NoConduit`].
    pub fn sp_ids(&self, peer: &str) -> Result<SpIds, Error> {
        Ok(SpIds { local: SpId::of(self.guest.node()), peer: self.peer(peer)? })
    }

    fn peer(&self, peer: &str) -> Result<SpId, Error> {
        match self.guest.find(peer) {
            Ok((node, _)) => Ok(SpId::of(node)),
            Err(GuestError::Refused(status)) if status.code == Code::NotFound => {
                Err(Error::NoConduit { peer: peer.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }
}
