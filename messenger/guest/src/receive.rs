//! Receiving, by whoever waits for it.

use crate::{
    Code, Guest, GuestError, PortId, Received, Status, Take,
    inbox::{About, Inbox, received},
    line::Line,
    protocol::Request,
    wait::Object,
};
use std::time::{Duration, Instant};

/// Why a receiver goes on.
pub(crate) enum Step {
    /// There may be a message; carries how often the port had news.
    Ask(Option<u64>),
    /// One is here that somebody gave up.
    Stray(Box<Received>),
    /// It was sent away, or a handler has all messages.
    Refused(Code),
}

/// Who waits at a port, as long as it does.
struct Waiting<'a> {
    line: &'a Line,
    port: PortId,
    number: Option<u64>,
    /// How often receivers were sent away before it came.
    canceled: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        self.line.with(|inbox| inbox.ports.get_mut(&self.port).map(|port| port.leave(number)));
    }
}

impl Guest {
    /// Takes the next message of a port, the most urgent first. `Ok(None)`: none came within `limit`; without one it waits for
    /// ever.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: the port is not this guest's, or not any more; [`Code::Busy`]: a handler has its messages;
    /// [`Code::Canceled`]: see [`Guest::cancel_receives`].
    pub fn receive(&self, port: PortId, limit: Option<Duration>) -> Result<Option<Received>, GuestError> {
        self.receive_with(port, Take::any(), limit)
    }

    /// Takes the first message of a port that has this tag; others stay in their order.
    ///
    /// # Errors
    /// As for [`Guest::receive`].
    pub fn receive_tagged(
        &self,
        port: PortId,
        tag: u32,
        limit: Option<Duration>,
    ) -> Result<Option<Received>, GuestError> {
        self.receive_with(port, Take::tagged(tag), limit)
    }

    /// Takes the first message of a port that is wanted, perhaps held.
    ///
    /// # Errors
    /// As for [`Guest::receive`].
    pub fn receive_with(
        &self,
        port: PortId,
        take: Take,
        limit: Option<Duration>,
    ) -> Result<Option<Received>, GuestError> {
        Ok(self.receive_some(port, take, limit, || Request::Receive { port, take })?.pop())
    }

    /// Takes the first messages of a port, at most `most`, as many as are there: fewer calls than to take them one by one. None: none
    /// came within `limit`; without one it waits for ever.
    ///
    /// # Errors
    /// As for [`Guest::receive`].
    pub fn receive_many(
        &self,
        port: PortId,
        take: Take,
        most: usize,
        limit: Option<Duration>,
    ) -> Result<Vec<Received>, GuestError> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.receive_some(port, take, limit, || Request::ReceiveMany { port, take, most })
    }

    fn receive_some(
        &self,
        port: PortId,
        take: Take,
        limit: Option<Duration>,
        request: impl Fn() -> Request,
    ) -> Result<Vec<Received>, GuestError> {
        let line = self.line();
        // A limit too far to be told is none.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let waiting = line.with(|inbox| {
            let known = inbox.ports.get_mut(&port);
            let canceled = known.as_ref().map_or(0, |port| port.canceled);
            let number = known.filter(|_| limit != Some(Duration::ZERO)).map(|port| port.enter(take));
            Waiting { line, port, number, canceled }
        });
        // Who does not wait asks the daemon itself: what it said last may be on its way.
        let (at_once, mut seen) = (limit == Some(Duration::ZERO), None);
        loop {
            let canceled = waiting.canceled;
            let step = line.wait(end, |inbox| step(inbox, (port, take), canceled, seen, at_once))?;
            seen = match step {
                Some(Step::Ask(news)) => news,
                Some(Step::Stray(message)) => return Ok(vec![taken(line, take, *message)]),
                Some(Step::Refused(code)) => return Err(GuestError::Refused(code.into())),
                None => return Ok(Vec::new()),
            };
            let (done, payload) = line.ask(About::Take(port), request(), &[])?;
            let messages = received(port, done, payload)?;
            if !messages.is_empty() || at_once {
                return Ok(messages);
            }
        }
    }

    /// Gives back the room of a message that was taken held.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`]: it was not held, or given back before.
    pub fn release(&self, message: &Received) -> Result<(), GuestError> {
        let hold = message.hold.ok_or(GuestError::Refused(Status::new(Code::BadHandle)))?;
        let request = Request::Release { port: message.port, hold };
        self.line().ask(About::Nothing, request, &[]).map(drop)
    }

    /// Sends away who waits to receive from a port now: their calls end with [`Code::Canceled`]. Returns how many.
    pub fn cancel_receives(&self, id: PortId) -> usize {
        self.line().change(|inbox| {
            let Some(port) = inbox.ports.get_mut(&id) else { return 0 };
            port.canceled += 1;
            let count = port.receivers().len();
            inbox.touch(Object::Port(id));
            count
        })
    }
}

/// What a receiver does next, if anything.
pub(crate) fn step(
    inbox: &mut Inbox,
    (id, take): (PortId, Take),
    canceled: u64,
    seen: Option<u64>,
    at_once: bool,
) -> Option<Step> {
    // The daemon says what is wrong with a port that is not known.
    let Some(port) = inbox.ports.get_mut(&id) else { return Some(Step::Ask(None)) };
    if port.is_all_handled() {
        return Some(Step::Refused(Code::Busy));
    }
    if port.canceled != canceled {
        return Some(Step::Refused(Code::Canceled));
    }
    let (stray, news) = (port.stray(take), port.news);
    let asks = at_once || port.ready && seen != Some(news);
    if let Some(message) = stray {
        inbox.touch(Object::Port(id));
        return Some(Step::Stray(Box::new(message)));
    }
    asks.then_some(Step::Ask(Some(news)))
}

/// A message that another receive gave up, as this one wants it: held or not.
pub(crate) fn taken(line: &Line, take: Take, mut message: Received) -> Received {
    if !take.held
        && let Some(hold) = message.hold.take()
    {
        // A connection that is gone holds nothing.
        let _ = line.begin(About::Abandoned(None), Request::Release { port: message.port, hold }, &[]);
    }
    message
}
