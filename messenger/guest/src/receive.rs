//! Receiving, by whoever waits for it.

use crate::{
    Code, Guest, GuestError, PortId, Received, Status, Take,
    inbox::{About, Inbox, received},
    line::Line,
    protocol::Request,
};
use std::time::{Duration, Instant};

/// Why a receiver goes on.
enum Step {
    /// There may be a message; carries how often the port had news.
    Ask(Option<u64>),
    /// It was sent away.
    Canceled,
    /// A handler has all messages.
    Handled,
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
        let (mut at_once, mut seen) = (limit == Some(Duration::ZERO), None);
        loop {
            let step = line.wait(end, |inbox| step(inbox, &waiting, seen, at_once))?;
            seen = match step {
                Some(Step::Ask(news)) => news,
                Some(Step::Canceled) => return Err(GuestError::Refused(Status::new(Code::Canceled))),
                Some(Step::Handled) => return Err(GuestError::Refused(Status::new(Code::Busy))),
                None => return Ok(None),
            };
            let (done, payload) = line.ask(About::Take(port), Request::Receive { port, take }, &[])?;
            let message = received(port, done, payload)?;
            if message.is_some() || at_once {
                return Ok(message);
            }
            at_once = false;
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
    pub fn cancel_receives(&self, port: PortId) -> usize {
        self.line().change(|inbox| {
            let Some(port) = inbox.ports.get_mut(&port) else { return 0 };
            port.canceled += 1;
            port.receivers().len()
        })
    }
}

fn step(inbox: &mut Inbox, waiting: &Waiting<'_>, seen: Option<u64>, at_once: bool) -> Option<Step> {
    // The daemon says what is wrong with a port that is not known.
    let Some(port) = inbox.ports.get(&waiting.port) else { return Some(Step::Ask(None)) };
    match () {
        () if port.is_all_handled() => Some(Step::Handled),
        () if port.canceled != waiting.canceled => Some(Step::Canceled),
        () if at_once || port.ready && seen != Some(port.news) => Some(Step::Ask(Some(port.news))),
        () => None,
    }
}
