//! The guest's end of the connection.

mod slots;

use crate::{
    Answer, GuestError, Message, Outcome, Place, PortId, Received,
    inbox::Inbox,
    protocol::{
        Call, Change, Done, Envelope, Frames, PAYLOAD_MOST, PortSpec, Request, Sent, Ticket, To, Told, Wants, Watch,
        emit, greeting, parse,
    },
};
use messenger_core::{Code, NodeId, Status};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

/// Longest wait for what the daemon answers at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest frame that is believed of a daemon.
const LONGEST: usize = PAYLOAD_MOST + (16 << 20);

/// A process's place at its host's daemon; see the crate's example. What it opened goes when it is dropped.
///
/// Its descriptor becomes readable when something came; then ask, with a time limit of zero. Before you wait for the descriptor,
/// see that [`Guest::has_news`] says no.
#[derive(Debug)]
pub struct Guest {
    stream: UnixStream,
    frames: Frames,
    inbox: Inbox,
    node: (NodeId, String),
    calls: u32,
}

impl Guest {
    /// Joins a daemon of this host; `Place::default()` means the only one.
    ///
    /// # Errors
    /// There is none, it takes no more guests, or it speaks another version.
    pub fn join(place: &Place) -> Result<Guest, GuestError> {
        Guest::join_at(&place.socket("guest")?)
    }

    /// Joins the daemon with this socket.
    ///
    /// # Errors
    /// As for [`Guest::join`].
    pub fn join_at(path: &Path) -> Result<Guest, GuestError> {
        let stream =
            UnixStream::connect(path).map_err(|source| GuestError::NotRunning { path: path.to_path_buf(), source })?;
        Guest::greet(stream)
    }

