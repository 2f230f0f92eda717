//! What a station offers on its interface: echo, discard, a source, and a page that says how it is.

mod page;
mod stream;

use crate::{Bell, Station};
use alloc::vec;
use fabric_ring::Memory;
use page::Page;
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::{tcp, udp},
    storage::{PacketBuffer, PacketMetadata},
};
use stream::{Stream, Work};

pub(crate) use page::Facts;

const ECHO: u16 = 7;
const DISCARD: u16 = 9;
const SOURCE: u16 = 19;
const HTTP: u16 = 80;

/// Connections of each service at one time, and bytes in each direction of each.
const STREAMS: [(u16, Work, usize, usize); 3] =
    [(ECHO, Work::Echo, 4, 64 << 10), (DISCARD, Work::Discard, 2, 256 << 10), (SOURCE, Work::Source, 2, 256 << 10)];
const PAGES: usize = 4;
const DATAGRAMS: usize = 32;
const DATAGRAM_BYTES: usize = 64 << 10;

/// All services.
pub(crate) struct Services {
    streams: vec::Vec<Stream>,
    pages: vec::Vec<Page>,
    datagrams: SocketHandle,
}

impl Services {
    pub(crate) fn new(sockets: &mut SocketSet<'static>) -> Services {
        let mut streams = vec::Vec::new();
        for (port, work, count, bytes) in STREAMS {
            streams.extend((0..count).map(|_| Stream::new(sockets.add(socket(bytes)), port, work)));
        }
        let pages = (0..PAGES).map(|_| Page::new(sockets.add(socket(8 << 10)), HTTP)).collect();
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; DATAGRAM_BYTES]);
        let mut datagrams = udp::Socket::new(buffer(), buffer());
        // The port is not zero and the socket is new: it cannot fail.
        let _ = datagrams.bind(ECHO);
        Services { streams, pages, datagrams: sockets.add(datagrams) }
    }

    /// Serves all; whether anything was done.
    pub(crate) fn handle<M: Memory, B: Bell>(
        &mut self,
        sockets: &mut SocketSet<'static>,
        station: &Station<M, B>,
        facts: &Facts<'_>,
    ) -> bool {
        let mut worked = false;
        for stream in &mut self.streams {
            worked |= stream.handle(sockets.get_mut(stream.socket()));
        }
        for page in &mut self.pages {
            worked |= page.handle(sockets.get_mut(page.socket()), || facts.page(station));
        }
        worked | echo(sockets.get_mut(self.datagrams))
    }
}

/// Sends datagrams back to where they came from.
fn echo(socket: &mut udp::Socket<'_>) -> bool {
    let mut worked = false;
    while socket.can_send() {
        let Ok((bytes, from)) = socket.recv() else { break };
        let bytes = bytes.to_vec();
        worked = true;
        // A full buffer loses it, as the network may.
        let _ = socket.send_slice(&bytes, from);
    }
    worked
}

fn socket(bytes: usize) -> tcp::Socket<'static> {
    tcp::Socket::new(tcp::SocketBuffer::new(vec![0; bytes]), tcp::SocketBuffer::new(vec![0; bytes]))
}
