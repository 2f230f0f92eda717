//! How a message lies on the line, PROTOCOL section 11.

use std::ops::Range;

/// Ends a frame.
pub const END: u8 = 0;
/// Bytes of the CRC-32.
const CRC: usize = 4;
/// Is summed up in front of each message and not sent: without it the sum of nothing is zero, and a few zeros of a longer message,
/// cut off by one altered bit, were a message without bytes.
const FRONT: u8 = 1;

fn sum(message: &[u8]) -> [u8; CRC] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[FRONT]);
    sum.update(message);
    sum.finalize().to_le_bytes()
}

/// The most bytes on the line of a message of `len` bytes, with the zeros around it.
pub const fn frame_most(len: usize) -> usize {
    cobs::max_encoding_length(len + CRC) + 2
}

/// Appends a frame to `out`. `plain` is put to use for the while.
pub fn emit<'a>(pieces: impl Iterator<Item = &'a [u8]>, plain: &mut Vec<u8>, out: &mut Vec<u8>) {
    plain.clear();
    pieces.for_each(|piece| plain.extend_from_slice(piece));
    let sum = sum(plain);
    plain.extend_from_slice(&sum);
    let start = out.len();
    out.resize(start + cobs::max_encoding_length(plain.len()), 0);
    // The room is what the crate itself says is enough.
    let used = out.get_mut(start..).and_then(|to| cobs::try_encode(plain, to).ok()).unwrap_or(0);
    out.truncate(start + used);
    out.push(END);
}

/// Cuts what comes from the line into messages.
pub struct Cutter {
    frame: Vec<u8>,
    most: usize,
    /// Too long to be a frame: all is skipped up to the next zero.
    skipping: bool,
    /// How often there was something that was no message.
    pub malformed: u64,
}

impl Cutter {
    /// For messages of at most `message` bytes.
    pub fn new(message: usize) -> Cutter {
        let most = frame_most(message);
        Cutter { frame: Vec::with_capacity(most), most, skipping: false, malformed: 0 }
    }

    /// Forgets what came of the frame at hand.
    pub fn reset(&mut self) {
        self.malformed += u64::from(self.skipping || !self.frame.is_empty());
        self.frame.clear();
        self.skipping = false;
    }

    /// Takes bytes from the line; appends messages to `out` and says where they lie.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>, mut found: impl FnMut(Range<usize>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == END) {
            let (head, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.take(head);
            if std::mem::take(&mut self.skipping) {
                self.malformed += 1;
            } else if !self.frame.is_empty() {
                match parse(&self.frame, out) {
                    Some(range) => found(range),
                    None => self.malformed += 1,
                }
            }
            self.frame.clear();
        }
        self.take(bytes);
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.frame.len() + bytes.len() > self.most {
            self.skipping = true;
            self.frame.clear();
        }
        if !self.skipping {
            self.frame.extend_from_slice(bytes);
        }
    }
}

/// Appends the message in a frame (without its zero) to `out`; `None` when there is none.
fn parse(frame: &[u8], out: &mut Vec<u8>) -> Option<Range<usize>> {
    let start = out.len();
    out.resize(start + frame.len(), 0);
    let len = out.get_mut(start..).and_then(|room| decode(frame, room));
    out.truncate(start + len.unwrap_or(0));
    len.map(|len| start..start + len)
}

