//! What is listened at, in both directions, and how a node is found.

use super::Directory;
use crate::{Expose, Forward};
use mio::net::TcpListener;
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::tcp::{Socket, SocketBuffer, State},
    time::Duration,
};
use std::net::IpAddr;

/// Sockets that wait for a call at each exposed port: so many may call at the same moment.
const BACKLOG: usize = 8;
/// Of those that were called, so many may still wait for their caller's next word: whoever only knocks, and does not go on, takes no
/// connection's place, and the oldest such one makes room.
const KNOCKS: usize = 24;
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
    /// The oldest first.
    knocked: Vec<SocketHandle>,
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
        Window { expose, waiting: Vec::new(), knocked: Vec::new() }
    }

    /// Takes those whose call is complete, and has others wait instead.
    pub(super) fn called(&mut self, sockets: &mut SocketSet<'static>) -> Vec<SocketHandle> {
        let (mut called, mut waiting, mut knocked) = (Vec::new(), Vec::new(), Vec::new());
        for handle in self.knocked.drain(..).chain(self.waiting.drain(..)) {
            match sockets.get_mut::<Socket<'_>>(handle).state() {
                State::Listen => waiting.push(handle),
                State::SynReceived => knocked.push(handle),
                // It was called and broken off at once.
                State::Closed | State::TimeWait => drop(sockets.remove(handle)),
                _ => called.push(handle),
            }
        }
        let most = knocked.len().saturating_sub(KNOCKS);
        knocked.drain(..most).for_each(|handle| drop(sockets.remove(handle)));
        self.knocked = knocked;
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
    use iop_node::{Frames, Inet};
    use messenger_core::{Mac, NodeId, Time};
    use smoltcp::{
        phy::ChecksumCapabilities,
        wire::{
            EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Address, Ipv4Packet,
            Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
        },
    };
    use std::collections::VecDeque;

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

    /// What comes in; what goes out is gone.
    struct Wire(VecDeque<Vec<u8>>);

    impl Frames for Wire {
        fn frame_most(&self) -> usize {
            1514
        }

        fn has_room(&mut self) -> bool {
            true
        }

        fn poll_frame(&mut self, _now: Time) -> Option<Vec<u8>> {
            self.0.pop_front()
        }

        fn send_frame(&mut self, _now: Time, _frame: &mut [u8]) {}
    }

    /// The first segment of a connection to port 22 of node 1.
    fn knock(port: u16) -> Vec<u8> {
        let (from, to) = (Ipv4Address::new(10, 77, 0, 2), Ipv4Address::new(10, 77, 0, 1));
        let tcp = TcpRepr {
            src_port: port,
            dst_port: 22,
            control: TcpControl::Syn,
            seq_number: TcpSeqNumber(1),
            ack_number: None,
            window_len: 1000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let next_header = IpProtocol::Tcp;
        let ip = Ipv4Repr { src_addr: from, dst_addr: to, next_header, payload_len: tcp.buffer_len(), hop_limit: 64 };
        let mac = |id| EthernetAddress(Mac::of(NodeId::new(id).unwrap()).0);
        let ethernet = EthernetRepr { src_addr: mac(2), dst_addr: mac(1), ethertype: EthernetProtocol::Ipv4 };
        let mut frame = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &ChecksumCapabilities::default());
        let mut segment = TcpPacket::new_unchecked(&mut frame[34..]);
        tcp.emit(&mut segment, &from.into(), &to.into(), &ChecksumCapabilities::default());
        frame
    }

    #[test]
    fn who_only_knocks_takes_no_connection() {
        let mut wire = Wire(VecDeque::new());
        let own = (IpAddr::from([10, 77, 0, 1]), 24);
        let mut inet = Inet::new(&mut wire, NodeId::new(1).unwrap(), 1, [own], Time::ZERO);
        let mut window = Window::new("22:127.0.0.1:22".parse().unwrap());
        assert!(window.called(inet.sockets()).is_empty());
        for port in 1000..1000 + 5 * BACKLOG as u16 {
            wire.0.push_back(knock(port));
            inet.poll(Time::ZERO, &mut wire);
            assert!(window.called(inet.sockets()).is_empty(), "it is not complete");
        }
        assert_eq!((window.waiting.len(), window.knocked.len()), (BACKLOG, KNOCKS));
        assert_eq!(inet.sockets().iter().count(), BACKLOG + KNOCKS, "the oldest made room");
    }
}
