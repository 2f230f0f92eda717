//! A frame as a lane shows it here: its first bytes and its length.

use crate::{Ethernet, Reason, VirtioNet};
use messenger_core::Mac;

/// How many bytes of a frame a lane copies and shows, virtio-net header included. Also the room for the headers of one
/// outgoing part. All headers of every frame that can be cut fit.
pub const HEAD_MAX: usize = 256;

/// Room for a frame made here as an answer to our own interface, virtio-net header included.
pub const ANSWER_MAX: usize = 512;

/// The start of a frame, with an optional virtio-net header in front.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// A private copy of the first bytes: all of them, or at least [`HEAD_MAX`].
    pub head: &'a [u8],
    /// Length of the whole in bytes, virtio-net header included.
    pub total: usize,
    /// A 10-byte virtio-net header stands in front.
    pub vnet: bool,
}

impl<'a> Frame<'a> {
    /// Where the Ethernet frame starts in the head.
    pub const fn offset(&self) -> usize {
        if self.vnet { VirtioNet::LEN } else { 0 }
    }

    /// Length of the Ethernet frame in bytes, as the counters of a NIC have it.
    pub const fn len(&self) -> usize {
        self.total.saturating_sub(self.offset())
    }

    /// Whether there is no frame at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The head from the Ethernet header on.
    pub fn ethernet_bytes(&self) -> &'a [u8] {
        self.head.get(self.offset()..).unwrap_or(&[])
    }

    /// Whom it is for, if there is that much of it.
    pub fn destination(&self) -> Option<Mac> {
        self.ethernet_bytes().first_chunk().copied().map(Mac)
    }

    /// The virtio-net header and the Ethernet header, both checked against head and length.
    pub(crate) fn open(&self) -> Result<(VirtioNet, Ethernet), Reason> {
        if self.head.len() > self.total || (self.head.len() < self.total && self.head.len() < HEAD_MAX) {
            return Err(Reason::Malformed);
        }
        let bytes = self.ethernet_bytes();
        let ethernet = Ethernet::parse(bytes).ok_or(Reason::Malformed)?;
        let vnet = if self.vnet { VirtioNet::parse(self.head).ok_or(Reason::Malformed)? } else { VirtioNet::default() };
        if !vnet.check(bytes.len(), self.len()) {
            return Err(Reason::Malformed);
        }
        Ok((vnet, ethernet))
    }
}
