//! One connection that is passed on: a socket of the host's kernel and one of the stack.

use mio::net::TcpStream;
use smoltcp::socket::tcp::{Socket, State};
use std::{
    io::{self, Read, Write},
    net::Shutdown,
};

/// The kernel's side of a connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// The kernel has not said yet that it is connected.
    connecting: bool,
    /// It may have something, or take something; the kernel says when that becomes so.
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// All that the kernel's side had to say was taken over.
    heard_all: bool,
    /// All that the stack's side had to say was given over, and that was said.
    said_all: bool,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing could be moved.
    Idle,
    /// Something was.
    Moved,
    /// Both sides are done, or one of them broke off.
    Over,
}

impl Connection {
    /// With a stream that is connected, or is about to be.
    pub(super) const fn new(stream: TcpStream, connecting: bool) -> Connection {
        Connection { stream, connecting, readable: true, writable: !connecting, heard_all: false, said_all: false }
    }

    /// The kernel's side, to be watched.
    pub(super) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The kernel's side alone.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether both sides said all they had to say, and know that of each other.
    pub(super) const fn is_done(&self) -> bool {
        self.heard_all && self.said_all
    }

    /// Looks whether the call came through. An error is why it did not.
    pub(super) fn check(&mut self) -> io::Result<()> {
        if self.connecting && self.writable {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connecting = false,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves what can be moved, in both directions.
    pub(super) fn turn(&mut self, socket: &mut Socket<'_>) -> Turn {
        if self.connecting {
            // Whoever called may have gone meanwhile.
            return if socket.is_active() { Turn::Idle } else { Turn::Over };
        }
        let Ok(moved) = self.give_kernel(socket).and_then(|to| Ok(self.give_stack(socket)? | to)) else {
            socket.abort();
            return Turn::Over;
        };
        let ended = !socket.is_active() || socket.state() == State::TimeWait;
        if ended && socket.recv_queue() == 0 {
            return Turn::Over;
        }
        if moved { Turn::Moved } else { Turn::Idle }
    }

    fn give_kernel(&mut self, socket: &mut Socket<'_>) -> io::Result<bool> {
        let mut moved = false;
        while self.writable && socket.can_recv() {
            let mut result = Ok(0);
            let took = socket.recv(|bytes| {
                result = self.stream.write(bytes);
                (*result.as_ref().unwrap_or(&0), ())
            });
            match result {
                Ok(n) => moved |= n > 0,
                Err(error) => match again(error)? {
                    Again::Soon => {}
                    Again::Later => self.writable = false,
                },
            }
            if took.is_err() {
                break;
            }
        }
        // It said all, and not only because it has not begun.
        let done =
            !socket.may_recv() && !socket.can_recv() && !matches!(socket.state(), State::SynSent | State::SynReceived);
        if done && !self.said_all && (socket.is_active() || socket.state() == State::TimeWait) {
            self.said_all = true;
            moved = true;
            // The other direction may be over as well.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(moved)
    }

    fn give_stack(&mut self, socket: &mut Socket<'_>) -> io::Result<bool> {
        let mut moved = false;
        while self.readable && !self.heard_all && socket.can_send() {
            let mut result = Ok(0);
            let gave = socket.send(|room| {
                result = self.stream.read(room);
                (*result.as_ref().unwrap_or(&0), ())
            });
            match result {
                Ok(0) => {
                    self.heard_all = true;
                    socket.close();
                    return Ok(true);
                }
                Ok(_) => moved = true,
                Err(error) => match again(error)? {
                    Again::Soon => {}
                    Again::Later => self.readable = false,
                },
            }
            if gave.is_err() {
                break;
            }
        }
        Ok(moved)
    }
}

enum Again {
    Soon,
    Later,
}

fn again(error: io::Error) -> io::Result<Again> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(Again::Later),
        io::ErrorKind::Interrupted => Ok(Again::Soon),
        _ => Err(error),
    }
}
