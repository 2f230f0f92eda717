//! A lane's carriers, and what every channel carried.

use super::Activity;
use fabric::{Address, Amend, AttachError, Carrier, Channel, Counts, Medium, Message, Peer, SendError, Slot, View};
use minet::Hop;
use std::{os::fd::BorrowedFd, sync::Arc};

/// The carriers of one lane.
pub(super) struct Outlet {
    carriers: Vec<Box<dyn Carrier>>,
    /// Carriers that failed for good: nothing is received from them any more.
    failed: Vec<bool>,
    /// What was last told of each carrier's medium.
    media: Vec<Medium>,
    /// By carrier, then by channel.
    activity: Vec<Vec<Option<Arc<Activity>>>>,
    /// A message was too long for its channel since the last look.
    narrow: bool,
}

impl Outlet {
    pub(super) fn new(carriers: Vec<Box<dyn Carrier>>) -> Outlet {
        let activity = carriers.iter().map(|_| Vec::new()).collect();
        let failed = vec![false; carriers.len()];
        let media = vec![Medium::Given; carriers.len()];
        Outlet { carriers, failed, media, activity, narrow: false }
    }

    pub(super) fn attach(
        &mut self,
        carrier: usize,
        channel: Channel,
        peer: Peer,
        activity: Arc<Activity>,
    ) -> Result<(), AttachError> {
        let (Some(carrier), Some(table)) = (self.carriers.get_mut(carrier), self.activity.get_mut(carrier)) else {
            return Err(AttachError::WrongKind("missing"));
        };
        carrier.attach(channel, peer)?;
        let at = channel.0 as usize;
        if table.len() <= at {
            table.resize(at + 1, None);
        }
        if let Some(place) = table.get_mut(at) {
            *place = Some(activity);
        }
        Ok(())
    }

    pub(super) fn detach(&mut self, carrier: usize, channel: Channel) {
        if let Some(carrier) = self.carriers.get_mut(carrier) {
            carrier.detach(channel);
        }
        if let Some(place) = self.activity.get_mut(carrier).and_then(|t| t.get_mut(channel.0 as usize)) {
            *place = None;
        }
    }

    pub(super) fn resize(&mut self, carrier: usize, channel: Channel, message: usize) {
        if let Some(carrier) = self.carriers.get_mut(carrier) {
            carrier.resize(channel, message);
        }
    }

    /// Whether a message was too long for its channel since the last look.
    pub(super) fn take_narrow(&mut self) -> bool {
        std::mem::take(&mut self.narrow)
    }

    fn activity(&self, carrier: usize, channel: Channel) -> Option<&Activity> {
        self.activity.get(carrier)?.get(channel.0 as usize)?.as_deref()
    }

    /// Notes frames that came in on a channel.
    pub(super) fn heard(&self, carrier: usize, channel: Channel, n: u64) {
        if let Some(activity) = self.activity(carrier, channel) {
            activity.note_received(n);
        }
    }

    /// A carrier to receive from.
    pub(super) fn carrier(&mut self, at: usize) -> Option<&mut Box<dyn Carrier>> {
        self.carriers.get_mut(at).filter(|_| self.failed.get(at) == Some(&false))
    }

    /// A carrier failed for good.
    pub(super) fn fail(&mut self, at: usize) {
        if let Some(failed) = self.failed.get_mut(at) {
            *failed = true;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.carriers.len()
    }

    pub(super) fn reserve(&mut self, hop: Hop, most: usize) -> Result<Slot<'_>, SendError> {
        let carrier = self.carriers.get_mut(usize::from(hop.carrier)).ok_or(SendError::NotOpen)?;
        carrier.reserve(Channel(hop.channel), most)
    }

    pub(super) fn commit(&mut self, hop: Hop, used: usize) -> Result<(), SendError> {
        let carrier = self.carriers.get_mut(usize::from(hop.carrier)).ok_or(SendError::NotOpen)?;
        carrier.commit(Channel(hop.channel), used)?;
        if let Some(activity) = self.activity(usize::from(hop.carrier), Channel(hop.channel)) {
            activity.note_sent(1);
        }
        Ok(())
    }

    /// Sends messages in order; how many were taken, and why not more.
    pub(super) fn send(&mut self, hop: Hop, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        let (at, channel) = (usize::from(hop.carrier), Channel(hop.channel));
        let Some(carrier) = self.carriers.get_mut(at) else { return (0, Err(SendError::NotOpen)) };
        let (taken, result) = carrier.send(channel, messages);
        self.narrow |= matches!(result, Err(SendError::TooLong(_)));
        if let (Some(activity), true) = (self.activity(at, channel), taken > 0) {
            activity.note_sent(taken as u64);
        }
        (taken, result)
    }

    /// Sends one message of the control thread's, which counts its own.
    pub(super) fn send_one(&mut self, carrier: usize, channel: Channel, parts: &[View<'_>]) -> Result<(), SendError> {
        let carrier = self.carriers.get_mut(carrier).ok_or(SendError::NotOpen)?;
        carrier.send_urgent(channel, Message { parts })
    }

    /// Carriers whose medium is another than at the last look, and what it is now.
    pub(super) fn changed_media(&mut self) -> impl Iterator<Item = (usize, Medium)> {
        let both = self.carriers.iter().zip(&mut self.media).enumerate();
        both.filter_map(|(at, (carrier, told))| {
            let medium = carrier.medium();
            (std::mem::replace(told, medium) != medium).then_some((at, medium))
        })
    }

    /// Whether it pays to wait for room on the way to a peer.
    pub(super) fn worth_waiting(&self, hop: Hop) -> bool {
        self.carriers.get(usize::from(hop.carrier)).is_some_and(|carrier| carrier.worth_waiting())
    }

    pub(super) fn amend(&mut self, carrier: usize, channel: Channel, amend: Amend) -> Result<(), AttachError> {
        self.carriers.get_mut(carrier).ok_or(AttachError::WrongKind("missing"))?.amend(channel, amend)
    }

    pub(super) fn send_to(&mut self, carrier: usize, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        self.carriers.get_mut(carrier).ok_or(SendError::NotOpen)?.send_to(to, datagram)
    }

    pub(super) fn flush(&mut self) {
        self.carriers.iter_mut().for_each(|c| c.flush());
    }

    /// Asks all peers to ring; `false` when something is there already.
    pub(super) fn arm(&mut self) -> bool {
        let live = self.carriers.iter_mut().zip(&self.failed).filter(|(_, failed)| !**failed);
        live.fold(true, |quiet, (c, _)| c.arm() && quiet)
    }

    pub(super) fn disarm(&mut self) {
        self.carriers.iter_mut().for_each(|c| c.disarm());
    }

    pub(super) fn wakers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.carriers.iter().zip(&self.failed).filter(|(_, failed)| !**failed).filter_map(|(c, _)| c.waker())
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = Counts> {
        self.carriers.iter().map(|c| c.counts())
    }
}
