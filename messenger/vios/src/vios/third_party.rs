//! Callers whose requests their daemon sends in their name.

use super::{PORT, Vios, caller_port};
use crate::{Originator, Packet, Request, ViosError, opcode::INJECT, packet};
use messenger::{Agent, Code, GuestError, Message, Origin, Status, To, Wants};
use std::time::Duration;

/// How long a caller waits until its daemon's port has the request.
const LIMIT: Duration = Duration::from_secs(5);

impl Vios {
    /// Hands a request to this node's VIOS daemon, which sends it in this caller's name; responses come by
    /// [`Vios::receive`] as [`super::What::Response`]. Good: the daemon's port has it. Receipts are not waited for.
    ///
    /// # Errors
    /// The node is gone.
    pub fn submit_by_daemon(&mut self, request: &mut Request) -> Result<Status, ViosError> {
        let status = self.hand_to_daemon(request)?;
        request.header.status = status;
        Ok(status)
    }

    fn hand_to_daemon(&mut self, request: &mut Request) -> Result<Status, ViosError> {
        let Some(name) = self.name.clone() else { return Ok(Status::new(Code::Invalid)) };
        if request.header.transaction.is_none() {
            request.header.transaction = self.next_id()?;
        }
        request.sub.originator = Originator::ThirdParty(name);
        request.receipts = None;
        let members = self.guest.members()?;
        if let Err(status) = super::send::prepare(request, &members) {
            return Ok(status);
        }
        let Ok(payload) = packet::emit(&request.header, &request.sub, &request.payload) else {
            return Ok(Status::new(Code::Invalid));
        };
        let message = Message {
            wants: Wants::Receipt,
            deadline: Some(LIMIT),
            from: Some(self.port),
            opcode: INJECT,
            ..Message::new(payload)
        };
        let sent = self.guest.send(&self.own_port(PORT), &message);
        let ticket = match sent {
            Ok(sent) => sent.ticket,
            Err(GuestError::Refused(status)) => return Ok(status),
            Err(error) => return Err(error.into()),
        };
        let Some(ticket) = ticket else { return Ok(Status::new(Code::Failed)) };
        let outcome = self.guest.settle(ticket, Some(2 * LIMIT))?;
        Ok(outcome.map_or(Status::new(Code::TimedOut), |outcome| outcome.status()))
    }

    /// Sends what a caller of this node handed over. Its ticket is nobody's: what comes back is forwarded.
    pub(super) fn inject(&mut self, packet: Packet) -> Result<(), ViosError> {
        let mut request = Request::of_packet(packet);
        let status = self.submit(&mut request)?;
        if !status.is_good() {
            log::debug!("vios: {}: not sent for {:?}: {status}", request.header.transaction, request.sub.originator);
        }
        if let Some(ticket) = request.ticket {
            self.guest.let_go(ticket);
        }
        Ok(())
    }

    /// Forwards what came for callers.
    pub(super) fn forward_all(&mut self) -> Result<(), ViosError> {
        while let Some(reply) = self.guest.loose_answer() {
            if let Some(response) = self.matched(reply) {
                self.forward(&response.packet)?;
            }
        }
        Ok(())
    }

    /// Forwards a response to the caller that its originator names, if it names one.
    pub(super) fn forward(&mut self, packet: &Packet) -> Result<(), ViosError> {
        let Originator::ThirdParty(name) = &packet.sub.originator else { return Ok(()) };
        if self.name.is_some() {
            // A caller that sent by itself has it now.
            return Ok(());
        }
        let to = self.own_port(&caller_port(name));
        let message = Message {
            from: Some(self.port),
            opcode: packet.sub.opcode,
            origin: Origin { agent: Agent::ThirdParty, ..Origin::default() },
            ..Message::new(packet.emit()?)
        };
        match self.guest.send(&to, &message) {
            Ok(sent) if sent.taken == 1 => self.counts.forwarded += 1,
            Ok(_) | Err(GuestError::Refused(_)) => self.counts.undeliverable += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn own_port(&self, name: &str) -> To {
        To::Nodes { nodes: vec![self.guest.node().to_string()], name: name.to_owned() }
    }
}
