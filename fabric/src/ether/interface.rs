//! The socket under the carrier, and how it keeps to its interface.

use super::{ETHER_TYPE, header::LENGTH};
use crate::{Medium, sys};
use pnet_base::MacAddr;
use rustix::{
    event::epoll,
    net::{AddressFamily, SocketFlags, SocketType, netlink},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// What the kernel may buffer in each direction, in bytes.
const BUFFER: usize = 16 << 20;
/// The netlink group of changes of interfaces.
const LINKS: u32 = 1;

/// Why there is no carrier on an interface.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtherError {
    /// Raw sockets need a capability.
    #[error("raw Ethernet needs the capability CAP_NET_RAW")]
    NotPermitted(#[source] io::Error),
    /// An interface that is no Ethernet.
    #[error("interface {0} is no Ethernet")]
    NotEthernet(String),
    /// No interface can have this name.
    #[error("`{0}` cannot be the name of an interface")]
    Name(String),
    /// The system refused.
    #[error("cannot open a raw socket on {interface}")]
    Io {
        /// Where.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The names of this host's interfaces that could carry, for people who look for one.
pub fn interfaces() -> Vec<String> {
    let all = pnet_datalink::interfaces();
    all.into_iter().filter(|i| !i.is_loopback() && i.mac.is_some()).map(|i| i.name).collect()
}

/// The socket, and what all handles know of the interface.
pub(super) struct Bound {
    socket: Socket,
    mac: AtomicU64,
    mtu: AtomicUsize,
    up: AtomicBool,
}

impl Bound {
    fn new(name: &str) -> Result<Bound, EtherError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => EtherError::NotPermitted(source),
            _ => EtherError::Io { interface: name.to_owned(), source },
        };
        // Of protocol 0 until it is bound: so it never has what came before the filter stood.
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::PACKET, kind, Some(Protocol::from(0))).map_err(failed)?;
        socket.attach_filter(&FOR_US).map_err(failed)?;
        for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            if sys::set_option(socket.as_fd(), libc::SOL_SOCKET, force, BUFFER as i32).is_err() {
                // It is only slower then.
                let _ = sys::set_option(socket.as_fd(), libc::SOL_SOCKET, plain, BUFFER as i32);
            }
        }
        let (mac, mtu, up) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Bound { socket, mac, mtu, up })
    }

    pub(super) fn mac(&self) -> MacAddr {
        let [_, _, a, b, c, d, e, f] = self.mac.load(Ordering::Relaxed).to_be_bytes();
        MacAddr(a, b, c, d, e, f)
    }

    /// The longest message, in bytes.
    pub(super) fn message(&self) -> usize {
        self.mtu.load(Ordering::Relaxed).saturating_sub(LENGTH)
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes what is for this host, for all or for a group; not what a promiscuous interface sees of others, and not what
/// leaves.
const FOR_US: [SockFilter; 4] = [
    // The packet type: 0 host, 1 broadcast, 2 multicast, 3 another host's, 4 outgoing.
    SockFilter::new(0x28, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32),
    SockFilter::new(0x25, 1, 0, 2),
    SockFilter::new(0x06, 0, 0, u32::MAX),
    SockFilter::new(0x06, 0, 0, 0),
];

/// Keeps a socket on its interface, whatever happens to that.
pub(super) struct Keeper {
    /// As it was called when it was asked for; looked for again when it is gone.
    name: String,
    /// As it is called now.
    called: String,
    index: Option<i32>,
    /// Readable while frames wait, or an interface changed.
    waker: OwnedFd,
    changes: OwnedFd,
    turn: u32,
    facts: Option<sys::Facts>,
}

impl Keeper {
    /// A socket and its keeper. The interface need not be there yet.
    pub(super) fn open(name: &str) -> Result<(Bound, Keeper), EtherError> {
        let fine = (1..libc::IFNAMSIZ).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_whitespace());
        if !fine {
            return Err(EtherError::Name(name.to_owned()));
        }
        let failed = |source: io::Error| EtherError::Io { interface: name.to_owned(), source };
        let bound = Bound::new(name)?;
        let waker = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        let changes = watch_links().map_err(failed)?;
        for fd in [bound.as_fd(), changes.as_fd()] {
            epoll::add(&waker, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
                .map_err(|e| failed(e.into()))?;
        }
        let (name, called) = (name.to_owned(), name.to_owned());
        let mut keeper = Keeper { name, called, index: None, waker, changes, turn: 0, facts: None };
        keeper.look(&bound)?;
        Ok((bound, keeper))
    }

    pub(super) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    pub(super) fn medium(&self, bound: &Bound) -> Medium {
        if bound.is_up() { Medium::Up { message: bound.message(), turn: self.turn } } else { Medium::Down }
    }

    /// The interface's name now.
    pub(super) fn called(&self) -> &str {
        &self.called
    }

    /// Looks whether an interface changed, and follows.
    pub(super) fn follow(&mut self, bound: &Bound) {
        let mut changed = false;
        let mut bytes = [0; 4096];
        loop {
            match rustix::io::read(&self.changes, &mut bytes) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => break,
                // Too many at once: some were lost, which says just as much.
                Ok(_) | Err(rustix::io::Errno::NOBUFS) => changed = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if changed && let Err(error) = self.look(bound) {
            log::warn!("ether {}: {error}", self.name);
        }
    }

    /// Looks at the interface and does what is needed to be on it.
    pub(super) fn look(&mut self, bound: &Bound) -> Result<(), EtherError> {
        let socket = bound.as_fd();
        if let Some(index) = self.index {
            match sys::name_of(socket, index) {
                Ok(name) if name != self.called => {
                    log::info!("ether {}: the interface is called {name} now", self.called);
                    self.called = name;
                }
                Ok(_) => {}
                Err(_) => self.leave(bound),
            }
        }
        let index = match self.index {
            Some(index) => index,
            None => match sys::index_of(socket, &self.name) {
                Ok(index) => index,
                Err(_) => return Ok(()),
            },
        };
        let name = if self.index.is_some() { &self.called } else { &self.name };
        // It may go while it is looked at: then the next change tells.
        let Ok(facts) = sys::facts(socket, name) else { return Ok(()) };
        if !facts.ethernet || facts.loopback {
            return Err(EtherError::NotEthernet(self.name.clone()));
        }
        if self.index.is_none() {
            sys::bind_packet(socket, index, ETHER_TYPE)
                .map_err(|source| EtherError::Io { interface: self.name.clone(), source })?;
            self.index = Some(index);
            self.called = self.name.clone();
        }
        if self.facts != Some(facts) {
            let [a, b, c, d, e, f] = facts.mac;
            bound.mac.store(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), Ordering::Relaxed);
            bound.mtu.store(facts.mtu, Ordering::Relaxed);
            let was = bound.up.swap(facts.running, Ordering::Relaxed);
            // Another address, or another length: what peers know of us does not hold any more.
            let anew = self.facts.is_none_or(|old| old.mac != facts.mac || old.mtu != facts.mtu);
            self.turn = self.turn.wrapping_add(u32::from(facts.running && (anew || !was)));
            if was != facts.running {
                log::info!("ether {}: the interface is {}", self.called, if facts.running { "up" } else { "down" });
            }
            self.facts = Some(facts);
        }
        Ok(())
    }

    /// The interface was removed.
    fn leave(&mut self, bound: &Bound) {
        log::warn!("ether {}: the interface was removed; waiting for one of the name {}", self.called, self.name);
        self.index = None;
        self.facts = None;
        bound.up.store(false, Ordering::Relaxed);
    }
}

/// A socket that is readable when an interface changed. Protocol 0 of netlink is that of routes and interfaces.
fn watch_links() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, LINKS))?;
    Ok(socket)
}
