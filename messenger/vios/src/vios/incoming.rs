//! What comes: requests, events, responses.

use super::Vios;
use crate::{
    Event, Header, Kind, Originator, Packet, Receipt, ReceiptState, Request, SubHeader, ViosError,
    opcode::{self, EVENT, INJECT},
    packet,
};
use messenger::{Answer, Code, GuestError, NodeId, Received, Replied, Status};
use std::time::{Duration, Instant};

/// Something that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The node that it comes from.
    pub node: NodeId,
    /// Its name.
    pub node_name: String,
    /// What it is.
    pub what: What,
    /// The whole packet.
    pub packet: Packet,
    received: Received,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request; [`Vios::respond`] answers it if a response is wanted.
    Request,
    /// An event that this process registered for.
    Event(Event),
    /// To a caller: the response to what its daemon sent for it.
    Response,
}

/// A response to a request of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whose.
    pub node: NodeId,
    /// Its name.
    pub node_name: String,
    /// How it went there.
    pub status: Status,
    /// The whole packet.
    pub packet: Packet,
}

impl Vios {
    /// The next thing that comes. `Ok(None)`: nothing within `limit`; without one it waits for ever. What callers handed to their
    /// daemon is sent, and what comes back is forwarded to them, while the daemon waits here. What is no packet, or
    /// not for here, is refused and counted.
    ///
    /// # Errors
    /// The node is gone.
    pub fn receive(&mut self, limit: Option<Duration>) -> Result<Option<Incoming>, ViosError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            self.forward_all()?;
            if let Some(received) = self.guest.receive(self.port, Some(Duration::ZERO))? {
                if let Some(incoming) = self.take(received)? {
                    return Ok(Some(incoming));
                }
                continue;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !self.guest.news(self.port, left)? {
                return Ok(None);
            }
        }
    }

    /// Answers a request that wants it: the response goes to who asked, and to nobody else. It is never confirmed.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::NotFound`]: no response is wanted, it was given, or nobody waits any more.
    pub fn respond(&mut self, to: &Incoming, status: Status, payload: &[u8]) -> Result<(), ViosError> {
        let asks = to.what == What::Request && to.packet.sub.response;
        if !asks {
            return Err(GuestError::Refused(Status::new(Code::NotFound)).into());
        }
        let answer = response(&to.packet, to.node, status, payload)?;
        Ok(self.guest.respond(&to.received, &answer)?)
    }

    /// The next response to a request. `Ok(None)`: none came within `limit`, or every target is settled; then
    /// [`Request::settled`] says so and [`Request::unanswered`] tells whose response did not come and why. The response to what was sent
    /// in the name of a caller is forwarded to that, too.
    ///
    /// # Errors
    /// The node is gone.
    pub fn response(&mut self, request: &mut Request, limit: Option<Duration>) -> Result<Option<Response>, ViosError> {
        let Some(ticket) = request.ticket.filter(|_| !request.settled) else { return Ok(None) };
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let Some(reply) = self.guest.answer(ticket, left)? else { break };
            let Some(response) = self.matched(reply) else { continue };
            if response.packet.header.transaction != request.header.transaction
                || response.packet.sub.opcode != opcode::response(request.sub.opcode)
            {
                self.counts.wrong_opcode += 1;
                continue;
            }
            self.forward(&response.packet)?;
            return Ok(Some(response));
        }
        if self.guest.is_settled(ticket)
            && let Some(outcome) = self.guest.settle(ticket, Some(Duration::ZERO))?
        {
            request.settled = true;
            let unanswered = outcome.slots.into_iter().filter(|slot| !slot.status.is_good());
            request.unanswered = unanswered
                .map(|slot| Receipt {
                    node: Some(slot.node),
                    node_name: slot.node_name,
                    state: ReceiptState::Failed(slot.status),
                })
                .collect();
        }
        Ok(None)
    }

    /// Looks at a response; one that is none is counted.
    pub(super) fn matched(&mut self, reply: Replied) -> Option<Response> {
        // Who refuses without a word is told as such by its slot.
        if reply.payload.is_empty() {
            return None;
        }
        match Packet::parse(&reply.payload) {
            Ok(packet) if packet.sub.kind() == Kind::Response => {
                let status = packet.header.status;
                Some(Response { node: reply.head.node, node_name: reply.head.node_name, status, packet })
            }
            Ok(_) => {
                self.counts.wrong_opcode += 1;
                None
            }
            Err(error) => {
                log::debug!("vios: a response of {} is dropped: {error}", reply.head.node_name);
                self.counts.malformed += 1;
                None
            }
        }
    }

    /// Looks at a message; one that is not for here is refused and counted.
    fn take(&mut self, received: Received) -> Result<Option<Incoming>, ViosError> {
        let (node, head) = (received.head.node, &received.head);
        let packet = match Packet::parse(&received.payload) {
            Ok(packet) => packet,
            Err(error) => {
                log::debug!("vios: a message of {} is dropped: {error}", head.node_name);
                self.counts.malformed += 1;
                return self.refuse(&received, Code::NotSupported);
            }
        };
        let what = match (head.opcode, packet.sub.opcode) {
            (INJECT, code) if !opcode::is_response(code) => {
                if self.name.is_some() || node != self.guest.node() || !is_third_party(&packet) {
                    self.counts.wrong_opcode += 1;
                    return self.refuse(&received, Code::NotAllowed);
                }
                self.inject(packet)?;
                return Ok(None);
            }
            (outer, code) if outer != code => None,
            (_, EVENT) => match Event::parse(&packet.payload) {
                Ok(event) => Some(What::Event(event)),
                Err(_) => {
                    self.counts.malformed += 1;
                    return self.refuse(&received, Code::NotSupported);
                }
            },
            (_, code) if !opcode::is_response(code) => Some(What::Request),
            // Only its own daemon forwards to a caller.
            _ => self.is_for_me(&packet).then_some(What::Response).filter(|_| node == self.guest.node()),
        };
        let Some(what) = what else {
            self.counts.wrong_opcode += 1;
            return self.refuse(&received, Code::NotSupported);
        };
        let node_name = head.node_name.clone();
        Ok(Some(Incoming { node, node_name, what, packet, received }))
    }

    fn is_for_me(&self, packet: &Packet) -> bool {
        matches!((&packet.sub.originator, &self.name), (Originator::ThirdParty(to), Some(me)) if to == me)
    }

    /// Says no to who asks.
    fn refuse(&mut self, received: &Received, why: Code) -> Result<Option<Incoming>, ViosError> {
        if received.head.ask.is_none() {
            return Ok(None);
        }
        match self.guest.respond(received, &Answer::refusal(why)) {
            // Who asked may be gone.
            Ok(()) | Err(GuestError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Incoming {
    /// A response is wanted.
    pub fn wants_response(&self) -> bool {
        self.what == What::Request && self.packet.sub.response
    }

    /// What the node knows of the message, such as who caused it.
    pub fn head(&self) -> &messenger::Head {
        &self.received.head
    }
}

fn is_third_party(packet: &Packet) -> bool {
    matches!(packet.sub.originator, Originator::ThirdParty(_))
}

/// The response to a request: the same identity and originator, another code, for the asker alone, without a receipt.
fn response(request: &Packet, asker: NodeId, status: Status, payload: &[u8]) -> Result<Answer, ViosError> {
    let header = Header { status, receipt: false, ..request.header };
    let sub = SubHeader {
        opcode: opcode::response(request.sub.opcode),
        originator: request.sub.originator.clone(),
        targets: vec![asker],
        ..SubHeader::default()
    };
    let payload = packet::emit(&header, &sub, payload)?;
    Ok(Answer { status, opcode: sub.opcode, ..Answer::new(payload) })
}
