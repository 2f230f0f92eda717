//! Static messages: made once, sent many times, with a bound on how many are under way.

use crate::{
    PathId, Time,
    exchange::Exchange,
    message::Message,
    path::Sent,
    status::{Code, Status},
    table::Key,
};
use alloc::vec::Vec;

/// The handle of a static message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticId(u64);

/// A static message.
#[derive(Clone, Debug)]
pub(crate) struct Static {
    path: PathId,
    message: Message,
    most: usize,
    under_way: usize,
}

impl Exchange {
    /// Prepares a message to be sent on a path, at most `most` times at once. Refusals: [`Code::BadHandle`] (the path),
    /// [`Code::TooLarge`], [`Code::Exhausted`], [`Code::NotOpen`].
    pub fn prepare(&mut self, now: Time, path: PathId, message: Message, most: usize) -> Result<StaticId, Status> {
        self.at(now)?;
        self.path(path).ok_or(Status::new(Code::BadHandle))?;
        if message.payload.len() > self.limits.message {
            return Err(Status::with(Code::TooLarge, self.limits.message));
        }
        let key = self.statics.insert(Static { path, message, most, under_way: 0 });
        key.map(|key| StaticId(key.to_u64())).ok_or(Status::new(Code::Exhausted))
    }

    /// Sends a static message. Refusals: [`Code::BadHandle`], [`Code::Busy`] (detail: how many are under way), and those of
    /// [`Exchange::send`].
    pub fn post(&mut self, now: Time, id: StaticId) -> Result<Sent, Status> {
        let key = Key::from_u64(id.0);
        let posted = self.statics.get(key).ok_or(Status::new(Code::BadHandle))?;
        if posted.under_way >= posted.most {
            return Err(Status::with(Code::Busy, posted.under_way));
        }
        let (path, message) = (posted.path, posted.message.clone());
        // Counted before: a send to this node may be settled at once.
        self.count_post(key, 1);
        let sent = self.send_as(now, path, &message, Some(key));
        if sent.is_ok_and(|s| s.ticket.is_none()) || sent.is_err() {
            self.post_is_done(key);
        }
        sent
    }

    /// Lets go of a static message; what is under way goes on. Refusal: [`Code::BadHandle`].
    pub fn release(&mut self, now: Time, id: StaticId) -> Result<(), Status> {
        self.at(now)?;
        self.statics.remove(Key::from_u64(id.0)).map(|_| ()).ok_or(Status::new(Code::BadHandle))
    }

    fn count_post(&mut self, key: Key, n: usize) {
        if let Some(posted) = self.statics.get_mut(key) {
            posted.under_way += n;
        }
    }

    pub(super) fn post_is_done(&mut self, key: Key) {
        if let Some(posted) = self.statics.get_mut(key) {
            posted.under_way = posted.under_way.saturating_sub(1);
        }
    }

    /// Static messages go with their path.
    pub(crate) fn forget_statics(&mut self, path: PathId) {
        if self.statics.len() == 0 {
            return;
        }
        let gone: Vec<Key> = self.statics.iter().filter(|(_, s)| s.path == path).map(|(key, _)| key).collect();
        for key in gone {
            self.statics.remove(key);
        }
    }
}
