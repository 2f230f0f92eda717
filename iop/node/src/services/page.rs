//! The status page, over HTTP.

use super::stream::listen;
use crate::{Bell, Machine, Station};
use alloc::{format, string::String, vec::Vec};
use fabric_ring::Memory;
use messenger_core::{Mac, Time};
use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{Socket, State},
};

/// The longest request head that is read, in bytes.
const REQUEST_MOST: usize = 4096;

/// What the page tells beside what the station knows.
pub(crate) struct Facts<'a> {
    pub(crate) now: Time,
    pub(crate) started: Time,
    pub(crate) machine: &'a dyn Fn() -> Machine,
}

/// One place for a connection.
pub(super) struct Page {
    socket: SocketHandle,
    port: u16,
    request: Vec<u8>,
    /// What is left to send of the answer.
    answer: Option<Vec<u8>>,
}

impl Page {
    pub(super) const fn new(socket: SocketHandle, port: u16) -> Page {
        Page { socket, port, request: Vec::new(), answer: None }
    }

    pub(super) const fn socket(&self) -> SocketHandle {
        self.socket
    }

    /// Serves it; whether anything was done.
    pub(super) fn handle(&mut self, socket: &mut Socket<'_>, text: impl FnOnce() -> String) -> bool {
        if listen(socket, self.port) {
            self.request.clear();
            self.answer = None;
            return true;
        }
        let mut worked = false;
        while socket.can_recv() && self.answer.is_none() {
            let request = &mut self.request;
            let took = socket.recv(|bytes| {
                request.extend_from_slice(bytes);
                (bytes.len(), bytes.len())
            });
            worked |= took.is_ok_and(|n| n > 0);
            if self.request.windows(4).any(|w| w == b"\r\n\r\n") || self.request.len() > REQUEST_MOST {
                self.answer = Some(answer(&self.request, text));
                break;
            }
        }
        if let Some(left) = &mut self.answer
            && socket.can_send()
        {
            let sent = socket.send_slice(left).unwrap_or(0);
            left.drain(..sent);
            if left.is_empty() {
                socket.close();
            }
            worked |= sent > 0;
        } else if self.answer.is_none() && socket.state() == State::CloseWait {
            socket.close();
            worked = true;
        }
        worked
    }
}

fn answer(request: &[u8], text: impl FnOnce() -> String) -> Vec<u8> {
    let line = request.split(|b| *b == b'\r').next().unwrap_or_default();
    let (status, body) = match line.split(|b| *b == b' ').collect::<Vec<_>>()[..] {
        _ if request.len() > REQUEST_MOST => ("431 Request Header Fields Too Large", String::new()),
        [b"GET", b"/", version] if version.starts_with(b"HTTP/1.") => ("200 OK", text()),
        [b"GET", _, version] if version.starts_with(b"HTTP/1.") => ("404 Not Found", "only / is here\n".into()),
        [_, _, version] if version.starts_with(b"HTTP/1.") => ("405 Method Not Allowed", "only GET is served\n".into()),
        _ => ("400 Bad Request", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

impl Facts<'_> {
    /// The page.
    pub(crate) fn page<M: Memory, B: Bell>(&self, station: &Station<M, B>) -> String {
        let Facts { now, started, machine } = self;
        let (config, node, machine) = (station.config(), station.node(), machine());
        let mut text = format!(
            "node {} (id {}) of fabric {}, segment {}\n{}\nup {} ms, incarnation {}, MAC {}, MTU {}\nmemory {} of {} bytes\n",
            config.name,
            config.id,
            config.fabric,
            config.segment,
            machine.kind,
            now.since(*started).as_millis(),
            config.incarnation,
            Mac::of(config.id),
            config.mtu,
            machine.memory.0,
            machine.memory.1
        );
        for (ip, prefix) in &config.addresses {
            text.push_str(&format!("address {ip}/{prefix}\n"));
        }
        for link in node.links() {
            let peer = link.peer().map_or("nobody", |p| &p.name);
            let rtt = link.round_trip().map_or(0, |t| t.as_micros());
            text.push_str(&format!("link {} to {peer}: {}, {}, {rtt} us\n", link.id(), link.state(), link.reason()));
        }
        for member in node.members() {
            text.push_str(&format!("member {} (id {})\n", member.name, member.node));
        }
        for (name, count) in station.counters().iter().filter(|(_, count)| *count > 0) {
            text.push_str(&format!("{name} {count}\n"));
        }
        for (reason, count) in station.counters().drops().filter(|(_, count)| *count > 0) {
            text.push_str(&format!("dropped {} {count}\n", reason.name()));
        }
        text
    }
}
