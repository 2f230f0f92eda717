//! Receiving.

use super::{Inner, State, SyncSession};
use crate::{Error, MessageReceived, SequenceTag, Status, Timeout, tag};
use messenger::Take;
use std::sync::Arc;

/// A call that receives, as long as it does.
struct Receiving<'a>(&'a Arc<Inner>);

impl<'a> Receiving<'a> {
    fn begin(inner: &'a Arc<Inner>) -> Result<Receiving<'a>, Error> {
        let mut life = inner.life();
        life.state.check()?;
        life.receives += 1;
        Ok(Receiving(inner))
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        let is_last = {
            let mut life = self.0.life();
            life.receives -= 1;
            life.receives == 0 && life.state == State::Closing
        };
        if is_last {
            // A daemon that is gone tells nobody.
            let _ = self.0.finish(true);
        }
    }
}

impl SyncSession {
    /// Takes a synchronous message: of a transaction, or of any. One that waits is given at once; otherwise the call waits.
    ///
    /// # Errors
    /// [`Status::NoMessage`]: none in time. [`Status::Canceled`]: see [`SyncSession::cancel_receives`]. [`Status::NotOpen`],
    /// [`Status::Closing`], [`Status::Lost`]; [`Status::Invalid`]: no number of a transaction.
    pub fn receive(&self, timeout: Timeout, transaction: Option<u32>) -> Result<MessageReceived, Error> {
        let take = match transaction {
            None => Take::masked(0, tag::ASYNCHRONOUS),
            Some(number) => Take::tagged(SequenceTag::sync(number).ok_or(Status::Invalid)?.number()),
        };
        let _receiving = Receiving::begin(&self.0)?;
        let guest = &self.0.mps.guest;
        let message = guest.receive_with(self.0.port, take.held(), timeout.limit())?.ok_or(Status::NoMessage)?;
        Ok(MessageReceived::new(guest, message))
    }

    /// Sends away who waits in [`SyncSession::receive`] now, with [`Status::Canceled`]. Returns how many.
    pub fn cancel_receives(&self) -> usize {
        self.0.mps.guest.cancel_receives(self.0.port)
    }
}
