//! Sending: one request in and out.

use super::{PORT, Vios};
use crate::{
    Address, Destination, Packet, PacketError, Receipt, Request, SubHeader, ViosError, decision, opcode, packet,
    receipt::{self, ReceiptState},
};
use messenger::{Code, Member, Message, Status, Ticket, To};
use std::time::Duration;

/// How much longer than its deadline a ticket is waited for: the node settles it by itself.
const GRACE: Duration = Duration::from_secs(30);
/// How often the receipts array is made longer for one request while nodes join.
const GROWS: usize = 8;

impl Vios {
    /// Sends a request, and waits for receipts if they are wanted and there is an array for them. What became of it is its
    /// header's status, which is given back, too:
    ///
    /// | status | means |
    /// | --- | --- |
    /// | good | sent; if receipts were waited for, all came |
    /// | [`Code::NoSpace`] | the receipts array is too small; the sub-header's length is what is needed. Nothing was sent |
    /// | [`Code::NotFound`] | nobody is meant. Nothing was sent |
    /// | [`Code::Invalid`], [`Code::TooLarge`] | it is no request. Nothing was sent |
    /// | others | the first failure in the receipts array, or why the node refused to send |
    ///
    /// # Errors
    /// The node is gone.
    pub fn submit(&mut self, request: &mut Request) -> Result<Status, ViosError> {
        if request.header.transaction.is_none() {
            request.header.transaction = self.next_id()?;
        }
        (request.ticket, request.settled) = (None, false);
        request.unanswered.clear();
        let status = self.hand_over(request, None)?;
        request.header.status = status;
        Ok(status)
    }

    /// Sends bytes that are to be a packet, as whoever made them wants it: nobody waits for receipts. They are checked as
    /// everything that is sent.
    ///
    /// # Errors
    /// They are no packet (nothing was sent), or the node is gone.
    pub fn submit_packet(&mut self, bytes: &[u8]) -> Result<Request, ViosError> {
        let mut request = Request::of_packet(Packet::parse(bytes)?);
        self.submit(&mut request)?;
        Ok(request)
    }

    /// Sends a request again to those who gave no receipt, with the same transaction. Who has it drops the second one. The
    /// receipts array is completed. [`Code::Busy`]: its responses are still waited for. [`Code::NotFound`]: all gave their receipts.
    ///
    /// # Errors
    /// The node is gone.
    pub fn resend(&mut self, request: &mut Request) -> Result<Status, ViosError> {
        let status = match request.ticket {
            Some(_) if request.settled && !request.lacks_receipts() => Status::new(Code::NotFound),
            Some(ticket) if request.settled => self.hand_over(request, Some(ticket))?,
            Some(_) => Status::new(Code::Busy),
            None => Status::new(Code::BadHandle),
        };
        request.header.status = status;
        Ok(status)
    }

