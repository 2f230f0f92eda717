//! What is done with tickets.

use super::{Ticket, TicketId};
use crate::{
    Time,
    exchange::Exchange,
    status::{Code, Status},
    table::Key,
};

impl Exchange {
    /// All tickets with open slots, by place.
    pub fn tickets(&self) -> impl Iterator<Item = (TicketId, &Ticket)> {
        self.tickets.iter().map(|(key, ticket)| (TicketId(key.to_u64()), ticket))
    }

    /// One ticket, while it has open slots.
    pub fn ticket(&self, ticket: TicketId) -> Option<&Ticket> {
        self.tickets.get(Key::from_u64(ticket.0))
    }

    /// Takes a send back: its open slots are settled with [`Code::Canceled`]. What was not sent yet never will be; what
    /// was may still arrive. Refusal: [`Code::BadHandle`].
    pub fn cancel(&mut self, now: Time, ticket: TicketId) -> Result<(), Status> {
        self.at(now)?;
        self.ticket(ticket).ok_or(Status::new(Code::BadHandle))?;
        self.settle_all(ticket.0, Status::new(Code::Canceled));
        Ok(())
    }
}
