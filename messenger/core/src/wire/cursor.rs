//! Reading and writing fields of changing length, one after the other.

use super::WireError;
use crate::{Name, NodeId};
use alloc::vec::Vec;

/// Takes fields from the front of a message's body.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, taken: 0 }
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (front, rest) = self.bytes.split_at_checked(n).ok_or(WireError::Truncated(self.taken + n))?;
        self.bytes = rest;
        self.taken += n;
        Ok(front)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.bytes(N)?;
        bytes.first_chunk().copied().ok_or(WireError::Truncated(self.taken))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.array()
    }

    pub(crate) fn node(&mut self) -> Result<NodeId, WireError> {
        NodeId::new(self.u32()?).ok_or(WireError::Field("node"))
    }

    pub(crate) fn name(&mut self) -> Result<Name, WireError> {
        let len = usize::from(self.u8()?);
        Name::from_bytes(self.bytes(len)?).map_err(|_| WireError::Field("name"))
    }

    /// What was not taken: fields of a later minor version.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

/// Appends fields.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn u8(&mut self, n: u8) -> &mut Self {
        self.0.push(n);
        self
    }

    pub(crate) fn u16(&mut self, n: u16) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, n: u32) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, n: u64) -> &mut Self {
        self.bytes(&n.to_le_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Length in one byte, then the text; a [`Name`] always fits.
    pub(crate) fn name(&mut self, name: &Name) -> &mut Self {
        self.u8(name.len() as u8).bytes(name.as_bytes())
    }
}
