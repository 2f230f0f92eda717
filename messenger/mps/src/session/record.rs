//! What a session is and has, for a reader.

use super::SyncSession;
use crate::{Conduit, Error, Filament, Mailbox, SequenceTag, SpId, tag};
use std::{fmt, sync::atomic::Ordering};

/// The closing status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes sends and receives.
    Open,
    /// It waits for what is outstanding.
    Closing,
    /// It is no more.
    Closed,
}

/// A session as it was at one moment, from what the daemon and the guest keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its handle.
    pub filament: Filament,
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// The way it was opened over.
    pub conduit: Conduit,
    /// The target it is dedicated to.
    pub target: Option<SpId>,
    /// It has a callback.
    pub has_callback: bool,
    /// Its closing status.
    pub state: State,
    /// The number its client gave it.
    pub context: Option<u64>,
    /// Tickets of sends that were not confirmed yet, the oldest first.
    pub outstanding: Vec<u64>,
    /// Who waits to receive: the transactions, `None` for any.
    pub receives: Vec<Option<u32>>,
    /// Messages in the mailbox that nobody received.
    pub received: u64,
    /// Messages that the client got and did not release.
    pub unreleased: u64,
    /// Events that the callback returned no success for.
    pub failures: u64,
    /// Asynchronous messages that came to a session without a callback: they were confirmed and dropped.
    pub unwanted: u64,
}

impl SyncSession {
    /// What the session is and has.
    ///
    /// # Errors
    /// [`crate::Status::Lost`].
    pub fn record(&self) -> Result<Record, Error> {
        let inner = &self.0;
        let state = inner.life().state;
        let pending = inner.mps.guest.pending(inner.port);
        // The port of a closed session is no more.
        let port = if state == State::Closed { None } else { Some(inner.mps.guest.look(inner.port)?) };
        let transaction = |take: &messenger::Take| {
            let is_one = take.mask == u32::MAX && take.tag & tag::ASYNCHRONOUS == 0;
            is_one.then(|| SequenceTag::from_number(take.tag).transaction())
        };
        Ok(Record {
            filament: inner.filament(),
            mailbox: inner.mailbox.clone(),
            conduit: inner.conduit.clone(),
            target: inner.target,
            has_callback: inner.callback.is_some(),
            state,
            context: inner.context,
            outstanding: pending.tickets.iter().map(|ticket| ticket.0).collect(),
            receives: pending.receivers.iter().map(transaction).collect(),
            received: port.map_or(0, |port| port.waiting),
            unreleased: port.map_or(0, |port| port.held),
            failures: inner.failures.load(Ordering::Relaxed),
            unwanted: inner.unwanted.load(Ordering::Relaxed),
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?}: {} sends, {} receives outstanding, {} messages, {} unreleased",
            self.mailbox,
            self.state,
            self.outstanding.len(),
            self.receives.len(),
            self.received,
            self.unreleased
        )
    }
}