    fn hand_over(&mut self, request: &mut Request, again: Option<Ticket>) -> Result<Status, ViosError> {
        if opcode::is_response(request.sub.opcode) {
            return Ok(Status::new(Code::Invalid));
        }
        let waits = request.waits_for_receipts();
        let (sent, members) = 'sent: {
            let mut refused = Status::new(Code::NoSpace);
            for _ in 0..GROWS {
                let members = if waits || !request.sub.broadcast { self.guest.members()? } else { Vec::new() };
                if let Err(status) = prepare(request, &members) {
                    return Ok(status);
                }
                let message = match self.message(request) {
                    Ok(message) => message,
                    Err(PacketError::Length(_)) => return Ok(Status::with(Code::TooLarge, packet::PAYLOAD_MOST)),
                    Err(_) => return Ok(Status::new(Code::Invalid)),
                };
                let to = target(&request.sub);
                let sent = match again {
                    Some(ticket) => self.guest.resend(ticket, &to, &message),
                    None => self.guest.send(&to, &message),
                };
                match sent.map_err(|error| (error.status(), error)) {
                    Ok(sent) => break 'sent (sent, members),
                    // A node joined since.
                    Err((Some(status), _)) if status.code == Code::NoSpace && waits => refused = status,
                    Err((Some(status), _)) => return Ok(status),
                    Err((None, error)) => return Err(error.into()),
                }
            }
            return Ok(refused);
        };
        let Some(ticket) = sent.ticket else { return Ok(Status::GOOD) };
        (request.ticket, request.settled) = (Some(ticket), false);
        if !waits {
            return Ok(Status::GOOD);
        }
        let slots = if request.sub.response {
            self.guest.confirmed(ticket, Some(request.receipt_limit))?
        } else {
            let limit = request.receipt_limit.saturating_add(GRACE);
            let Some(outcome) = self.guest.settle(ticket, Some(limit))? else {
                return Ok(Status::new(Code::TimedOut));
            };
            request.settled = true;
            outcome.slots
        };
        let (own, array) = (self.guest.node(), request.receipts.as_deref_mut().unwrap_or_default());
        match again {
            None => receipt::fill(array, &members, own, &slots, request.sub.broadcast),
            Some(_) => receipt::complete(array, &slots),
        }
        Ok(receipt::verdict(array))
    }

    fn message(&self, request: &Request) -> Result<Message, PacketError> {
        // The status is of what comes back.
        let header = crate::Header { status: Status::GOOD, ..request.header };
        let payload = packet::emit(&header, &request.sub, &request.payload)?;
        let number = header.transaction;
        let told = |decision| log::trace!("vios: {number}: {decision:?}");
        Ok(Message { payload, from: Some(self.port), ..decision::decide(request, &request.sub, told) })
    }
}

impl Request {
    /// The request that a packet is, without an array for receipts.
    pub(super) fn of_packet(packet: Packet) -> Request {
        let Packet { header, sub, payload } = packet;
        let node = |node: &messenger::NodeId| Destination { address: Address::Node(*node), status: Status::GOOD };
        let to = sub.targets.iter().map(node).collect();
        Request { header, to, payload, ..Request { sub, ..Request::broadcast(0, Vec::new()) } }
    }
}

/// Finds whom it is for and makes room for receipts, or tells why it cannot be sent.
pub(super) fn prepare(request: &mut Request, members: &[Member]) -> Result<(), Status> {
    let waits = request.waits_for_receipts();
    request.sub.receipts = u64::from(waits);
    request.sub.receipts_len = 0;
    if waits {
        let (needed, array) = (members.len(), request.receipts.get_or_insert_default());
        if array.len() < needed && request.grow {
            array.resize(needed, Receipt::default());
        }
        request.sub.receipts_len = u32::try_from(needed).unwrap_or(u32::MAX);
        if array.len() < needed {
            return Err(Status::with(Code::NoSpace, needed));
        }
    }
    request.sub.targets.clear();
    if request.sub.broadcast {
        return if request.to.is_empty() { Ok(()) } else { Err(Status::new(Code::Invalid)) };
    }
    for destination in &mut request.to {
        match destination.address.find(members) {
            Some(member) => {
                destination.status = Status::GOOD;
                if !request.sub.targets.contains(&member.node) {
                    request.sub.targets.push(member.node);
                }
            }
            None => destination.status = Status::new(Code::NotFound),
        }
    }
    if request.sub.targets.is_empty() { Err(Status::new(Code::NotFound)) } else { Ok(()) }
}

/// The ports that a request is for.
fn target(sub: &SubHeader) -> To {
    match sub.broadcast {
        true => To::Everywhere(PORT.to_owned()),
        false => To::Nodes { nodes: sub.targets.iter().map(ToString::to_string).collect(), name: PORT.to_owned() },
    }
}

impl Request {
    fn lacks_receipts(&self) -> bool {
        self.receipts.iter().flatten().any(|entry| matches!(entry.state, ReceiptState::Failed(_)))
    }
}

impl Receipt {
    /// Whether the node has the message.
    pub fn is_delivered(&self) -> bool {
        self.state == ReceiptState::Delivered
    }
}
