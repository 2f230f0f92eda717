//! Where frames come from and go to, as smoltcp sees it: an Ethernet device.

use alloc::{vec, vec::Vec};
use messenger_core::Time;
use smoltcp::{
    phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

/// The other side of an interface: whole Ethernet frames.
pub trait Frames {
    /// The longest frame that the interface may send, in bytes.
    fn frame_most(&self) -> usize;
    /// Whether a frame could leave now, wherever it goes.
    fn has_room(&mut self) -> bool;
    /// The next frame for the interface.
    fn poll_frame(&mut self, now: Time) -> Option<Vec<u8>>;
    /// Takes a frame that the interface sends. It may change it.
    fn send_frame(&mut self, now: Time, frame: &mut [u8]);
}

/// The frames at a time.
pub(crate) struct Port<'s, F> {
    pub(crate) frames: &'s mut F,
    pub(crate) now: Time,
}

/// A frame that came.
pub(crate) struct Came(Vec<u8>);

/// Leave to send one frame.
pub(crate) struct Leave<'a, 's, F>(&'a mut Port<'s, F>);

impl<'s, F: Frames> Device for Port<'s, F> {
    type RxToken<'a>
        = Came
    where
        Self: 'a;
    type TxToken<'a>
        = Leave<'a, 's, F>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Came, Leave<'_, 's, F>)> {
        // An answer needs room too: what came waits until there is some.
        if !self.frames.has_room() {
            return None;
        }
        let frame = self.frames.poll_frame(self.now)?;
        Some((Came(frame), Leave(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leave<'_, 's, F>> {
        self.frames.has_room().then_some(Leave(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut can = DeviceCapabilities::default();
        can.medium = Medium::Ethernet;
        can.max_transmission_unit = self.frames.frame_most();
        // Sums of what comes may be open: it came through memory, or was checked on its way.
        can.checksum.tcp = Checksum::Tx;
        can.checksum.udp = Checksum::Tx;
        can
    }
}

impl RxToken for Came {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl<S: Frames> TxToken for Leave<'_, '_, S> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.frames.send_frame(self.0.now, &mut frame);
        result
    }
}
