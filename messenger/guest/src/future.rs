//! To be told by `Future`, under any executor.

use crate::{
    Code, Guest, GuestError, Outcome, PortId, Received, Status, Take, Ticket, Watch,
    callbacks::work,
    inbox::{About, Inbox, received},
    protocol::{Change, Request},
    receive::{Step, step, taken},
    wait::Object,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// What can be asked of an inbox when an object was touched.
type Look<T> = Box<dyn FnMut(&mut Inbox) -> Option<T> + Send>;

/// A future of a guest's: an outcome, or a change.
pub struct Later<T> {
    guest: Guest,
    object: Object,
    look: Look<Option<T>>,
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").field("object", &self.object).finish_non_exhaustive()
    }
}

impl<T> Future for Later<T> {
    type Output = Result<T, GuestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Later { guest, object, look } = self.get_mut();
        let found = match guest.line().start_threads(work) {
            Ok(()) => guest.line().poll(*object, context, look),
            Err(error) => return Poll::Ready(Err(error)),
        };
        found.map(|found| found?.ok_or(GuestError::Refused(Status::new(Code::BadHandle))))
    }
}

/// A message of a port, when it comes. One that came for a future that was dropped waits for the next receive.
#[derive(Debug)]
pub struct Receiving {
    guest: Guest,
    port: PortId,
    take: Take,
    /// How often receivers were sent away before it came.
    canceled: Option<u64>,
    /// How often the port had news when it was asked last.
    seen: Option<u64>,
    /// The call that is under way.
    call: Option<u32>,
}

impl Future for Receiving {
    type Output = Result<Received, GuestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.advance(context) {
            Ok(Poll::Ready(message)) => Poll::Ready(Ok(message)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Receiving {
    fn advance(&mut self, context: &mut Context<'_>) -> Result<Poll<Received>, GuestError> {
        let line = self.guest.line();
        line.start_threads(work)?;
        loop {
            if let Some(number) = self.call {
                let answer = line.poll(Object::Call(number), context, |inbox| inbox.answer(number));
                let Poll::Ready(answer) = answer else { return Ok(Poll::Pending) };
                self.call = None;
                let (done, payload) = answer?.map_err(GuestError::Refused)?;
                if let Some(message) = received(self.port, done, payload)?.pop() {
                    return Ok(Poll::Ready(message));
                }
            }
            let (port, take, seen) = (self.port, self.take, self.seen);
            let canceled = *self.canceled.get_or_insert_with(|| line.with(|inbox| inbox.canceled(port)));
            let found =
                line.poll(Object::Port(port), context, |inbox| step(inbox, (port, take), canceled, seen, false));
            let Poll::Ready(found) = found else { return Ok(Poll::Pending) };
            match found? {
                Step::Stray(message) => return Ok(Poll::Ready(taken(line, take, *message))),
                Step::Refused(code) => return Err(GuestError::Refused(code.into())),
                Step::Ask(news) => {
                    self.seen = news;
                    self.call = Some(line.begin(About::Take(port), Request::Receive { port, take }, &[])?);
                }
            }
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(number) = self.call {
            self.guest.line().change(|inbox| inbox.abandon(number));
        }
    }
}

/// Futures need no runtime of a certain kind. The guest's own thread reads and wakes them; to poll one may write a short call to
/// the daemon, which reads at once.
///
/// ```no_run
/// # async fn example() -> Result<(), messenger::GuestError> {
/// # let guest = messenger::Guest::join(&Default::default())?;
/// use messenger::{Answer, PortSpec, Take};
///
/// let port = guest.open(&PortSpec::named("greeter"))?;
/// let asked = guest.receive_async(port, Take::any()).await?;
/// guest.respond(&asked, &Answer::new("hello"))?;
/// # Ok(())
/// # }
/// ```
impl Guest {
    /// Takes the first message of a port that is wanted, as a future; see [`Guest::receive_with`].
    pub fn receive_async(&self, port: PortId, take: Take) -> Receiving {
        Receiving { guest: self.clone(), port, take, canceled: None, seen: None, call: None }
    }

    /// The outcome of a ticket, as a future; see [`Guest::settle`].
    pub fn settle_async(&self, ticket: Ticket) -> Later<Outcome> {
        let look: Look<_> = Box::new(move |inbox: &mut Inbox| inbox.outcome(ticket));
        Later { guest: self.clone(), object: Object::Ticket(ticket), look }
    }

    /// The next change that a watch sees, as a future; see [`Guest::change`].
    pub fn change_async(&self, watch: Watch) -> Later<Change> {
        let look: Look<_> = Box::new(move |inbox: &mut Inbox| inbox.change(watch));
        Later { guest: self.clone(), object: Object::Watch(watch), look }
    }
}
