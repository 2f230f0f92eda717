//! The sending half.

use crate::{
    SealError,
    suite::Cipher,
    wire::{HEAD, Kind, OVERHEAD, TAG},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Bytes that one sealer seals before the gate wants new keys: far below where AES-GCM grows weak.
pub(crate) const SOFT_BYTES: u64 = 1 << 36;
/// Bytes that it never goes beyond.
const HARD_BYTES: u64 = 1 << 39;
/// Where the number of the stream is in the counter.
pub(crate) const STREAM_SHIFT: u32 = 56;

/// What the halves tell the gate. Plain numbers: nothing is concluded from their order.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Bytes of the sealer that sealed most.
    pub(crate) sealed: AtomicU64,
    /// Datagrams opened.
    pub(crate) opened: AtomicU64,
}

/// Seals messages for one peer. It belongs to one thread.
pub struct Sealer {
    cipher: Cipher,
    peer_index: u32,
    stream: u64,
    next: u64,
    bytes: u64,
    usage: Arc<Usage>,
}

impl Sealer {
    pub(crate) fn new(cipher: Cipher, peer_index: u32, stream: u8, usage: Arc<Usage>) -> Sealer {
        Sealer { cipher, peer_index, stream: u64::from(stream) << STREAM_SHIFT, next: 0, bytes: 0, usage }
    }

    /// Seals the message that lies in the buffer behind [`HEAD`] bytes of room and in front of [`TAG`] bytes of room.
    /// Then the whole buffer is the datagram.
    ///
    /// # Errors
    /// The buffer is too short, or the keys are used up. Nothing in it may be sent then.
    #[inline]
    pub fn seal_in_place(&mut self, datagram: &mut [u8]) -> Result<(), SealError> {
        let (head, body, tag) = divide(datagram).ok_or(SealError::Short)?;
        let n = self.counter(body.len())?;
        self.write_head(head, n);
        self.cipher.seal(n, head, body, tag)
    }

    /// Seals a message in one piece from elsewhere; the buffer is exactly [`OVERHEAD`] bytes longer. It saves a copy.
    ///
    /// # Errors
    /// As [`Sealer::seal_in_place`], and when the lengths do not fit.
    #[inline]
    pub fn seal_from(&mut self, message: &[u8], datagram: &mut [u8]) -> Result<(), SealError> {
        let (head, body, tag) = divide(datagram).ok_or(SealError::Short)?;
        if body.len() != message.len() {
            return Err(SealError::Length);
        }
        let n = self.counter(body.len())?;
        self.write_head(head, n);
        self.cipher.seal_from(n, head, message, body, tag)
    }

    /// Every counter is given out once, whatever becomes of it.
    fn counter(&mut self, bytes: usize) -> Result<u64, SealError> {
        let bytes = self.bytes.saturating_add(bytes as u64 + 16);
        if bytes > HARD_BYTES || self.next >> (STREAM_SHIFT - 1) != 0 {
            return Err(SealError::UsedUp);
        }
        let n = self.next;
        self.next += 1;
        self.bytes = bytes;
        // Each stream writes what it alone knows; the gate wants the order of magnitude of the largest.
        if n & 0xff == 0 || bytes >= SOFT_BYTES {
            self.usage.sealed.fetch_max(bytes, Ordering::Relaxed);
        }
        Ok(self.stream | n)
    }

    #[inline]
    fn write_head(&self, head: &mut [u8; HEAD], n: u64) {
        let parts = Kind::Data.mark().into_iter().chain(self.peer_index.to_le_bytes()).chain(n.to_le_bytes());
        head.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    }

    /// How much longer a datagram is than its message, in bytes.
    pub const fn overhead(&self) -> usize {
        OVERHEAD
    }
}

#[inline]
fn divide(datagram: &mut [u8]) -> Option<(&mut [u8; HEAD], &mut [u8], &mut [u8; TAG])> {
    let (head, rest) = datagram.split_first_chunk_mut::<HEAD>()?;
    let (body, tag) = rest.split_last_chunk_mut::<TAG>()?;
    Some((head, body, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, Suite};

    fn sealer(next: u64, bytes: u64) -> Sealer {
        let cipher = Cipher::new(Suite::Aes128Gcm, &Secret::new([1; 32])).unwrap();
        Sealer { next, bytes, ..Sealer::new(cipher, 7, 3, Arc::default()) }
    }

    /// PROTOCOL 6.9.
    #[test]
    fn both_ways_of_sealing_give_the_same() {
        let message = [5; 100];
        let mut in_place = [0; 132];
        in_place[16..116].copy_from_slice(&message);
        sealer(9, 0).seal_in_place(&mut in_place).unwrap();
        let mut from = [0; 132];
        sealer(9, 0).seal_from(&message, &mut from).unwrap();
        assert_eq!(in_place, from);
        assert_eq!(from[..16], [0x8f, 1, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn a_counter_is_never_given_out_twice_and_ends() {
        let mut sealer = sealer((1 << 55) - 1, 0);
        assert_eq!(sealer.seal_in_place(&mut [0; 31]), Err(SealError::Short));
        assert_eq!(sealer.seal_from(&[0; 3], &mut [0; 32]), Err(SealError::Length));
        assert_eq!(sealer.seal_in_place(&mut [0; 32]), Ok(()));
        assert_eq!(sealer.seal_in_place(&mut [0; 32]), Err(SealError::UsedUp));
    }

    #[test]
    fn bytes_end_too_and_the_gate_hears_of_it_before() {
        let mut nearly = sealer(1, SOFT_BYTES);
        nearly.seal_in_place(&mut [0; 32]).unwrap();
        assert!(nearly.usage.sealed.load(Ordering::Relaxed) >= SOFT_BYTES);
        assert_eq!(sealer(1, HARD_BYTES).seal_in_place(&mut [0; 32]), Err(SealError::UsedUp));
    }
}
