//! The thread: it waits for frames, for callers and for the kernel's sides of connections, and moves what can be moved.

use super::{
    Directory, Parts, UserspaceError,
    connection::{Connection, Turn},
    frames::Line,
    ports::{self, Door, Window},
};
use crate::clock::Clock;
use arc_swap::ArcSwap;
use iop_node::{Frames, Inet};
use messenger_core::Time;
use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
    unix::SourceFd,
};
use smoltcp::{iface::SocketHandle, socket::tcp::Socket};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Connections at one time, both ways together: each has half a MiB of buffers.
const CONNECTIONS: usize = 128;
/// Ports of their own from which nodes are called.
const FIRST_PORT: u16 = 49_152;
const LAST_PORT: u16 = 65_535;
/// Turns before it looks who else wants something.
const TURNS: usize = 16;
/// How often people are told of the same kind of trouble.
const QUIET: Duration = Duration::from_secs(1);

const WAKER: Token = Token(0);
const LINE: Token = Token(1);
/// Doors count up from here; connections from far above.
const DOORS: usize = 16;
const STREAMS: usize = 1 << 20;

/// The thread's state.
pub(super) struct Gateway {
    poll: Poll,
    waker: Arc<Waker>,
    clock: Clock,
    line: Line,
    inet: Inet,
    own: Vec<IpAddr>,
    directory: Arc<ArcSwap<Directory>>,
    doors: Vec<Door>,
    windows: Vec<Window>,
    /// By the number behind their token.
    connections: BTreeMap<usize, (Connection, SocketHandle)>,
    next: usize,
    /// Sockets without a connection that still say goodbye.
    leaving: Vec<SocketHandle>,
    port: u16,
    /// When people were last told of trouble with callers of this host, and of the segment.
    warned: [Option<Time>; 2],
}

