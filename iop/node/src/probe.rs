//! A probe: it asks another member, again and again, by echo requests in frames and by requests in messages, and counts the
//! answers. What it counts stands on the board, so that it can be seen whoever else is there.

use crate::{Bell, Station, ports::requests};
use alloc::{format, vec};
use core::{net::Ipv4Addr, time::Duration};
use fabric_ring::Memory;
use messenger_core::{Code, Message, Name, NodeId, Status, Target, Time};
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    phy::ChecksumCapabilities,
    socket::icmp,
    storage::PacketMetadata,
    wire::{Icmpv4Packet, Icmpv4Repr},
};

/// The identity of its echo requests.
const IDENT: u16 = 0x4d4e;
/// The client's own number of its messages.
pub(crate) const CONTEXT: u64 = 3;
const BYTES: &[u8] = b"minet's probe";
/// Packets that wait in each direction, and bytes of them.
const PACKETS: (usize, usize) = (8, 1024);

/// The probe.
pub(crate) struct Probe {
    socket: SocketHandle,
    task: Option<Task>,
    sequence: u16,
    answered: [u32; 2],
}

struct Task {
    node: NodeId,
    ip: Ipv4Addr,
    port: Name,
    left: u32,
    interval: Duration,
    due: Time,
}

impl Probe {
    /// Without anything to ask.
    pub(crate) fn new(sockets: &mut SocketSet<'static>) -> Probe {
        let buffer = || icmp::PacketBuffer::new(vec![PacketMetadata::EMPTY; PACKETS.0], vec![0; PACKETS.1]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        // The identity is none that nobody can have, and the socket is new.
        let _ = socket.bind(icmp::Endpoint::Ident(IDENT));
        Probe { socket: sockets.add(socket), task: None, sequence: 0, answered: [0; 2] }
    }

    /// Asks a member so often from now on, instead of whomever it asked before.
    pub(crate) fn start<M: Memory, B: Bell>(
        &mut self,
        now: Time,
        station: &Station<M, B>,
        (name, left, interval): (Name, u32, Duration),
    ) -> Result<(), Status> {
        let failed = |code: Code| requests::failed(Status::new(code));
        let member = station.node().members().find(|m| m.name == name).ok_or(failed(Code::NotFound))?;
        let ip = member.attachments.iter().find_map(|a| a.v4.first()).ok_or(failed(Code::NotFound))?;
        let port = Name::new(&format!("iop/{name}/requests")).map_err(|_| failed(Code::NameTooLong))?;
        self.task = Some(Task { node: member.node, ip: Ipv4Addr::from(*ip), port, left, interval, due: now });
        Ok(())
    }

    /// Echo requests by frames that were answered, and requests by messages.
    pub(crate) const fn answered(&self) -> [u32; 2] {
        self.answered
    }

    /// A request by message was answered.
    pub(crate) fn heard(&mut self) {
        self.answered[1] = self.answered[1].wrapping_add(1);
    }

    /// When it asks next.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.task.as_ref().map(|task| task.due)
    }

    /// Counts what came and asks if it is time to. Whether it did anything.
    pub(crate) fn handle<M: Memory, B: Bell>(
        &mut self,
        now: Time,
        station: &mut Station<M, B>,
        sockets: &mut SocketSet<'static>,
    ) -> bool {
        let socket = sockets.get_mut::<icmp::Socket<'_>>(self.socket);
        let mut worked = false;
        while let Ok((packet, _)) = socket.recv() {
            worked = true;
            let reply = Icmpv4Packet::new_checked(packet).ok();
            let reply = reply.and_then(|p| Icmpv4Repr::parse(&p, &ChecksumCapabilities::default()).ok());
            if matches!(reply, Some(Icmpv4Repr::EchoReply { data: BYTES, .. })) {
                self.answered[0] = self.answered[0].wrapping_add(1);
            }
        }
        let Some(task) = self.task.as_mut().filter(|task| task.due <= now) else { return worked };
        self.sequence = self.sequence.wrapping_add(1);
        let request = Icmpv4Repr::EchoRequest { ident: IDENT, seq_no: self.sequence, data: BYTES };
        if let Ok(room) = socket.send(request.buffer_len(), task.ip.into()) {
            request.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
        }
        let message = Message {
            opcode: requests::ECHO,
            context: CONTEXT,
            deadline: Some(Duration::from_secs(1)),
            ..Message::request(BYTES)
        };
        // What is refused is not answered, and so not counted.
        let _ = station.exchange().send_to(now, Target::Nodes(vec![task.node], task.port.clone()), &message);
        task.due = now + task.interval;
        task.left = task.left.saturating_sub(1);
        if task.left == 0 {
            self.task = None;
        }
        true
    }
}
