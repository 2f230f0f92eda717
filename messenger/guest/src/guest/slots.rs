//! Slots of tickets while they are open, another try for those that gave no receipt, members and numbers.

use super::{Guest, envelope};
use crate::{
    Code, GuestError, Member, Message, Numbers, PortId, Replied, Sent, Slot, Ticket, To,
    protocol::{Done, Request},
};
use std::time::Duration;

impl Guest {
    /// Sends a message again to those targets of a settled ticket that gave no receipt, and to no others. Who stored it at the
    /// first try gives its receipt again and nothing else; if an answer is wanted, its slot says [`Code::Repeated`]. The message is
    /// to be what it was.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: [`Code::NotFound`] (every target gave its receipt), [`Code::BadHandle`] (no receipts were wanted, or too
    /// many tickets ended since), and as for [`Guest::send`].
    pub fn resend(&mut self, ticket: Ticket, to: &To, message: &Message) -> Result<Sent, GuestError> {
        self.post(Request::Resend { ticket, envelope: envelope(to, message)? }, message)
    }

    /// Waits until each slot has its node's receipt or is settled, at most for `limit`, and tells how they are then. The ticket
    /// goes on.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: there is no such ticket.
    pub fn confirmed(&mut self, ticket: Ticket, limit: Option<Duration>) -> Result<Vec<Slot>, GuestError> {
        self.wait(limit, |inbox| inbox.is_confirmed(ticket).then_some(()))?;
        if let Some(slots) = self.inbox.slots(ticket) {
            return Ok(slots);
        }
        match self.ask(Request::Slots { ticket }, &[]) {
            Ok((Done::Slots(slots), _)) => Ok(slots),
            Ok(_) => Err(GuestError::Answer),
            // It was settled meanwhile.
            Err(error) if error.status().is_some_and(|status| status.code == Code::BadHandle) => {
                self.inbox.slots(ticket).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The next answer to a message, as it comes. `Ok(None)`: every target is settled and its answer, if any, was taken, or
    /// none came within `limit`. [`Guest::settle`] has those that were not taken.
    ///
    /// # Errors
    /// The connection broke.
    pub fn answer(&mut self, ticket: Ticket, limit: Option<Duration>) -> Result<Option<Replied>, GuestError> {
        let next = self.wait(limit, |inbox| match inbox.answer(ticket) {
            None if inbox.is_settled(ticket) => Some(None),
            None => None,
            reply => Some(reply),
        });
        Ok(next?.flatten())
    }

    /// Every target of a ticket is settled, as far as this process was told.
    pub fn is_settled(&self, ticket: Ticket) -> bool {
        self.inbox.is_settled(ticket)
    }

    /// Nobody asks for this ticket any more: its answers come out of [`Guest::loose_answer`], its outcome is dropped.
    pub fn let_go(&mut self, ticket: Ticket) {
        self.inbox.let_go(ticket);
    }

    /// The next answer to a message whose ticket was let go, if one came.
    pub fn loose_answer(&mut self) -> Option<Replied> {
        self.inbox.loose_answer()
    }

    /// Waits until a port has messages or an answer to a ticket that was let go came; `false`: neither within `limit`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn news(&mut self, port: PortId, limit: Option<Duration>) -> Result<bool, GuestError> {
        Ok(self.wait(limit, |inbox| inbox.has_news_of(port).then_some(()))?.is_some())
    }

    /// The members of the fabric as the node knows them: itself first, then those that can be reached and those that could be
    /// before, by number.
    ///
    /// # Errors
    /// The connection broke.
    pub fn members(&mut self) -> Result<Vec<Member>, GuestError> {
        match self.ask(Request::Members, &[])? {
            (Done::Members(members), _) => Ok(members),
            _ => Err(GuestError::Answer),
        }
    }

    /// Numbers that nobody else gets: on no node of the fabric, and in no other life of this one.
    ///
    /// # Errors
    /// The connection broke.
    pub fn numbers(&mut self, count: u32) -> Result<Numbers, GuestError> {
        match self.ask(Request::Numbers { count }, &[])? {
            (Done::Numbers(numbers), _) => Ok(numbers),
            _ => Err(GuestError::Answer),
        }
    }

    /// Hands a message over.
    pub(super) fn post(&mut self, request: Request, message: &Message) -> Result<Sent, GuestError> {
        match self.ask(request, &message.payload)? {
            (Done::Sent(sent), _) => Ok(sent),
            _ => Err(GuestError::Answer),
        }
    }
}
