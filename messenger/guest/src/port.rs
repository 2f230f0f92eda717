//! What a guest knows of a port of its: whether to ask it for messages, and who waits for them.

use crate::{Received, Status, Take, inbox::Ending};
use std::fmt;

/// What is run for each message of a port.
pub(crate) type Run = Box<dyn FnMut(Received) -> Result<(), Status> + Send>;

/// The handler of a port.
pub(crate) struct Handler {
    pub(crate) take: Take,
    /// `None` while it runs.
    pub(crate) run: Option<Run>,
    /// The callbacks' thread was told of the port, or is at it.
    pub(crate) queued: bool,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("take", &self.take).field("queued", &self.queued).finish_non_exhaustive()
    }
}

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Port {
    /// The port has messages; exact as of what was read.
    pub(crate) ready: bool,
    /// Counts the times that it had news: who found nothing asks again then.
    pub(crate) news: u64,
    /// Counts the times that its receivers were sent away.
    pub(crate) canceled: u64,
    next_receiver: u64,
    /// Who waits, by number.
    receivers: Vec<(u64, Take)>,
    pub(crate) handler: Option<Handler>,
    /// Messages that its handlers did not want or broke at.
    pub(crate) failures: u64,
    /// Who is told when it is closed.
    pub(crate) ending: Option<Ending>,
}

impl Port {
    /// It has news; whether the callbacks' thread must be told.
    pub(crate) fn tell_ready(&mut self) -> bool {
        self.ready = true;
        self.news += 1;
        self.handler.as_mut().is_some_and(|handler| !std::mem::replace(&mut handler.queued, true))
    }

    /// A handler gets all messages, and nobody can receive.
    pub(crate) fn is_all_handled(&self) -> bool {
        self.handler.as_ref().is_some_and(|handler| handler.take.mask == 0)
    }

    /// Notes who waits.
    pub(crate) fn enter(&mut self, take: Take) -> u64 {
        self.next_receiver += 1;
        self.receivers.push((self.next_receiver, take));
        self.next_receiver
    }

    pub(crate) fn leave(&mut self, number: u64) {
        self.receivers.retain(|(n, _)| *n != number);
    }

    pub(crate) fn receivers(&self) -> Vec<Take> {
        self.receivers.iter().map(|(_, take)| *take).collect()
    }
}
