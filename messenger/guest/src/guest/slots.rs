//! Slots of tickets while they are open, another try for those that gave no receipt, members and numbers.

use super::{Guest, envelope};
use crate::{
    Code, GuestError, Member, Message, Numbers, PortId, Replied, Sent, Slot, Ticket, To,
    inbox::{About, Inbox},
    protocol::{Done, Request},
};
use std::time::{Duration, Instant};

impl Guest {
    /// Sends a message again to those targets of a settled ticket that gave no receipt, and to no others. Who stored it at the
    /// first try gives its receipt again and nothing else; if an answer is wanted, its slot says [`Code::Repeated`]. The message is
    /// to be what it was.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: [`Code::NotFound`] (every target gave its receipt), [`Code::BadHandle`] (no receipts were wanted, or too
    /// many tickets ended since), and as for [`Guest::send`].
    pub fn resend(&self, ticket: Ticket, to: &To, message: &Message) -> Result<Sent, GuestError> {
        self.post(Request::Resend { ticket, envelope: envelope(to, message) }, message, None)
    }

    /// Waits until each slot has its node's receipt or is settled, at most for `limit`, and tells how they are then. The ticket
    /// goes on.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: there is no such ticket.
    pub fn confirmed(&self, ticket: Ticket, limit: Option<Duration>) -> Result<Vec<Slot>, GuestError> {
        self.line().wait(end(limit), |inbox| inbox.is_confirmed(ticket).then_some(()))?;
        if let Some(slots) = self.line().with(|inbox| inbox.slots(ticket)) {
            return Ok(slots);
        }
        match self.line().ask(About::Nothing, Request::Slots { ticket }, &[]) {
            Ok((Done::Slots(slots), _)) => Ok(slots),
            Ok(_) => Err(GuestError::Answer),
            // It was settled meanwhile.
            Err(error) if error.status().is_some_and(|status| status.code == Code::BadHandle) => {
                self.line().with(|inbox| inbox.slots(ticket)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The next answer to a message, as it comes. `Ok(None)`: every target is settled and its answer, if any, was taken, or
    /// none came within `limit`. [`Guest::settle`] has those that were not taken.
    ///
    /// # Errors
    /// The connection broke.
    pub fn answer(&self, ticket: Ticket, limit: Option<Duration>) -> Result<Option<Replied>, GuestError> {
        Ok(self.line().wait(end(limit), |inbox| inbox.next_reply(ticket))?.flatten())
    }

    /// Every target of a ticket is settled, as far as this process was told.
    pub fn is_settled(&self, ticket: Ticket) -> bool {
        self.line().with(|inbox| inbox.is_settled(ticket))
    }

    /// Nobody asks for this ticket any more: its answers come out of [`Guest::loose_answer`], its outcome is dropped.
    pub fn let_go(&self, ticket: Ticket) {
        self.line().with(|inbox| inbox.let_go(ticket));
    }

    /// The next answer to a message whose ticket was let go, if one came.
    pub fn loose_answer(&self) -> Option<Replied> {
        self.line().with(Inbox::loose_answer)
    }

    /// Waits until a port has messages or an answer to a ticket that was let go came; `false`: neither within `limit`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn news(&self, port: PortId, limit: Option<Duration>) -> Result<bool, GuestError> {
        Ok(self.line().wait(end(limit), |inbox| inbox.has_news_of(port).then_some(()))?.is_some())
    }

    /// The members of the fabric as the node knows them: itself first, then those that can be reached and those that could be
    /// before, by number.
    ///
    /// # Errors
    /// The connection broke.
    pub fn members(&self) -> Result<Vec<Member>, GuestError> {
        match self.line().ask(About::Nothing, Request::Members, &[])? {
            (Done::Members(members), _) => Ok(members),
            _ => Err(GuestError::Answer),
        }
    }

    /// Numbers that nobody else gets: on no node of the fabric, and in no other life of this one.
    ///
    /// # Errors
    /// The connection broke.
    pub fn numbers(&self, count: u32) -> Result<Numbers, GuestError> {
        match self.line().ask(About::Nothing, Request::Numbers { count }, &[])? {
            (Done::Numbers(numbers), _) => Ok(numbers),
            _ => Err(GuestError::Answer),
        }
    }
}

fn end(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}
