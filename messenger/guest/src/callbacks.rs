//! To be told by callbacks: they run one after another in a thread of their guest, never in the thread of a caller.

use crate::{
    Answer, Code, Guest, GuestError, Outcome, PortId, Received, Status, Take,
    inbox::{About, Ending, Event, Then, received},
    line::Line,
    message::respond,
    port::{Handler, Run},
    protocol::{Request, Ticket},
    receive::taken,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Guest {
    /// Has every message of a port handled; nobody can receive from it meanwhile. The next message is taken when the handler is
    /// done with the last one, so that a slow handler fills the port and nothing else.
    ///
    /// A handler that returns a status did not do what was asked: that is counted ([`Guest::failures`]), who waits for an answer
    /// gets the status, and the next message comes. A panic counts as [`Code::Failed`]. A handler that has a clone of the guest
    /// keeps it: then only [`Guest::leave`] ends it.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: [`Code::BadHandle`], it is not this guest's; [`Code::Busy`], it has a handler or somebody waits to
    /// receive from it.
    pub fn on_message(
        &self,
        port: PortId,
        handler: impl FnMut(Received) -> Result<(), Status> + Send + 'static,
    ) -> Result<(), GuestError> {
        self.on_message_with(port, Take::any(), handler)
    }

    /// Has those messages of a port handled that are wanted; others can be received beside.
    ///
    /// # Errors
    /// As for [`Guest::on_message`].
    pub fn on_message_with(
        &self,
        port: PortId,
        take: Take,
        handler: impl FnMut(Received) -> Result<(), Status> + Send + 'static,
    ) -> Result<(), GuestError> {
        self.line().start_threads(work)?;
        let set = self.line().change(|inbox| {
            let known = inbox.ports.get_mut(&port).ok_or(Code::BadHandle)?;
            if known.handler.is_some() || take.mask == 0 && !known.receivers().is_empty() {
                return Err(Code::Busy);
            }
            known.handler = Some(Handler { take, run: Some(Box::new(handler)), queued: true });
            inbox.events.push_back(Event::Port(port));
            Ok(())
        });
        set.map_err(|code| GuestError::Refused(code.into()))
    }

    /// Lets go of a port's handler; messages wait in the port again. One that runs is not stopped.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::NotFound`]: it has none.
    pub fn end_handler(&self, port: PortId) -> Result<(), GuestError> {
        let handler = self.line().change(|inbox| inbox.ports.get_mut(&port).and_then(|port| port.handler.take()));
        // It is dropped here, where no lock is held.
        handler.map(drop).ok_or(GuestError::Refused(Status::new(Code::NotFound)))
    }

    /// How many messages of a port its handlers did not do what was asked with, panics included; 0 for a port that is gone.
    pub fn failures(&self, port: PortId) -> u64 {
        self.line().with(|inbox| inbox.ports.get(&port).map_or(0, |port| port.failures))
    }

    /// Has a callback told when a ticket is settled, or at once if it is; it cannot be asked for with [`Guest::settle`] any more.
    /// If the connection ends before, the callback is told that.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`]: there is no such ticket, its outcome was asked for, or it has a callback.
    pub fn on_settled(
        &self,
        ticket: Ticket,
        callback: impl FnOnce(Result<Outcome, GuestError>) + Send + 'static,
    ) -> Result<(), GuestError> {
        self.line().start_threads(work)?;
        let kept = self.line().change(|inbox| inbox.settle_then(ticket, Then(Box::new(callback))));
        kept.map_err(|_| GuestError::Refused(Status::new(Code::BadHandle)))
    }
}

/// What the callbacks' thread does until the connection ends; what was told before is done.
pub(crate) fn work(line: &Line) {
    while let Ok(Some(event)) = line.wait(None, |inbox| inbox.events.pop_front()) {
        match event {
            Event::Settled(Then(callback), outcome) => {
                // Its panic was told by the hook, and is nobody else's matter.
                let _ = catch_unwind(AssertUnwindSafe(|| callback(outcome)));
            }
            Event::Finished(Ending(callback), finished) => {
                let _ = catch_unwind(AssertUnwindSafe(|| callback(finished)));
            }
            Event::Port(port) => handle(line, port),
        }
    }
}

/// Has one message handled.
fn handle(line: &Line, port: PortId) {
    let begun = line.with(|inbox| {
        let handler = inbox.ports.get_mut(&port)?.handler.as_mut()?;
        handler.queued = false;
        let (take, run) = (handler.take, handler.run.take()?);
        Some((take, run, inbox.ports.get_mut(&port)?.stray(take)))
    });
    let Some((take, mut run, stray)) = begun else { return };
    let message = stray.map(|message| taken(line, take, message)).or_else(|| {
        // A port that is gone meanwhile has nothing to be handled.
        let asked = line.ask(About::Take(port), Request::Receive { port, take }, &[]);
        asked.and_then(|(done, payload)| received(port, done, payload)).ok().and_then(|mut all| all.pop())
    });
    let came = message.is_some();
    let failed = message.is_some_and(|message| fails(line, &mut run, message));
    line.with(|inbox| {
        let Some(known) = inbox.ports.get_mut(&port) else { return };
        known.failures += u64::from(failed);
        let ready = known.ready || !known.strays.is_empty();
        if let Some(handler) = &mut known.handler
            && handler.run.is_none()
        {
            handler.run = Some(run);
            if came && ready && !std::mem::replace(&mut handler.queued, true) {
                inbox.events.push_back(Event::Port(port));
            }
        }
    });
}

/// Runs a handler; whether it failed. Then nobody waits for its answer any more.
fn fails(line: &Line, run: &mut Run, message: Received) -> bool {
    let ask = message.head.ask;
    let done = catch_unwind(AssertUnwindSafe(|| run(message))).unwrap_or(Err(Status::new(Code::Failed)));
    let Err(status) = done else { return false };
    if let Some(ask) = ask {
        // It may have answered before it failed.
        let _ = respond(line, ask, &Answer::refusal(status));
    }
    true
}
