//! The socket under the carrier.

use super::source::Sources;
use crate::sys;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
};

/// What the kernel may buffer in each direction, in bytes.
const BUFFER: usize = 8 << 20;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UdpError {
    /// Another process has the port.
    #[error("UDP port {} is in use on {}", .0.port(), .0.ip())]
    InUse(SocketAddr),
    /// This host has no such address.
    #[error("this host does not have the address {}", .0.ip())]
    NoSuchAddress(SocketAddr),
    /// Ports below 1024 need CAP_NET_BIND_SERVICE.
    #[error("UDP port {} needs the capability CAP_NET_BIND_SERVICE", .0.port())]
    NotPermitted(SocketAddr),
    /// The system refused.
    #[error("cannot open UDP socket on {address}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket that never blocks.
pub(super) struct Bound {
    socket: Socket,
    local: SocketAddr,
    /// Where it is bound to no address of its own.
    sources: Option<Sources>,
}

impl Bound {
    pub(super) fn new(address: SocketAddr) -> Result<Bound, UdpError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => UdpError::InUse(address),
            io::ErrorKind::AddrNotAvailable => UdpError::NoSuchAddress(address),
            io::ErrorKind::PermissionDenied => UdpError::NotPermitted(address),
            _ => UdpError::Io { address, source },
        };
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP)).map_err(failed)?;
        if address.is_ipv6() {
            socket.set_only_v6(false).map_err(failed)?;
        }
        socket.bind(&address.into()).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
        let mut bound = Bound { socket, local, sources: None };
        if local.ip().is_unspecified() {
            match sys::ask_for_local(bound.as_fd(), local.is_ipv6()) {
                Ok(()) => bound.sources = Some(Sources::default()),
                Err(error) => log::warn!("udp {local}: answers leave from where the kernel wants: {error}"),
            }
        }
        bound.widen();
        Ok(bound)
    }

    /// Large buffers and coalesced receiving, and nobody on the way may fragment: what is too large comes back as an
    /// error. (By itself the kernel lets runs be fragmented, and then no router tells its MTU.) All of it may fail; it
    /// is only slower then.
    fn widen(&self) {
        let fd = self.as_fd();
        let _ = sys::set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO);
        if self.local.is_ipv6() {
            let _ = sys::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO);
        }
        if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER as i32).is_err() {
            let _ = self.socket.set_recv_buffer_size(BUFFER);
        }
        if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, BUFFER as i32).is_err() {
            let _ = self.socket.set_send_buffer_size(BUFFER);
        }
        if let Err(error) = sys::set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1) {
            log::info!("udp {}: the kernel does not coalesce datagrams: {error}", self.local);
        }
    }

    /// Where peers sent to, when that is not the address it is bound to.
    pub(super) fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address as this socket wants it; `None` when it cannot reach it.
    pub(super) fn reach(&self, address: SocketAddr) -> Option<SockAddr> {
        match (self.local, address) {
            (SocketAddr::V4(_), SocketAddr::V6(_)) => None,
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                Some(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()).into())
            }
            _ => Some(address.into()),
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
