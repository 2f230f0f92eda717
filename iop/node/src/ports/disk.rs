//! A block device that is reached by messages: the back half of a split driver. Its blocks are in memory and go with it.
//!
//! Whoever has a port may serve it: a bare machine, or a process of a host. Numbers are little-endian.
//!
//! | opcode | request | answer |
//! | --- | --- | --- |
//! | 1 size | nothing | blocks u64, bytes of a block u32, blocks that one request may have u32 |
//! | 2 read | first block u64, blocks u32 | the blocks |
//! | 3 write | first block u64, the blocks | nothing; they are written |
//! | 4 flush | nothing | nothing; all that was written stays as long as the device |
//!
//! What cannot be is refused, and nothing of it is done: *not supported* for another opcode, [`MALFORMED`], [`OUTSIDE`] with the
//! number of blocks there are as its detail, *too large* with the most bytes of blocks that one request may have.

use alloc::{vec, vec::Vec};
use messenger_core::{Answer, Code, Status};

/// Opcode: how large it is.
pub const SIZE: u16 = 1;
/// Opcode: read blocks.
pub const READ: u16 = 2;
/// Opcode: write blocks.
pub const WRITE: u16 = 3;
/// Opcode: let what was written be safe.
pub const FLUSH: u16 = 4;
/// Refusal: the request is none.
pub const MALFORMED: Code = Code::Other(192);
/// Refusal: there are no such blocks.
pub const OUTSIDE: Code = Code::Other(193);
/// Bytes of a block.
pub const BLOCK: usize = 512;
/// Blocks that one request may have: a message of them is no burden to a small machine.
pub const BLOCKS_MOST: u32 = 128;

/// The device.
#[derive(Clone, Debug)]
pub struct Disk {
    bytes: Vec<u8>,
    reads: u64,
    writes: u64,
}

impl Disk {
    /// With so many blocks of zeroes.
    pub fn new(blocks: usize) -> Disk {
        Disk { bytes: vec![0; blocks.saturating_mul(BLOCK)], reads: 0, writes: 0 }
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> u64 {
        (self.bytes.len() / BLOCK) as u64
    }

    /// Blocks that were read and written.
    pub const fn counts(&self) -> (u64, u64) {
        (self.reads, self.writes)
    }

    /// Does what a request asks.
    pub fn answer(&mut self, opcode: u16, request: &[u8]) -> Answer {
        let done = match opcode {
            SIZE => Ok(self.size()),
            READ => self.read(request),
            WRITE => self.write(request),
            FLUSH => Ok(Vec::new()),
            _ => Err(Status::new(Code::NotSupported)),
        };
        done.map_or_else(Answer::refusal, Answer::new)
    }

    fn size(&self) -> Vec<u8> {
        [&self.blocks().to_le_bytes()[..], &(BLOCK as u32).to_le_bytes(), &BLOCKS_MOST.to_le_bytes()].concat()
    }

    fn read(&mut self, request: &[u8]) -> Result<Vec<u8>, Status> {
        let (first, rest) = request.split_first_chunk::<8>().ok_or(Status::new(MALFORMED))?;
        let count = u32::from_le_bytes(<[u8; 4]>::try_from(rest).map_err(|_| Status::new(MALFORMED))?);
        let blocks = self.place(u64::from_le_bytes(*first), count as usize)?.to_vec();
        self.reads += u64::from(count);
        Ok(blocks)
    }

    fn write(&mut self, request: &[u8]) -> Result<Vec<u8>, Status> {
        let (first, blocks) = request.split_first_chunk::<8>().ok_or(Status::new(MALFORMED))?;
        if !blocks.len().is_multiple_of(BLOCK) {
            return Err(Status::new(MALFORMED));
        }
        let count = blocks.len() / BLOCK;
        self.place(u64::from_le_bytes(*first), count)?.copy_from_slice(blocks);
        self.writes += count as u64;
        Ok(Vec::new())
    }

    /// Blocks, if there are such and they are not too many.
    fn place(&mut self, first: u64, count: usize) -> Result<&mut [u8], Status> {
        if count > BLOCKS_MOST as usize {
            return Err(Status::with(Code::TooLarge, BLOCKS_MOST as usize * BLOCK));
        }
        let outside = Status::with(OUTSIDE, self.bytes.len() / BLOCK);
        let start = usize::try_from(first).ok().and_then(|first| first.checked_mul(BLOCK)).ok_or(outside)?;
        let end = start.checked_add(count * BLOCK).ok_or(outside)?;
        self.bytes.get_mut(start..end).ok_or(outside)
    }
}

/// The request to read blocks.
pub fn read_request(first: u64, count: u32) -> Vec<u8> {
    [&first.to_le_bytes()[..], &count.to_le_bytes()].concat()
}

/// The request to write blocks.
pub fn write_request(first: u64, blocks: &[u8]) -> Vec<u8> {
    [&first.to_le_bytes()[..], blocks].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(disk: &mut Disk, opcode: u16, request: &[u8]) -> Status {
        let before = disk.bytes.clone();
        let answer = disk.answer(opcode, request);
        assert!(!answer.status.is_good() && answer.payload.is_empty() && disk.bytes == before, "{answer:?}");
        answer.status
    }

    #[test]
    fn what_was_written_is_read() {
        let mut disk = Disk::new(300);
        assert_eq!(disk.answer(SIZE, b"").payload.to_vec(), [44, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 128, 0, 0, 0]);
        let blocks: Vec<u8> = (0..128 * BLOCK).map(|n| (n / 7) as u8).collect();
        assert!(disk.answer(WRITE, &write_request(172, &blocks)).status.is_good());
        assert!(disk.answer(FLUSH, b"").status.is_good());
        assert!(disk.answer(READ, &read_request(172, 128)).payload.to_vec() == blocks);
        assert!(disk.answer(READ, &read_request(171, 1)).payload.to_vec() == [0; BLOCK]);
        assert!(disk.answer(READ, &read_request(300, 0)).payload.is_empty());
        assert_eq!(disk.counts(), (129, 128));
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut disk = Disk::new(300);
        for (first, count) in [(300, 1), (299, 2), (u64::MAX, 1), (u64::MAX / 512 + 1, 1), (301, 0)] {
            let outside = Status::with(OUTSIDE, 300);
            assert_eq!(refused(&mut disk, READ, &read_request(first, count)), outside, "{first} {count}");
            let blocks = vec![1; count as usize * BLOCK];
            assert_eq!(refused(&mut disk, WRITE, &write_request(first, &blocks)), outside, "{first} {count}");
        }
        let large = Status::with(Code::TooLarge, 65_536);
        assert_eq!(refused(&mut disk, READ, &read_request(0, 129)), large);
        assert_eq!(refused(&mut disk, READ, &read_request(0, u32::MAX)), large);
        assert_eq!(refused(&mut disk, WRITE, &write_request(0, &vec![1; 129 * BLOCK])), large);
        for len in (0..12).chain(13..20) {
            assert_eq!(refused(&mut disk, READ, &vec![0; len]), Status::new(MALFORMED), "{len}");
        }
        for len in (0..8).chain([9, 8 + 511, 8 + 513]) {
            assert_eq!(refused(&mut disk, WRITE, &vec![0; len]), Status::new(MALFORMED), "{len}");
        }
        for opcode in [0, 5, u16::MAX] {
            assert_eq!(refused(&mut disk, opcode, b""), Status::new(Code::NotSupported));
        }
    }
}
