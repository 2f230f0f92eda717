//! A private place for a message that is made in place, so that a middleware sees it whole before it goes.

use crate::{Carrier, Channel, SendError, Slot};

#[derive(Default)]
pub(super) struct Staging {
    bytes: Vec<u8>,
    reserved: Option<(Channel, usize)>,
}

impl Staging {
    /// Answers as `inner` would, but with room of our own.
    pub(super) fn reserve<C: Carrier>(
        &mut self,
        inner: &mut C,
        channel: Channel,
        most: usize,
    ) -> Result<Slot<'_>, SendError> {
        self.reserved = None;
        inner.reserve(channel, most)?;
        self.offer(channel, most)
    }

    /// Room of our own, whatever the carrier says.
    pub(super) fn offer(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
        }
        self.reserved = Some((channel, most));
        Ok(Slot::from(self.bytes.get_mut(..most).unwrap_or_default()))
    }

    /// What was made, when it was reserved on this channel and fits; else what `inner` would say.
    pub(super) fn commit<C: Carrier>(&mut self, inner: &C, channel: Channel, used: usize) -> Result<&[u8], SendError> {
        match self.reserved.take() {
            Some((reserved, most)) if reserved == channel && used <= most => {
                Ok(self.bytes.get(..used).unwrap_or_default())
            }
            _ => Err(refusal(inner, channel)),
        }
    }

    pub(super) fn forget(&mut self) {
        self.reserved = None;
    }
}

/// What a commit without a reserve is answered.
pub(super) fn refusal<C: Carrier>(inner: &C, channel: Channel) -> SendError {
    match inner.limits(channel) {
        None => SendError::NotOpen,
        Some(limits) if limits.in_place => SendError::TooLong(limits.message),
        Some(_) => SendError::NotInPlace,
    }
}
