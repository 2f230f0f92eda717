//! Sessions: an open mailbox, and what its client does with it.
//!
//! A session is a port of the daemon. This room keeps no message, no list of what is under way and no timer: it has the
//! callback, the closing status, and how many calls receive now.
//!
//! | from \ event | close | the last receive ends | the daemon closed the port |
//! | --- | --- | --- | --- |
//! | Open | Closed when nothing is outstanding, else Closing | – | Closed |
//! | Closing | *refused: closing* | the daemon closes the port when its sends are settled | Closed, and the event |
//! | Closed | *refused: not open* | – | – |

mod receive;
mod record;
mod send;

pub use record::{Record, State};

use crate::{Conduit, Error, Event, Filament, Mailbox, MessageReceived, Mps, Opening, SpId, Status, tag};
use messenger::{Finished, GuestError, PortId, PortSpec, Take};
use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A client's code, told what happens.
pub(crate) type Callback = Box<dyn Fn(Event) -> Status + Send + Sync>;

/// A session with synchronous services only. Clones are the same session, for any thread; when the last one is dropped and
/// nothing is under way, the mailbox closes.
#[derive(Clone, Debug)]
pub struct SyncSession(Arc<Inner>);

/// A session with all services: those of [`SyncSession`] and the asynchronous ones.
#[derive(Clone, Debug)]
pub struct Session(SyncSession);

/// What a close came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closure {
    /// The session is closed; no event tells it.
    Done,
    /// Something is outstanding: [`Event::CloseCompleted`] follows it.
    Pending,
}

pub(crate) struct Inner {
    mps: Mps,
    port: PortId,
    mailbox: Mailbox,
    conduit: Conduit,
    /// The other end of the conduit, if it has one.
    peer: Option<SpId>,
    /// The target of a filament.
    target: Option<SpId>,
    context: Option<u64>,
    callback: Option<Callback>,
    life: Mutex<Life>,
    /// Events that the callback returned no success for.
    failures: AtomicU64,
    /// Asynchronous messages that nobody was there for.
    unwanted: AtomicU64,
}

/// The closing status.
#[derive(Clone, Copy, Debug)]
struct Life {
    state: State,
    /// Calls that receive now.
    receives: usize,
}

impl Inner {
    pub(crate) fn open(
        mps: &Mps,
        opening: &Opening,
        peer: Option<SpId>,
        callback: Option<Callback>,
    ) -> Result<Arc<Inner>, Error> {
        let spec = PortSpec { kind: Some("mps".into()), room: opening.room, ..PortSpec::named(opening.mailbox.port()) };
        let port = mps.guest.open(&spec)?;
        let inner = Arc::new(Inner {
            mps: mps.clone(),
            port,
            mailbox: opening.mailbox.clone(),
            conduit: opening.conduit.clone(),
            peer,
            target: opening.target,
            context: opening.context,
            callback,
            life: Mutex::new(Life { state: State::Open, receives: 0 }),
            failures: AtomicU64::new(0),
            unwanted: AtomicU64::new(0),
        });
        // The handler does not keep the session: it goes with its last handle, and the handler with it.
        let session = Arc::downgrade(&inner);
        let asynchronous = Take::masked(tag::ASYNCHRONOUS, tag::ASYNCHRONOUS).held();
        mps.guest.on_message_with(port, asynchronous, move |message| {
            if let Some(session) = session.upgrade() {
                session.arrived(message);
            }
            Ok(())
        })?;
        Ok(inner)
    }

    fn filament(&self) -> Filament {
        Filament(self.port.to_wire())
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // Whoever holds it writes whole values.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An asynchronous message: its node confirmed it before anybody looked at what it is.
    fn arrived(&self, message: messenger::Received) {
        let message = MessageReceived::new(&self.mps.guest, message);
        if self.callback.is_none() {
            self.unwanted.fetch_add(1, Ordering::Relaxed);
        }
        self.tell(Event::MessageReceived { filament: self.filament(), message });
    }

    /// Tells the client, if it wants to be told.
    fn tell(&self, event: Event) {
        let Some(callback) = &self.callback else { return };
        let status = catch_unwind(AssertUnwindSafe(|| callback(event))).unwrap_or(Status::Failed);
        if !status.is_success() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the daemon close the port when the sends of it are settled. `told`: the client is told, also when that is now.
    fn finish(self: &Arc<Self>, told: bool) -> Result<Closure, Error> {
        let session = Arc::clone(self);
        let finished = self.mps.guest.finish(self.port, move |finished| {
            session.life().state = State::Closed;
            let status = if finished.is_ok() { Status::Success } else { Status::Lost };
            if told || !matches!(finished, Ok(Finished::AtOnce)) {
                session.tell(Event::CloseCompleted { filament: session.filament(), status });
            }
        })?;
        Ok(match finished {
            Finished::AtOnce => Closure::Done,
            Finished::Later => Closure::Pending,
        })
    }
}

impl SyncSession {
    pub(crate) fn new(inner: Arc<Inner>) -> SyncSession {
        SyncSession(inner)
    }

    /// Its handle.
    pub fn filament(&self) -> Filament {
        self.0.filament()
    }

    /// Its mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    /// Its closing status.
    pub fn state(&self) -> State {
        self.0.life().state
    }

    /// Closes the session. What is outstanding is waited for: sends until they are confirmed or failed, receives until they have
    /// their message, or are sent away with [`SyncSession::cancel_receives`]. New sends and receives are refused meanwhile.
    /// Messages that nobody received are dropped.
    ///
    /// # Errors
    /// [`Status::Closing`], [`Status::NotOpen`]: it was closed before. [`Status::Lost`].
    pub fn close(&self) -> Result<Closure, Error> {
        {
            let mut life = self.0.life();
            life.state.check()?;
            life.state = State::Closing;
            if life.receives > 0 {
                return Ok(Closure::Pending);
            }
        }
        let closure = self.0.finish(false);
        if !matches!(closure, Ok(Closure::Pending)) {
            self.0.life().state = State::Closed;
        }
        closure
    }
}

impl Session {
    pub(crate) fn new(session: SyncSession) -> Session {
        Session(session)
    }
}

impl Deref for Session {
    type Target = SyncSession;

    fn deref(&self) -> &SyncSession {
        &self.0
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.life().state != State::Closed {
            // A daemon that is gone has closed it.
            let _: Result<(), GuestError> = self.mps.guest.close(self.port);
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let life = *self.life();
        f.debug_struct("Session").field("mailbox", &self.mailbox).field("life", &life).finish_non_exhaustive()
    }
}