/// Writes the message in a frame to `out`; returns its length.
fn decode(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    let report = cobs::decode(frame, out).ok()?;
    let (message, crc) = out.get(..report.frame_size())?.split_last_chunk::<CRC>()?;
    (sum(message) == *crc).then_some(message.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        emit([message].into_iter(), &mut Vec::new(), &mut out);
        assert!(out.len() < frame_most(message.len()) && out.iter().filter(|byte| **byte == END).count() == 1);
        out
    }

    fn messages(cutter: &mut Cutter, bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let (mut out, mut ranges) = (Vec::new(), Vec::new());
        for chunk in bytes.chunks(step) {
            cutter.push(chunk, &mut out, |range| ranges.push(range));
        }
        ranges.into_iter().map(|range| out[range].to_vec()).collect()
    }

    #[test]
    fn messages_of_any_length_and_content_survive() {
        for len in [0, 1, 2, 249, 250, 253, 254, 255, 256, 1530, 2048] {
            for fill in [0, 1, 255] {
                let message = vec![fill; len];
                for step in [1, 7, 4096] {
                    let mut cutter = Cutter::new(2048);
                    assert_eq!(messages(&mut cutter, &frame(&message), step), [&message[..]]);
                    assert_eq!(cutter.malformed, 0);
                }
            }
        }
    }

    /// PROTOCOL 11.1: sums of `01` and the message by another implementation; COBS leaves no zero before the end.
    #[test]
    fn a_frame_is_these_bytes() {
        assert_eq!(frame(b"123456789"), b"\x0e123456789\xc0\x2e\xb5\x21\0");
        assert_eq!(frame(b""), [5, 0x1b, 0xdf, 0x5, 0xa5, 0]);
        assert_eq!(frame(b"a\0b"), [&[2, b'a', 6, b'b'][..], &sum(b"a\0b"), &[0]].concat());
    }

    /// Zeros stand as ones on the line. A bit of such a one is altered, so that a zero cuts the frame in two.
    #[test]
    fn a_run_of_zeros_that_is_cut_makes_no_message() {
        for len in 1..300 {
            let whole = frame(&vec![0; len]);
            for at in 0..whole.len() - 1 {
                let mut cut = whole.clone();
                cut[at] = END;
                assert_eq!(messages(&mut Cutter::new(300), &cut, 64), [[0; 0]; 0], "{len} {at}");
            }
        }
    }

    /// PROTOCOL 11.2.
    #[test]
    fn zeros_between_messages_are_nothing() {
        let bytes = [&[0, 0][..], &frame(b"one"), &[0], &frame(b"two"), &[0, 0]].concat();
        let mut cutter = Cutter::new(100);
        assert_eq!(messages(&mut cutter, &bytes, 5), [b"one", b"two"]);
        assert_eq!(cutter.malformed, 0);
    }

    /// PROTOCOL 11.3.
    #[test]
    fn a_message_that_is_too_long_and_one_that_is_cut_are_counted_once_each() {
        let long = frame(&[7; 300]);
        let cut = &frame(b"cut off")[..5];
        let bytes = [&long[..], &frame(b"good"), cut, &[0], &frame(b"good")].concat();
        let mut cutter = Cutter::new(100);
        assert_eq!(messages(&mut cutter, &bytes, 11), [b"good", b"good"]);
        assert_eq!(cutter.malformed, 2);
    }

    #[test]
    fn the_overhead_is_under_one_percent() {
        assert!(frame(&[1; 1530]).len() <= 1530 * 101 / 100);
    }

    proptest! {
        /// Garbage before, between and after: every message arrives, and nothing else. (A message that garbage runs into
        /// is lost; a zero in front makes sure that none does.)
        #[test]
        fn messages_survive_garbage(
            list in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 0..50)), 0..10),
            step in 1usize..100,
        ) {
            let mut bytes = Vec::new();
            for (message, garbage) in &list {
                bytes.extend(garbage);
                bytes.push(END);
                bytes.extend(frame(message));
            }
            let found = messages(&mut Cutter::new(300), &bytes, step);
            let sent: Vec<Vec<u8>> = list.into_iter().map(|(message, _)| message).collect();
            prop_assert_eq!(found, sent);
        }

        /// Rows: MF-4.
        #[test]
        fn every_flipped_bit_is_noticed(message in prop::collection::vec(any::<u8>(), 1..100), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = frame(&message);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes.push(END);
            let found = messages(&mut Cutter::new(300), &bytes, 64);
            prop_assert!(found.is_empty() || found == [message], "an altered message");
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..2000), step in 1usize..200) {
            messages(&mut Cutter::new(64), &noise, step);
        }
    }
}
