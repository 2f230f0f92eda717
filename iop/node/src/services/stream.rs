//! Services on one TCP connection at a time: echo, discard, a source.

use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{Socket, State},
    time::Duration,
};

/// What is done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// All comes back.
    Echo,
    /// All is taken and thrown away.
    Discard,
    /// There is always more to read.
    Source,
}

/// One place for a connection.
pub(super) struct Stream {
    socket: SocketHandle,
    port: u16,
    work: Work,
}

/// A peer that says nothing for so long while it should is gone.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stream {
    pub(super) const fn new(socket: SocketHandle, port: u16, work: Work) -> Stream {
        Stream { socket, port, work }
    }

    pub(super) const fn socket(&self) -> SocketHandle {
        self.socket
    }

    /// Serves it; whether anything was done.
    pub(super) fn handle(&mut self, socket: &mut Socket<'_>) -> bool {
        if listen(socket, self.port) {
            return true;
        }
        let worked = match self.work {
            Work::Echo => echo(socket),
            Work::Discard => discard(socket),
            Work::Source => fill(socket),
        };
        // The peer is done, and all that was to be sent has been given to the socket.
        if socket.state() == State::CloseWait && !socket.can_recv() {
            socket.close();
            return true;
        }
        worked
    }
}

/// Has a closed socket listen; whether it was one.
pub(super) fn listen(socket: &mut Socket<'_>, port: u16) -> bool {
    if socket.is_open() {
        return false;
    }
    socket.set_timeout(Some(PATIENCE));
    socket.set_keep_alive(Some(PATIENCE / 3));
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    // It is closed and the port is not zero: it cannot fail.
    socket.listen(port).is_ok()
}

fn echo(socket: &mut Socket<'_>) -> bool {
    let mut bytes = [0; 4096];
    let mut worked = false;
    loop {
        let room = socket.send_capacity().saturating_sub(socket.send_queue()).min(bytes.len());
        let Some(part) = bytes.get_mut(..room).filter(|_| room > 0 && socket.can_recv()) else { return worked };
        let Ok(got) = socket.recv_slice(part) else { return worked };
        if got == 0 || socket.send_slice(part.get(..got).unwrap_or_default()).is_err() {
            return worked;
        }
        worked = true;
    }
}

fn discard(socket: &mut Socket<'_>) -> bool {
    let mut worked = false;
    while socket.can_recv() && socket.recv(|bytes| (bytes.len(), bytes.len())).is_ok_and(|n| n > 0) {
        worked = true;
    }
    worked
}

fn fill(socket: &mut Socket<'_>) -> bool {
    discard(socket);
    // Its buffer holds zeroes or what was there before: it means nothing.
    socket.can_send() && socket.send(|room| (room.len(), room.len())).is_ok_and(|n| n > 0)
}