impl Gateway {
    pub(super) fn new(
        parts: &Parts<'_>,
        mut line: Line,
        seed: u64,
        directory: Arc<ArcSwap<Directory>>,
    ) -> Result<Gateway, UserspaceError> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut SourceFd(&line.as_fd().as_raw_fd()), LINE, both)?;
        let mut doors = Vec::new();
        for (n, forward) in parts.forwards.iter().enumerate() {
            let listen = |source| UserspaceError::Listen { forward: forward.clone(), source };
            let mut listener = TcpListener::bind(forward.listen).map_err(listen)?;
            poll.registry().register(&mut listener, Token(DOORS + n), Interest::READABLE)?;
            doors.push(Door { forward: forward.clone(), listener, ready: true });
        }
        let inet = Inet::new(&mut line, parts.node, seed, parts.addresses.iter().copied(), parts.clock.now());
        Ok(Gateway {
            poll,
            waker,
            clock: parts.clock,
            line,
            inet,
            own: parts.addresses.iter().map(|(ip, _)| *ip).collect(),
            directory,
            doors,
            windows: parts.exposes.iter().cloned().map(Window::new).collect(),
            connections: BTreeMap::new(),
            next: 0,
            leaving: Vec::new(),
            port: FIRST_PORT + (seed % u64::from(LAST_PORT - FIRST_PORT)) as u16,
            warned: [None; 2],
        })
    }

    pub(super) fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(256);
        while !stop.load(Ordering::Acquire) {
            // Members may keep it busy without end: callers, and who stops it, are heard all the same.
            let is_busy = (0..TURNS).all(|_| self.turn());
            let now = self.clock.now();
            let patience = match is_busy {
                true => Some(Duration::ZERO),
                false => self.inet.poll_timeout(now).map(|at| at.since(now)),
            };
            // Interrupted is as good as nothing.
            let _ = self.poll.poll(&mut events, patience);
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LINE => {
                        self.line.is_dry &= !event.is_readable();
                        self.line.flush();
                    }
                    Token(n) if n >= STREAMS => {
                        if let Some((connection, _)) = self.connections.get_mut(&(n - STREAMS)) {
                            connection.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                            connection.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                        }
                    }
                    Token(n) => {
                        if let Some(door) = n.checked_sub(DOORS).and_then(|n| self.doors.get_mut(n)) {
                            door.ready = true;
                        }
                    }
                }
            }
        }
    }

    /// Does what there is to do; whether there may be more at once.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        self.line.begin_turn();
        self.line.flush();
        let mut worked = self.inet.poll(now, &mut self.line);
        // The stack stops reading when it cannot send; what is left is looked at when there is room again.
        worked |= !self.line.is_dry && self.line.has_room();
        worked |= self.accept(now);
        worked |= self.take_calls(now);
        worked |= self.move_all(now);
        if worked {
            self.inet.poll(self.clock.now(), &mut self.line);
        }
        let sockets = self.inet.sockets();
        self.leaving.retain(|handle| {
            let open = sockets.get::<Socket<'_>>(*handle).is_open();
            if !open {
                sockets.remove(*handle);
            }
            open
        });
        worked
    }

    /// Passes callers of this host on to nodes.
    fn accept(&mut self, now: Time) -> bool {
        let mut callers = Vec::new();
        for door in &mut self.doors {
            while door.ready {
                match door.listener.accept() {
                    Ok((stream, _)) => callers.push((door.forward.clone(), stream)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => door.ready = false,
                    // The caller has gone, or the system is short of descriptors: the next one is heard of.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        log::warn!("forward {}: {error}", door.forward);
                        door.ready = false;
                    }
                }
            }
        }
        let worked = !callers.is_empty();
        for (forward, stream) in callers {
            if let Err((stream, why)) = self.call(&forward.node, forward.port, stream) {
                self.warn(now, 0, format!("forward {forward}: {why}"));
                reset(&stream);
            }
        }
        worked
    }

    /// Calls a node; what it says and what the stream says is passed on.
    fn call(&mut self, node: &str, port: u16, stream: TcpStream) -> Result<(), (TcpStream, String)> {
        if self.connections.len() >= CONNECTIONS {
            return Err((stream, format!("there are {CONNECTIONS} connections already")));
        }
        let ip = match ports::find(&self.directory.load(), &self.own, node) {
            Ok(ip) => ip,
            Err(why) => return Err((stream, why)),
        };
        let own = self.next_port();
        let handle = self.inet.sockets().add(ports::socket());
        let (socket, context) = self.inet.socket::<Socket<'_>>(handle);
        if let Err(error) = socket.connect(context, (ip, port), own) {
            self.inet.sockets().remove(handle);
            return Err((stream, format!("{ip} cannot be called: {error}")));
        }
        self.keep(Connection::new(stream, false), handle).map_err(|(connection, why)| {
            self.inet.sockets().remove(handle);
            (connection.into_stream(), why)
        })
    }

    /// Ports are used in turn, but those that are in use.
    fn next_port(&mut self) -> u16 {
        loop {
            self.port = if self.port == LAST_PORT { FIRST_PORT } else { self.port + 1 };
            let port = self.port;
            let used = self.inet.sockets().iter().any(|(_, socket)| match socket {
                smoltcp::socket::Socket::Tcp(socket) => socket.local_endpoint().is_some_and(|e| e.port == port),
                _ => false,
            });
            // There are far more ports than sockets.
            if !used {
                return port;
            }
        }
    }

    /// Passes nodes that call an exposed port on to this host.
    fn take_calls(&mut self, now: Time) -> bool {
        let mut called: Vec<(SocketHandle, SocketAddr)> = Vec::new();
        for window in &mut self.windows {
            let to = window.expose.to;
            called.extend(window.called(self.inet.sockets()).into_iter().map(|handle| (handle, to)));
        }
        let worked = !called.is_empty();
        for (handle, to) in called {
            let stream = match self.connections.len() < CONNECTIONS {
                true => TcpStream::connect(to).map_err(|error| error.to_string()),
                false => Err(format!("there are {CONNECTIONS} connections already")),
            };
            let kept = stream.and_then(|s| self.keep(Connection::new(s, true), handle).map_err(|(_, why)| why));
            if let Err(why) = kept {
                self.refuse(now, handle, to, &why);
            }
        }
        worked
    }

    fn refuse(&mut self, now: Time, handle: SocketHandle, to: SocketAddr, why: &str) {
        self.warn(now, 1, format!("a connection for {to} is refused: {why}"));
        self.inet.sockets().get_mut::<Socket<'_>>(handle).abort();
        self.leaving.push(handle);
    }

    fn keep(&mut self, mut connection: Connection, handle: SocketHandle) -> Result<(), (Connection, String)> {
        let number = self.next;
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(connection.stream(), Token(STREAMS + number), both) {
            return Err((connection, error.to_string()));
        }
        self.next = self.next.wrapping_add(1) % (usize::MAX - STREAMS);
        self.connections.insert(number, (connection, handle));
        Ok(())
    }

    /// Moves what can be moved on all connections.
    fn move_all(&mut self, now: Time) -> bool {
        let mut worked = false;
        let (mut over, mut refused) = (Vec::new(), Vec::new());
        for (number, (connection, handle)) in &mut self.connections {
            let socket = self.inet.sockets().get_mut::<Socket<'_>>(*handle);
            if let Err(error) = connection.check() {
                refused.push((*number, error));
                continue;
            }
            match connection.turn(socket) {
                Turn::Idle => {}
                Turn::Moved => worked = true,
                Turn::Over => over.push(*number),
            }
        }
        for number in over {
            let Some((connection, handle)) = self.connections.remove(&number) else { continue };
            worked = true;
            if !connection.is_done() {
                reset(&connection.into_stream());
                self.inet.sockets().get_mut::<Socket<'_>>(handle).abort();
            }
            self.leaving.push(handle);
        }
        for (number, error) in refused {
            let Some((_, handle)) = self.connections.remove(&number) else { continue };
            worked = true;
            let port = self.inet.sockets().get::<Socket<'_>>(handle).local_endpoint().map_or(0, |e| e.port);
            let to = self.windows.iter().find(|w| w.expose.port == port).map(|w| w.expose.to);
            self.refuse(now, handle, to.unwrap_or(SocketAddr::from(([0; 4], port))), &error.to_string());
        }
        worked
    }

    fn warn(&mut self, now: Time, kind: usize, text: String) {
        if let Some(last) = self.warned.get_mut(kind)
            && last.is_none_or(|at| now.since(at) >= QUIET)
        {
            *last = Some(now);
            log::warn!("{text}");
        }
    }
}

/// Has the end of a stream be a reset: its caller shall not take it for a complete answer.
fn reset(stream: &TcpStream) {
    // Without it, it is a plain end.
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}
