//! What waits for the line.

use super::frame::{END, emit};
use std::collections::VecDeque;

/// Bytes of urgent frames that may wait. They are small, and there are few.
const URGENT_MOST: usize = 16 << 10;

/// Frames that wait, the urgent ones ahead. The one that is being written is not overtaken.
pub(super) struct Queue {
    writing: Vec<u8>,
    at: usize,
    urgent: VecDeque<Vec<u8>>,
    urgent_bytes: usize,
    normal: VecDeque<Vec<u8>>,
    normal_bytes: usize,
    most: usize,
    plain: Vec<u8>,
    spare: Vec<Vec<u8>>,
    /// A zero stands in front of the next frame.
    idle: bool,
}

impl Queue {
    /// For at most so many bytes of frames that are not urgent.
    pub(super) fn new(most: usize) -> Queue {
        Queue {
            writing: Vec::new(),
            at: 0,
            urgent: VecDeque::new(),
            urgent_bytes: 0,
            normal: VecDeque::new(),
            normal_bytes: 0,
            most,
            plain: Vec::new(),
            spare: Vec::new(),
            idle: true,
        }
    }

    /// Adds a message; `false` when there is no room.
    pub(super) fn push<'a>(&mut self, urgent: bool, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let full = if urgent { self.urgent_bytes >= URGENT_MOST } else { self.normal_bytes >= self.most };
        if full {
            return false;
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.clear();
        emit(pieces, &mut self.plain, &mut frame);
        if urgent {
            self.urgent_bytes += frame.len();
            self.urgent.push_back(frame);
        } else {
            self.normal_bytes += frame.len();
            self.normal.push_back(frame);
        }
        true
    }

    /// The bytes to write next; none when nothing waits.
    pub(super) fn next(&mut self) -> &[u8] {
        if self.at >= self.writing.len() {
            let frame = match self.urgent.pop_front() {
                Some(frame) => {
                    self.urgent_bytes -= frame.len();
                    Some(frame)
                }
                None => self.normal.pop_front().inspect(|frame| self.normal_bytes -= frame.len()),
            };
            let old = std::mem::take(&mut self.writing);
            if self.spare.len() < 16 {
                self.spare.push(old);
            }
            self.at = 0;
            match frame {
                Some(mut frame) => {
                    if std::mem::take(&mut self.idle) {
                        frame.insert(0, END);
                    }
                    self.writing = frame;
                }
                None => self.idle = true,
            }
        }
        self.writing.get(self.at..).unwrap_or_default()
    }

    /// So many of them were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.writing.len() && self.urgent.is_empty() && self.normal.is_empty()
    }

    /// Whether a message that is not urgent would be taken.
    pub(super) fn has_room(&self) -> bool {
        self.normal_bytes < self.most
    }

    /// Forgets all; returns how many messages that were.
    pub(super) fn clear(&mut self) -> u64 {
        let lost = self.urgent.len() + self.normal.len() + usize::from(self.at < self.writing.len());
        self.urgent.clear();
        self.normal.clear();
        self.writing.clear();
        (self.urgent_bytes, self.normal_bytes, self.at, self.idle) = (0, 0, 0, true);
        lost as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PROTOCOL 11.4.
    #[test]
    fn what_is_urgent_overtakes_what_waits_but_not_what_is_being_written() {
        let mut queue = Queue::new(20);
        let push = |queue: &mut Queue, urgent, text: &[u8]| queue.push(urgent, [text].into_iter());
        assert!(push(&mut queue, false, b"first"));
        let first = queue.next().len();
        queue.wrote(1);
        assert!(push(&mut queue, false, b"second") && push(&mut queue, true, b"urgent"));
        assert!(push(&mut queue, false, b"third") && !push(&mut queue, false, b"fourth"));
        assert_eq!(queue.next().len(), first - 1);
        let mut order = Vec::new();
        while !queue.next().is_empty() {
            let n = queue.next().len();
            order.push(queue.next().to_vec());
            queue.wrote(n);
        }
        let has = |frame: &[u8], text: &[u8]| frame.windows(text.len()).any(|part| part == text);
        assert!(has(&order[1], b"urgent") && has(&order[2], b"second") && has(&order[3], b"third"));
        assert!(queue.is_empty() && queue.has_room());
    }
}
