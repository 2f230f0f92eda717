//! The station as smoltcp sees it: an Ethernet device.

use crate::{Station, ends::Bell};
use alloc::{vec, vec::Vec};
use fabric_ring::Memory;
use messenger_core::Time;
use smoltcp::{
    phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

/// A station at a time.
pub(crate) struct Port<'s, M, B> {
    pub(crate) station: &'s mut Station<M, B>,
    pub(crate) now: Time,
}

/// A frame that came.
pub(crate) struct Came(Vec<u8>);

/// Leave to send one frame.
pub(crate) struct Leave<'a, 's, M, B>(&'a mut Port<'s, M, B>);

impl<'s, M: Memory + 'static, B: Bell + 'static> Device for Port<'s, M, B> {
    type RxToken<'a>
        = Came
    where
        Self: 'a;
    type TxToken<'a>
        = Leave<'a, 's, M, B>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Came, Leave<'_, 's, M, B>)> {
        // An answer needs room too: what came waits until there is some.
        if !self.station.has_room() {
            return None;
        }
        let frame = self.station.poll_frame()?;
        Some((Came(frame), Leave(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leave<'_, 's, M, B>> {
        self.station.has_room().then_some(Leave(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut can = DeviceCapabilities::default();
        can.medium = Medium::Ethernet;
        can.max_transmission_unit = self.station.config().frame() as usize;
        // Sums of what comes may be open: it came through memory.
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

impl<M: Memory, B: Bell> TxToken for Leave<'_, '_, M, B> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.station.send_frame(self.0.now, &mut frame);
        result
    }
}
