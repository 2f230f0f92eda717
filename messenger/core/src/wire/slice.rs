//! The 8 bytes behind the header of a part that is a slice of one frame: `run` u16, `part` u16, `total` u32.

use super::{Header, WireError, u16_at, u32_at};

/// Where a slice belongs. Slices of one frame are sent in order, all but the last of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Tells the frames of one sender apart; the sender counts it up.
    pub run: u16,
    /// Which slice, from 0.
    pub part: u16,
    /// Length of the whole frame (with its virtio-net header) in bytes.
    pub total: u32,
}

impl Slice {
    /// Header and slice extension together.
    pub const HEADER_LEN: usize = Header::LEN + 8;

    /// From a message whose header has [`super::Flags::SLICE`].
    pub fn parse(message: &[u8]) -> Result<Slice, WireError> {
        let at = Header::LEN;
        Ok(Slice { run: u16_at(message, at)?, part: u16_at(message, at + 2)?, total: u32_at(message, at + 4)? })
    }

    /// Writes it behind the header; the header's `len` must be [`Slice::HEADER_LEN`].
    pub fn emit(&self, message: &mut [u8]) -> Result<(), WireError> {
        let out = message.get_mut(Header::LEN..Self::HEADER_LEN).ok_or(WireError::Truncated(Self::HEADER_LEN))?;
        out[..2].copy_from_slice(&self.run.to_le_bytes());
        out[2..4].copy_from_slice(&self.part.to_le_bytes());
        out[4..].copy_from_slice(&self.total.to_le_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_over_old_bytes() {
        let slice = Slice { run: 0x0102, part: 3, total: 65_560 };
        let mut out = [0xa5; Slice::HEADER_LEN];
        slice.emit(&mut out).unwrap();
        assert_eq!(out[16..], [2, 1, 3, 0, 0x18, 0, 1, 0]);
        assert_eq!(Slice::parse(&out), Ok(slice));
        assert_eq!(Slice::parse(&out[..23]), Err(WireError::Truncated(24)));
    }
}
