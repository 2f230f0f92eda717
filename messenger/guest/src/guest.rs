//! The guest's end of the connection.

mod many;
mod slots;

use crate::{
    Answer, GuestError, Message, Outcome, Pending, Place, PortId, Received,
    inbox::{About, Then},
    line::{Line, PATIENCE},
    message::respond,
    protocol::{
        Change, Done, Envelope, PAYLOAD_MOST, PortSpec, Request, Sent, Ticket, To, Told, Wants, Watch, greeting,
    },
};
use messenger_core::{Code, NodeId, Status};
use std::{
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// A process's place at its host's daemon; see the crate's example. Clones are the same guest, for any thread: calls
/// of several threads do not wait for one another. What it opened goes when the last clone is dropped.
///
/// To wait for several things, and for descriptors beside them, there is [`crate::WaitSet`].
#[derive(Clone, Debug)]
pub struct Guest {
    seat: Arc<Seat>,
}

/// Lasts as long as there are clones of its guest; threads for callbacks do not count.
#[derive(Debug)]
struct Seat {
    line: Arc<Line>,
    node: (NodeId, String),
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.line.hang_up();
    }
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
        let line = Line::new(stream)?;
        line.write(&greeting())?;
        match line.wait(Some(Instant::now() + PATIENCE), |inbox| inbox.welcome())? {
            Some(Told::Welcome { node, node_name }) => {
                Ok(Guest { seat: Arc::new(Seat { line: Arc::new(line), node: (node, node_name) }) })
            }
            _ => Err(GuestError::Answer),
        }
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.seat.line
    }

    /// Ends the guest for all its clones, as if its process ended: calls that wait are told so.
    pub fn leave(&self) {
        self.line().hang_up();
    }

    /// Who waits for something looks for it so long before it sleeps, as far as that pays (see [`crate::Look`]): answers come
    /// in a few microseconds, for the processor's time meanwhile. At first nobody does.
    pub fn set_look(&self, most: Duration) {
        self.line().set_look(most);
    }

    /// The node it is a guest of.
    pub fn node(&self) -> NodeId {
        self.seat.node.0
    }

    /// The node's name.
    pub fn node_name(&self) -> &str {
        &self.seat.node.1
    }

    /// Opens a port and becomes its receiver.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: the name is taken, something is no name, or there is no room.
    pub fn open(&self, spec: &PortSpec) -> Result<PortId, GuestError> {
        self.port(Request::Open(spec.clone()))
    }

    /// Becomes the receiver of a port of this node that lost its own, with all that waits there.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: there is no such port, or it has a receiver.
    pub fn attach(&self, name: &str) -> Result<PortId, GuestError> {
        self.port(Request::Attach { name: name.into() })
    }

    /// Leaves a port; what becomes of it is its life rule.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn detach(&self, port: PortId) -> Result<(), GuestError> {
        self.line().ask(About::Leave(port), Request::Detach { port }, &[]).map(drop)
    }

    /// Closes a port. Messages that wait are dropped; who waits for an answer is told.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn close(&self, port: PortId) -> Result<(), GuestError> {
        self.line().with(|inbox| inbox.leave(port, true));
        let done = self.line().ask(About::Nothing, Request::Close { port }, &[]);
        if done.is_err() {
            self.line().with(|inbox| inbox.leave(port, false));
        }
        done.map(drop)
    }

    /// Sends a message and does not wait.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: nobody is meant, the message is too large, or too much is under way; nothing was sent.
    pub fn send(&self, to: &To, message: &Message) -> Result<Sent, GuestError> {
        self.transmit(to, message, None)
    }

    /// Sends a message and has a callback told when its ticket is settled; see [`Guest::on_settled`]. The message must want a
    /// receipt or an answer, or nothing is ever told.
    ///
    /// # Errors
    /// As for [`Guest::send`]; the callback is dropped then.
    pub fn send_then(
        &self,
        to: &To,
        message: &Message,
        callback: impl FnOnce(Result<Outcome, GuestError>) + Send + 'static,
    ) -> Result<Sent, GuestError> {
        self.line().start_threads(crate::callbacks::work)?;
        self.transmit(to, message, Some(Then(Box::new(callback))))
    }

    fn transmit(&self, to: &To, message: &Message, then: Option<Then>) -> Result<Sent, GuestError> {
        self.post(Request::Send(envelope(to, message)), message, then)
    }

    /// Hands a message over.
    fn post(&self, request: Request, message: &Message, then: Option<Then>) -> Result<Sent, GuestError> {
        if message.payload.len() > PAYLOAD_MOST {
            return Err(GuestError::Refused(Status::with(Code::TooLarge, PAYLOAD_MOST)));
        }
        let about = About::Send(message.from.unwrap_or(PortId::NODE), then);
        match self.line().ask(about, request, &message.payload)? {
            (Done::Sent(sent), _) => Ok(sent),
            _ => Err(GuestError::Answer),
        }
    }

    /// Waits until every target of a message is settled, and takes its outcome. `Ok(None)`: not within `limit`; without one it
    /// waits for ever.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`]: there is no such ticket, its outcome was taken, or a callback has it.
    pub fn settle(&self, ticket: Ticket, limit: Option<Duration>) -> Result<Option<Outcome>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let found = self.line().wait(end, |inbox| inbox.outcome(ticket))?;
        found.map(|outcome| outcome.ok_or(GuestError::Refused(Status::new(Code::BadHandle)))).transpose()
    }

    /// What is outstanding of a port; [`PortId::NODE`]: of messages that were sent from none.
    pub fn pending(&self, port: PortId) -> Pending {
        self.line().with(|inbox| Pending {
            tickets: inbox.sent_from(port),
            receivers: inbox.ports.get(&port).map(|port| port.receivers()).unwrap_or_default(),
        })
    }

    /// Takes a message back: its open slots are settled as canceled, and [`Guest::settle`] tells so.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is settled.
    pub fn cancel(&self, ticket: Ticket) -> Result<(), GuestError> {
        self.line().ask(About::Nothing, Request::Cancel { ticket }, &[]).map(drop)
    }

    /// Sends a request and waits for the answers of its targets, at most for `limit`: slots that are open then are settled
    /// as timed out.
    ///
    /// # Errors
    /// As for [`Guest::send`]. A target that refuses is no error: its slot says so.
    pub fn call(&self, to: &To, message: &Message, limit: Duration) -> Result<Outcome, GuestError> {
        let message = Message { wants: Wants::Answer, deadline: Some(limit), ..message.clone() };
        let ticket = self.send(to, &message)?.ticket.ok_or(GuestError::Answer)?;
        self.settle(ticket, Some(limit.saturating_add(PATIENCE)))?.ok_or(GuestError::Answer)
    }

    /// Answers a message that wants it.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it wants none, has one, or nobody waits any more.
    pub fn respond(&self, to: &Received, answer: &Answer) -> Result<(), GuestError> {
        let ask = to.head.ask.ok_or(GuestError::Refused(Status::new(Code::NotFound)))?;
        respond(self.line(), ask, answer)
    }

    /// Watches the ports that a pattern matches come and go; those that are there are told at once.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is no pattern.
    pub fn watch(&self, pattern: &str) -> Result<Watch, GuestError> {
        match self.line().ask(About::Nothing, Request::Watch { pattern: pattern.into() }, &[])? {
            (Done::Watch(watch), _) => Ok(watch),
            _ => Err(GuestError::Answer),
        }
    }

    /// The next change that a watch saw. `Ok(None)`: none within `limit`; without one it waits for ever. What was seen and
    /// not asked for waits in this process.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`]: it is not this guest's.
    pub fn change(&self, watch: Watch, limit: Option<Duration>) -> Result<Option<Change>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let found = self.line().wait(end, |inbox| inbox.change(watch))?;
        found.map(|change| change.ok_or(GuestError::Refused(Status::new(Code::BadHandle)))).transpose()
    }

    /// Ends a watch.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn unwatch(&self, watch: Watch) -> Result<(), GuestError> {
        self.line().ask(About::Nothing, Request::Unwatch { watch }, &[])?;
        self.line().with(|inbox| inbox.forget_watch(watch));
        Ok(())
    }

    fn port(&self, request: Request) -> Result<PortId, GuestError> {
        match self.line().ask(About::Nothing, request, &[])? {
            (Done::Port(port), _) => Ok(port),
            _ => Err(GuestError::Answer),
        }
    }
}

/// What is said of a message beside its payload.
fn envelope(to: &To, message: &Message) -> Envelope {
    Envelope {
        to: to.clone(),
        from: message.from.unwrap_or(PortId::NODE),
        priority: message.priority,
        wants: message.wants,
        datagram: message.datagram,
        capacity: message.capacity,
        deadline_ms: message.deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX).max(1)),
        opcode: message.opcode,
        tag: message.tag,
        origin: message.origin,
    }
}

#[cfg(test)]
mod tests;
