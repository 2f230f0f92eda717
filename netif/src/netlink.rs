//! Requests to the kernel and their answers.

use crate::Error;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;

/// A socket to the kernel's routing side.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(crate) fn open() -> Result<Netlink, Error> {
        let make = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = make().map_err(|e| Error::kernel("open a netlink socket", "", e))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Asks for something to be done.
    pub(crate) fn change(
        &mut self,
        what: &'static str,
        interface: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Error> {
        self.request(what, interface, message, NLM_F_ACK | flags).map(drop)
    }

    /// Asks for one thing.
    pub(crate) fn get(
        &mut self,
        what: &'static str,
        interface: &str,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.request(what, interface, message, NLM_F_ACK)
    }

    /// Asks for all of a kind.
    pub(crate) fn list(
        &mut self,
        what: &'static str,
        interface: &str,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.request(what, interface, message, NLM_F_DUMP)
    }

    fn request(
        &mut self,
        what: &'static str,
        interface: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        let kernel = |e| Error::kernel(what, interface, e);
        self.socket.send(&bytes, 0).map_err(kernel)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, from) = receive(&self.socket).map_err(kernel)?;
            if from.port_number() != 0 {
                continue;
            }
            for message in split(what, &bytes)? {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(e) if e.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(e) => return Err(kernel(e.to_io())),
                    NetlinkPayload::Overrun(_) => return Err(kernel(io::Error::from_raw_os_error(libc::ENOBUFS))),
                    _ => {}
                }
            }
        }
    }
}

/// One datagram, whatever its length.
pub(crate) fn receive(socket: &Socket) -> io::Result<(Vec<u8>, SocketAddr)> {
    loop {
        match socket.recv_from_full() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The messages in a datagram.
pub(crate) fn split(what: &'static str, bytes: &[u8]) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>, Error> {
    let mut messages = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 16 {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|e| Error::Answer { operation: what, text: e.to_string() })?;
        let len = (message.header.length as usize).next_multiple_of(4);
        messages.push(message);
        rest = rest.get(len.max(16)..).unwrap_or(&[]);
    }
    Ok(messages)
}
