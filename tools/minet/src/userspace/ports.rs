//! What is listened at, in both directions, and how a node is found.

use super::Directory;
use crate::{Expose, Forward};
use mio::net::TcpListener;
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::tcp::{Socket, SocketBuffer},
    time::Duration,
};
use std::net::IpAddr;

/// Sockets that wait for a call at each exposed port: so many may call at the same moment.
const BACKLOG: usize = 8;
/// Bytes in each direction of a connection: some of the longest frames.
const BUFFER: usize = 256 << 10;
/// Who says nothing for so long though it should is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port of this host, and the node behind it.
pub(super) struct Door {
    pub(super) forward: Forward,
    pub(super) listener: TcpListener,
    /// Somebody may be calling.
    pub(super) ready: bool,
}

/// A port of the interface, and what of this host is behind it.
pub(super) struct Window {
    pub(super) expose: Expose,
    waiting: Vec<SocketHandle>,
}

/// A socket with buffers of the usual size.
pub(super) fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_timeout(Some(PATIENCE));
    socket.set_keep_alive(Some(PATIENCE / 3));
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

impl Window {
    pub(super) fn new(expose: Expose) -> Window {
        Window { expose, waiting: Vec::new() }
    }

    /// Takes those that are called, and has others wait instead.
    pub(super) fn called(&mut self, sockets: &mut SocketSet<'static>) -> Vec<SocketHandle> {
        let (mut called, mut waiting) = (Vec::new(), Vec::new());
        for handle in self.waiting.drain(..) {
            let socket = sockets.get_mut::<Socket<'_>>(handle);
            match (socket.is_listening(), socket.is_active()) {
                (true, _) => waiting.push(handle),
                (false, true) => called.push(handle),
                // It was called and broken off at once.
                (false, false) => drop(sockets.remove(handle)),
            }
        }
        while waiting.len() < BACKLOG {
            let mut socket = socket();
            // It is new and the port is not 0: it cannot fail.
            if socket.listen(self.expose.port).is_err() {
                break;
            }
            waiting.push(sockets.add(socket));
        }
        self.waiting = waiting;
        called
    }
}

/// Where a node is: by address, name or number.
///
/// # Errors
/// It is no member of the segment; for people.
pub(super) fn find(directory: &Directory, own: &[IpAddr], node: &str) -> Result<IpAddr, String> {
    if let Ok(ip) = node.parse() {
        return Ok(ip);
    }
    let all = directory.get(node).ok_or_else(|| {
        let known: Vec<&str> = directory.keys().map(String::as_str).filter(|key| key.parse::<u32>().is_err()).collect();
        format!("no member of the segment has the name or number `{node}` (there are: {})", known.join(", "))
    })?;
    let reached = |ip: &&IpAddr| own.iter().any(|own| own.is_ipv4() == ip.is_ipv4());
    let found = all.iter().find(reached).copied();
    found.ok_or_else(|| format!("`{node}` has no address of a family that this node has one of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_name_number_or_address() {
        let (four, six) = (IpAddr::from([10, 77, 0, 9]), "fd4d::9".parse().unwrap());
        let all: Directory =
            [("io1".into(), vec![six, four]), ("9".into(), vec![six, four]), ("x".into(), vec![])].into();
        let own = [IpAddr::from([10, 77, 0, 1])];
        for name in ["io1", "9", "10.77.0.9"] {
            assert_eq!(find(&all, &own, name), Ok(four));
        }
        assert_eq!(find(&all, &[six], "io1"), Ok(six));
        assert!(find(&all, &own, "io2").unwrap_err().contains("`io2` (there are: io1, x)"));
        assert!(find(&all, &own, "x").unwrap_err().contains("no address of a family"));
        assert!(find(&all, &[], "io1").is_err());
    }

    #[test]
    fn as_many_wait_as_before_when_one_is_broken_off() {
        let mut sockets = SocketSet::new(Vec::new());
        let mut window = Window::new("22:127.0.0.1:22".parse().unwrap());
        assert!(window.called(&mut sockets).is_empty());
        assert_eq!(sockets.iter().count(), BACKLOG);
        let first = window.waiting[0];
        sockets.get_mut::<Socket<'_>>(first).abort();
        assert!(window.called(&mut sockets).is_empty());
        assert_eq!((sockets.iter().count(), window.waiting.len()), (BACKLOG, BACKLOG));
    }
}
