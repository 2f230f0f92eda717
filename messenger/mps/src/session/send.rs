//! Sending.

use super::{Inner, Session, State, SyncSession};
use crate::tag::Exchange;
use crate::{Error, Event, SendDescriptor, SpId, Status, tag};
use messenger::{GuestError, Message, Outcome, Priority, Sent, To, Wants};
use std::sync::Arc;

impl SyncSession {
    /// Sends a message and waits until the target's storage processor confirms that it is in the mailbox there.
    ///
    /// # Errors
    /// Refused on the spot: [`Status::NotOpen`], [`Status::Closing`], [`Status::DestinationInvalid`], [`Status::Invalid`] (not the
    /// filament's target), [`Status::BufferInvalid`], [`Status::BufferInUse`], [`Error::TooLarge`],
    /// [`Status::InsufficientResources`]. Not delivered: [`Error::Undelivered`].
    pub fn send_sync(&self, descriptor: &SendDescriptor) -> Result<(), Error> {
        let inner = &self.0;
        let ticket = inner.launch(descriptor, |to, message| inner.mps.guest.send(to, message))?.ticket;
        let outcome = match ticket {
            Some(ticket) => inner.mps.guest.settle(ticket, None),
            None => Err(GuestError::Answer),
        };
        descriptor.buffer.give_back();
        delivered(outcome?.ok_or(GuestError::Answer)?)
    }
}

impl Session {
    /// Sends a message and goes on; [`Event::MessageSent`] tells what became of it. Until then the buffer is the service's.
    ///
    /// # Errors
    /// What [`SyncSession::send_sync`] refuses on the spot; then there is no event.
    pub fn send_async(&self, descriptor: &SendDescriptor) -> Result<(), Error> {
        let inner = &self.0.0;
        let (session, buffer, context) = (Arc::clone(inner), descriptor.buffer.clone(), descriptor.context);
        let sent = move |outcome: Result<Outcome, GuestError>| {
            buffer.give_back();
            let status =
                outcome.map_err(Error::from).and_then(delivered).map_or_else(|e| e.status(), |()| Status::Success);
            session.tell(Event::MessageSent { filament: session.filament(), context, status });
        };
        inner.launch(descriptor, |to, message| inner.mps.guest.send_then(to, message, sent)).map(drop)
    }
}

impl Inner {
    /// Checks a descriptor and gives its message to the daemon.
    fn launch(
        &self,
        descriptor: &SendDescriptor,
        send: impl FnOnce(&To, &Message) -> Result<Sent, GuestError>,
    ) -> Result<Sent, Error> {
        self.life().state.check()?;
        self.check_destination(descriptor.destination)?;
        let to = To::On { node: descriptor.destination.to_string(), name: self.mailbox.port() };
        let asynchronous = descriptor.tag.exchange() == Exchange::Asynchronous;
        descriptor.buffer.lend(&self.mps.owner, descriptor.size, |payload| {
            let message = Message {
                payload,
                from: Some(self.port),
                // Areas of their own: what is not received leaves room for what is handled.
                priority: if asynchronous { Priority::High } else { Priority::Normal },
                wants: Wants::Receipt,
                opcode: tag::OPCODE,
                tag: descriptor.tag.number(),
                ..Message::default()
            };
            let sent = send(&to, &message).map_err(Error::from);
            (message.payload, sent)
        })
    }

    /// A filament sends to its target, and a conduit leads to its two ends.
    fn check_destination(&self, destination: SpId) -> Result<(), Error> {
        if self.target.is_some_and(|target| target != destination) {
            return Err(Status::Invalid.into());
        }
        let local = SpId::of(self.mps.guest.node());
        if self.peer.is_some_and(|peer| destination != peer && destination != local) {
            return Err(Status::DestinationInvalid.into());
        }
        Ok(())
    }
}

impl State {
    /// Refuses what a session that is closed, or about to be, does not take.
    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            State::Open => Ok(()),
            State::Closing => Err(Status::Closing.into()),
            State::Closed => Err(Status::NotOpen.into()),
        }
    }
}

fn delivered(outcome: Outcome) -> Result<(), Error> {
    let status = outcome.status();
    if Status::from(status).is_success() { Ok(()) } else { Err(Error::Undelivered(status)) }
}
