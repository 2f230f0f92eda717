//! Taking bytes from the front, never past the end.

use super::PacketError;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, taken: 0 }
    }

    pub(super) fn bytes(&mut self, n: usize) -> Result<&'a [u8], PacketError> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(PacketError::Truncated)?;
        self.bytes = rest;
        self.taken += n;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PacketError> {
        self.bytes(N)?.try_into().map_err(|_| PacketError::Truncated)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PacketError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, PacketError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PacketError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, PacketError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Skips to a multiple of eight bytes from the beginning.
    pub(super) fn align(&mut self) -> Result<(), PacketError> {
        self.bytes(self.taken.next_multiple_of(8) - self.taken).map(drop)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}