    fn greet(stream: UnixStream) -> Result<Guest, GuestError> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let node = (NodeId::from_name(""), String::new());
        let mut guest = Guest { stream, frames: Frames::new(LONGEST), inbox: Inbox::default(), node, calls: 0 };
        guest.write(&greeting())?;
        match guest.next(Some(Instant::now() + PATIENCE))? {
            Some((Told::Welcome { node, node_name }, _)) => {
                guest.node = (node, node_name);
                Ok(guest)
            }
            _ => Err(GuestError::Answer),
        }
    }

    /// The node it is a guest of.
    pub fn node(&self) -> NodeId {
        self.node.0
    }

    /// The node's name.
    pub fn node_name(&self) -> &str {
        &self.node.1
    }

    /// Opens a port and becomes its receiver.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: the name is taken, something is no name, or there is no room.
    pub fn open(&mut self, spec: &PortSpec) -> Result<PortId, GuestError> {
        self.port(Request::Open(spec.clone()))
    }

    /// Becomes the receiver of a port of this node that lost its own, with all that waits there.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: there is no such port, or it has a receiver.
    pub fn attach(&mut self, name: &str) -> Result<PortId, GuestError> {
        self.port(Request::Attach { name: name.into() })
    }

    /// Leaves a port; what becomes of it is its life rule.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn detach(&mut self, port: PortId) -> Result<(), GuestError> {
        self.ask(Request::Detach { port }, &[]).map(drop)
    }

    /// Closes a port. Messages that wait are dropped; who waits for an answer is told.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn close(&mut self, port: PortId) -> Result<(), GuestError> {
        self.ask(Request::Close { port }, &[]).map(drop)
    }

    /// Sends a message and does not wait.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: nobody is meant, the message is too large, or too much is under way; nothing was sent.
    pub fn send(&mut self, to: &To, message: &Message) -> Result<Sent, GuestError> {
        self.post(Request::Send(envelope(to, message)?), message)
    }

    /// Waits until every target of a message is settled. `Ok(None)`: not within `limit`; without one it waits for ever.
    ///
    /// # Errors
    /// The connection broke.
    pub fn settle(&mut self, ticket: Ticket, limit: Option<Duration>) -> Result<Option<Outcome>, GuestError> {
        self.wait(limit, |inbox| inbox.outcome(ticket))
    }

    /// Takes a message back: its open slots are settled as canceled, and [`Guest::settle`] tells so.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is settled.
    pub fn cancel(&mut self, ticket: Ticket) -> Result<(), GuestError> {
        self.ask(Request::Cancel { ticket }, &[]).map(drop)
    }

    /// Sends a request and waits for the answers of its targets, at most for `limit`: slots that are open then are settled
    /// as timed out.
    ///
    /// # Errors
    /// As for [`Guest::send`]. A target that refuses is no error: its slot says so.
    pub fn call(&mut self, to: &To, message: &Message, limit: Duration) -> Result<Outcome, GuestError> {
        let message = Message { wants: Wants::Answer, deadline: Some(limit), ..message.clone() };
        let ticket = self.send(to, &message)?.ticket.ok_or(GuestError::Answer)?;
        self.settle(ticket, Some(limit.saturating_add(PATIENCE)))?.ok_or(GuestError::Answer)
    }

    /// Takes the next message of a port, the most urgent first. `Ok(None)`: none came within `limit`; without one it waits for
    /// ever.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: the port is not this guest's, or not any more.
    pub fn receive(&mut self, port: PortId, limit: Option<Duration>) -> Result<Option<Received>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            match self.ask(Request::Receive { port }, &[])? {
                (Done::Message(head), payload) => return Ok(Some(Received { head, payload })),
                (Done::Empty, _) => self.inbox.ready.remove(&port),
                _ => return Err(GuestError::Answer),
            };
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let came = |inbox: &mut Inbox| (inbox.ready.remove(&port) || inbox.closed.contains(&port)).then_some(());
            if self.wait(left, came)?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Answers a message that wants it.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it wants none, has one, or nobody waits any more.
    pub fn respond(&mut self, to: &Received, answer: &Answer) -> Result<(), GuestError> {
        let ask = to.head.ask.ok_or(GuestError::Refused(Status::new(Code::NotFound)))?;
        let Answer { payload, status, opcode, tag } = answer;
        self.ask(Request::Respond { ask, status: *status, opcode: *opcode, tag: *tag }, payload).map(drop)
    }

    /// Watches the ports that a pattern matches come and go; those that are there are told at once.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is no pattern.
    pub fn watch(&mut self, pattern: &str) -> Result<Watch, GuestError> {
        match self.ask(Request::Watch { pattern: pattern.into() }, &[])? {
            (Done::Watch(watch), _) => Ok(watch),
            _ => Err(GuestError::Answer),
        }
    }

    /// The next change that a watch saw. `Ok(None)`: none within `limit`; without one it waits for ever. What was seen and
    /// not asked for waits in this process.
    ///
    /// # Errors
    /// The connection broke.
    pub fn change(&mut self, watch: Watch, limit: Option<Duration>) -> Result<Option<Change>, GuestError> {
        self.wait(limit, |inbox| inbox.change(watch))
    }

    /// Ends a watch.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn unwatch(&mut self, watch: Watch) -> Result<(), GuestError> {
        self.ask(Request::Unwatch { watch }, &[])?;
        self.inbox.changes.remove(&watch);
        Ok(())
    }

    /// Something came already that was not asked for: a message, an outcome or a change.
    pub fn has_news(&self) -> bool {
        self.inbox.has_news()
    }

    fn port(&mut self, request: Request) -> Result<PortId, GuestError> {
        match self.ask(request, &[])? {
            (Done::Port(port), _) => {
                self.inbox.closed.remove(&port);
                Ok(port)
            }
            _ => Err(GuestError::Answer),
        }
    }

    /// Makes a call and waits for its answer.
    fn ask(&mut self, request: Request, payload: &[u8]) -> Result<(Done, Vec<u8>), GuestError> {
        self.calls = self.calls.wrapping_add(1);
        let asked = self.calls;
        let frame = emit(&Call { number: asked, request }, payload)?;
        self.write(&frame)?;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.next(Some(end))? {
                Some((Told::Done { number, done }, payload)) if number == asked => {
                    // What it sees is kept from the moment on that it is there.
                    if let Done::Watch(watch) = done {
                        self.inbox.changes.entry(watch).or_default();
                    }
                    return Ok((done, payload));
                }
                Some((Told::Refused { number, status }, _)) if number == asked => {
                    return Err(GuestError::Refused(status));
                }
                Some((told, payload)) => self.inbox.keep(told, payload),
                None => return Err(GuestError::Answer),
            }
        }
    }

    /// Waits until the inbox has what is wanted.
    fn wait<T>(
        &mut self,
        limit: Option<Duration>,
        mut wanted: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Option<T>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if let Some(found) = wanted(&mut self.inbox) {
                return Ok(Some(found));
            }
            match self.next(end)? {
                Some((told, payload)) => self.inbox.keep(told, payload),
                None => return Ok(None),
            }
        }
    }

    /// The next thing told; `None` when nothing is until `end`.
    fn next(&mut self, end: Option<Instant>) -> Result<Option<(Told, Vec<u8>)>, GuestError> {
        let mut chunk = [0; 64 << 10];
        loop {
            if let Some(frame) = self.frames.next_frame()? {
                let (told, payload) = parse(&frame, frame.len())?;
                return match told {
                    Told::Bye { why } => Err(GuestError::CutOff(why)),
                    told => Ok(Some((told, payload.to_vec()))),
                };
            }
            if !self.readable(end)? {
                return Ok(None);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(n) => self.frames.push(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn readable(&self, end: Option<Instant>) -> Result<bool, GuestError> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let left = left.map(|d| Timespec {
                tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(d.subsec_nanos()),
            });
            match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], left.as_ref()) {
                Ok(n) => return Ok(n > 0),
                Err(Errno::INTR) => {}
                Err(e) => return Err(io::Error::from(e).into()),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), GuestError> {
        let Err(error) = self.stream.write_all(bytes) else { return Ok(()) };
        // Why the daemon reads no more may have been told.
        loop {
            match self.next(Some(Instant::now())) {
                Ok(Some(_)) => {}
                Err(GuestError::CutOff(why)) => return Err(GuestError::CutOff(why)),
                Ok(None) | Err(_) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Guest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Everything about a message but its payload.
fn envelope(to: &To, message: &Message) -> Result<Envelope, GuestError> {
    if message.payload.len() > PAYLOAD_MOST {
        return Err(GuestError::Refused(Status::with(Code::TooLarge, PAYLOAD_MOST)));
    }
    let deadline_ms = message.deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX).max(1));
    Ok(Envelope {
        to: to.clone(),
        from: message.from.unwrap_or(PortId::NODE),
        priority: message.priority,
        wants: message.wants,
        deadline_ms,
        opcode: message.opcode,
        tag: message.tag,
        origin: message.origin.into(),
        capacity: message.capacity,
    })
}

#[cfg(test)]
mod tests;
