//! The head that the next part of a run must have, byte for byte.
//!
//! Most parts of a run differ from the one before only in ways that cutting them made, and those can be foretold. A part
//! that is just as foretold needs no parsing: it passed every check that the part before it passed.

use crate::{
    VirtioNet,
    checksum::{fold, sum},
    cut::{put16, put32},
    ethernet::be16,
    layers::Layers,
    virtio::ECN,
};

/// The longest head that is foretold, virtio-net header counted.
pub(crate) const EXPECTED_MAX: usize = 112;

/// What the next part looks like.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    head: [u8; EXPECTED_MAX],
    /// 0 when nothing is foretold.
    len: usize,
    total: usize,
    layers: Layers,
    /// Payload of each part.
    data: u32,
    /// Identifications from one to the next.
    numbers: u16,
    /// Sum of the IP header without identification and checksum.
    ip_sum: u64,
}

const CWR: u8 = 0x80;

impl Expected {
    pub(crate) const NOTHING: Expected = Expected {
        head: [0; EXPECTED_MAX],
        len: 0,
        total: 0,
        layers: Layers { l3: 0, l4: 0, data: 0, v6: false, tcp: false },
        data: 0,
        numbers: 1,
        ip_sum: 0,
    };

    /// What follows a part with that head and so many bytes of payload, in so many segments. Nothing where its head is too long.
    pub(crate) fn follow(&mut self, head: &[u8], layers: &Layers, data: usize, numbers: u16) {
        self.len = 0;
        self.numbers = numbers;
        let _ = self.try_follow(head, layers, data);
    }

    /// Whether a part is as foretold; then what follows *it* is foretold.
    pub(crate) fn meets(&mut self, head: &[u8], total: usize) -> bool {
        let same = self.len > 0 && total == self.total && head.get(..self.len) == self.head.get(..self.len);
        if same && self.step().is_none() {
            self.len = 0;
        }
        same
    }

    /// How many bytes of a frame are compared, and how many it has; `None` when nothing is foretold.
    pub(crate) fn shape(&self) -> Option<(usize, usize)> {
        (self.len > 0).then_some((self.len, self.total))
    }

    fn try_follow(&mut self, head: &[u8], layers: &Layers, data: usize) -> Option<()> {
        let len = VirtioNet::LEN + layers.data;
        self.head.get_mut(..len)?.copy_from_slice(head.get(..len)?);
        self.layers = *layers;
        self.data = u32::try_from(data).ok()?;
        self.total = len + data;
        let Layers { l3, l4, v6, tcp, .. } = *layers;
        if tcp {
            *self.head.get_mut(1)? &= !ECN;
        }
        let headers = self.head.get_mut(VirtioNet::LEN..len)?;
        if tcp {
            *headers.get_mut(l4 + 13)? &= !CWR;
        }
        if !v6 {
            let id = be16(headers, l3 + 4)?;
            let whole = sum(headers.get(l3..l4)?);
            self.ip_sum = whole - u64::from(id) - u64::from(be16(headers, l3 + 10)?);
        }
        self.len = len;
        if self.step().is_none() {
            self.len = 0;
        }
        Some(())
    }

    fn step(&mut self) -> Option<()> {
        let Layers { l3, l4, v6, tcp, .. } = self.layers;
        let headers = self.head.get_mut(VirtioNet::LEN..self.len)?;
        if !v6 {
            let id = be16(headers, l3 + 4)?.wrapping_add(self.numbers);
            put16(headers, l3 + 4, id)?;
            put16(headers, l3 + 10, !fold(self.ip_sum + u64::from(id)))?;
        }
        if tcp {
            let seq = u32::from_be_bytes(*headers.get(l4 + 4..)?.first_chunk()?);
            put32(headers, l4 + 4, seq.wrapping_add(self.data))?;
        }
        Some(())
    }
}
