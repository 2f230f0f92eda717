//! The receiving half.

use crate::{
    Refused, Suite,
    keys::STREAMS,
    sealer::{STREAM_SHIFT, Usage},
    suite::Cipher,
    window::Window,
    wire::{HEAD, Kind, TAG, number},
};
use std::sync::{Arc, atomic::Ordering};

/// Opens what one peer sealed. It belongs to one thread, so that nobody can race for its window: it is neither shared nor
/// copied.
pub struct Opener {
    cipher: Cipher,
    suite: Suite,
    index: u32,
    windows: Box<[Window; STREAMS as usize]>,
    opened: u64,
    usage: Arc<Usage>,
}

impl Opener {
    pub(crate) fn new(cipher: Cipher, suite: Suite, index: u32, usage: Arc<Usage>) -> Opener {
        let windows = Box::new([const { Window::new() }; STREAMS as usize]);
        Opener { cipher, suite, index, windows, opened: 0, usage }
    }

    /// The index that datagrams for it carry.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The cipher.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Datagrams opened so far.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    /// Opens a datagram in place; what is given back is the message in it.
    ///
    /// # Errors
    /// It is no genuine datagram for these keys, or it was opened before. The buffer's contents mean nothing then.
    #[inline]
    pub fn open_in_place<'a>(&mut self, datagram: &'a mut [u8]) -> Result<&'a mut [u8], Refused> {
        let (head, rest) = datagram.split_first_chunk_mut::<HEAD>().ok_or(Refused::Short)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(Refused::Short)?;
        if head.first_chunk() != Some(&Kind::Data.mark()) {
            return Err(Refused::Kind);
        }
        if number(head) != Some(self.index) {
            return Err(Refused::Index);
        }
        let n = head.last_chunk().map_or(0, |n| u64::from_le_bytes(*n));
        let in_stream = n & ((1 << STREAM_SHIFT) - 1);
        let window = self.windows.get_mut((n >> STREAM_SHIFT) as usize).ok_or(Refused::Forged)?;
        window.check(in_stream)?;
        self.cipher.open(n, head, body, tag)?;
        window.note(in_stream);
        self.opened += 1;
        if self.opened & 0xff == 1 {
            self.usage.opened.store(self.opened, Ordering::Relaxed);
        }
        Ok(body)
    }
}
