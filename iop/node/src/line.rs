//! The end of a serial line: messages as frames between zeros, PROTOCOL section 11, as the host's serial carrier has them.

use crate::ends::Carry;
use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use fabric_ring::View;

/// A device that takes and gives bytes, and never waits.
pub trait Bytes {
    /// Gives bytes that came; how many.
    fn read(&mut self, to: &mut [u8]) -> usize;
    /// Takes bytes; how many.
    fn write(&mut self, from: &[u8]) -> usize;
}

/// Ends a frame.
const END: u8 = 0;
/// Bytes of the CRC-32.
const CRC: usize = 4;
/// Is summed up in front of each message and not sent, as the host's carrier does.
const FRONT: u8 = 1;
/// What may wait to be sent, in bytes: some of the longest messages.
const WAITING: usize = 32 << 10;
/// Bytes taken from the device at once, and how often in a turn.
const CHUNK: usize = 256;
const CHUNKS: usize = 16;

/// The line's end.
pub(crate) struct Line<D> {
    device: D,
    message: usize,
    /// What came of the frame at hand.
    frame: Vec<u8>,
    /// It is too long to be one: all is skipped up to its end.
    skipping: bool,
    waiting: VecDeque<u8>,
}

impl<D: Bytes> Line<D> {
    /// For messages of at most so many bytes.
    pub(crate) fn new(device: D, message: usize) -> Line<D> {
        Line { device, message, frame: Vec::new(), skipping: false, waiting: VecDeque::new() }
    }

    fn drain(&mut self) {
        loop {
            let (front, _) = self.waiting.as_slices();
            let taken = if front.is_empty() { 0 } else { self.device.write(front) };
            if taken == 0 {
                return;
            }
            self.waiting.drain(..taken.min(front.len()));
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.frame.len() + bytes.len() > cobs::max_encoding_length(self.message + CRC) + 1 {
            self.skipping = true;
            self.frame.clear();
        }
        if !self.skipping {
            self.frame.extend_from_slice(bytes);
        }
    }
}

impl<D: Bytes> Carry for Line<D> {
    fn message_most(&self) -> usize {
        self.message
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.waiting.len() + cobs::max_encoding_length(bytes + CRC) + 3 <= WAITING
    }

    fn send(&mut self, parts: &[View<'_>]) -> bool {
        let len = parts.iter().map(View::len).sum();
        if len > self.message || !self.has_room(len) {
            return false;
        }
        let mut plain = vec![0; len];
        let mut at = 0;
        for part in parts {
            at += part.copy_to(0, plain.get_mut(at..).unwrap_or_default());
        }
        let sum = sum(&plain);
        plain.extend(sum);
        let mut coded = vec![0; cobs::max_encoding_length(plain.len())];
        // The room is what the crate itself says is enough.
        let used = cobs::try_encode(&plain, &mut coded).unwrap_or(0);
        if self.waiting.is_empty() {
            // Noise on an idle line is not the beginning of it.
            self.waiting.push_back(END);
        }
        self.waiting.extend(coded.iter().take(used));
        self.waiting.push_back(END);
        true
    }

    fn flush(&mut self) {
        self.drain();
    }

    fn receive(&mut self, each: &mut dyn FnMut(Vec<u8>)) -> bool {
        self.drain();
        let (mut any, mut chunk) = (false, [0; CHUNK]);
        for _ in 0..CHUNKS {
            let got = self.device.read(&mut chunk);
            if got == 0 {
                break;
            }
            any = true;
            let mut bytes = chunk.get(..got).unwrap_or_default();
            while let Some(end) = bytes.iter().position(|byte| *byte == END) {
                let (head, rest) = bytes.split_at(end);
                bytes = rest.get(1..).unwrap_or_default();
                self.take(head);
                let whole = !core::mem::take(&mut self.skipping) && !self.frame.is_empty();
                if let Some(message) = decode(&self.frame).filter(|_| whole) {
                    each(message);
                }
                self.frame.clear();
            }
            self.take(bytes);
        }
        any
    }

    fn is_quiet(&mut self) -> bool {
        self.waiting.is_empty()
    }
}

fn sum(message: &[u8]) -> [u8; CRC] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[FRONT]);
    sum.update(message);
    sum.finalize().to_le_bytes()
}

/// The message in a frame without its end; `None` when there is none.
fn decode(frame: &[u8]) -> Option<Vec<u8>> {
    let mut plain = vec![0; frame.len()];
    let report = cobs::decode(frame, &mut plain).ok()?;
    plain.truncate(report.frame_size());
    let (message, crc) = plain.split_last_chunk::<CRC>()?;
    let right = sum(message) == *crc;
    let len = message.len();
    plain.truncate(len);
    right.then_some(plain)
}

/// A line in a box, as the ends of a peer.
pub(crate) fn boxed(device: impl Bytes + 'static, message: usize) -> Box<dyn Carry> {
    Box::new(Line::new(device, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;
    use std::rc::Rc;

    type Wire = Rc<RefCell<VecDeque<u8>>>;

    /// Takes and gives a few bytes at a time.
    struct Device(Wire, Wire);

    impl Bytes for Device {
        fn read(&mut self, to: &mut [u8]) -> usize {
            let mut from = self.0.borrow_mut();
            let got = from.len().min(to.len()).min(7);
            to.iter_mut().zip(from.drain(..got)).for_each(|(to, byte)| *to = byte);
            got
        }

        fn write(&mut self, from: &[u8]) -> usize {
            let taken = from.len().min(5);
            self.1.borrow_mut().extend(&from[..taken]);
            taken
        }
    }

    fn pair() -> (Line<Device>, Line<Device>, Wire) {
        let (to, back) = (Wire::default(), Wire::default());
        (Line::new(Device(back.clone(), to.clone()), 2048), Line::new(Device(to.clone(), back), 2048), to)
    }

    fn heard(line: &mut Line<Device>) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while line.receive(&mut |message| all.push(message)) {}
        all
    }

    #[test]
    fn messages_of_any_content_come_whole_and_in_order() {
        let (mut here, mut there, _) = pair();
        let all: Vec<Vec<u8>> =
            [0, 1, 253, 254, 255, 1530, 2048].iter().map(|len| (0..*len).map(|n| (n % 3) as u8).collect()).collect();
        for message in &all {
            assert!(here.send(&[View::from(&message[..message.len() / 2]), View::from(&message[message.len() / 2..])]));
        }
        assert!(!here.is_quiet());
        here.flush();
        assert!(here.is_quiet());
        assert_eq!(heard(&mut there), all);
        assert!(!here.send(&[View::from(&[0; 2049][..])]), "too long");
    }

    #[test]
    fn what_is_altered_or_endless_is_dropped_and_the_next_message_comes() {
        let (mut here, mut there, wire) = pair();
        wire.borrow_mut().extend(core::iter::repeat_n(1, 10_000));
        wire.borrow_mut().push_back(END);
        here.send(&[View::from(&b"one"[..])]);
        here.flush();
        let last = wire.borrow().len() - 3;
        wire.borrow_mut()[last] ^= 0x10;
        here.send(&[View::from(&b"two"[..])]);
        here.flush();
        assert_eq!(heard(&mut there), [b"two".to_vec()]);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let (mut here, ..) = pair();
        let mut count = 0;
        while here.send(&[View::from(&[7; 1500][..])]) {
            count += 1;
        }
        assert!((10..=WAITING / 1500).contains(&count) && !here.has_room(1500) && here.has_room(10), "{count}");
    }
}
