//! Requests to the ports of a machine, by anybody on the fabric: its disk does what a list of blocks would, refuses without a trace,
//! and what the other port is asked is what was written.

use iop_node::ports::{
    disk::{BLOCK, BLOCKS_MOST, Disk, FLUSH, READ, SIZE, WRITE, read_request, write_request},
    requests::{Fault, probe, probe_request, say, say_request},
};
use messenger_core::Code;

const BLOCKS: usize = 8;

pub fn run(input: &[u8]) {
    requests(input);
    let (mut disk, mut model) = (Disk::new(BLOCKS), vec![0; BLOCKS * BLOCK]);
    let mut rest = input;
    // Each request: opcode, how its bytes are made, a length; then the bytes.
    while let [opcode, how, len, more @ ..] = rest {
        let (bytes, behind) = more.split_at(usize::from(*len).min(more.len()));
        rest = behind;
        let (opcode, first) = (u16::from(*opcode % 6), u64::from(how >> 3));
        let request = match (how & 7, opcode) {
            (0, _) => bytes.to_vec(),
            (1, READ) => read_request(u64::MAX - first, u32::MAX - u32::from(*len)),
            (_, READ) => read_request(first, u32::from(*len) % 12),
            (1, WRITE) => write_request(first, bytes),
            (blocks, WRITE) => {
                let fill = bytes.first().copied().unwrap_or(0xff);
                write_request(first, &vec![fill; usize::from(blocks) * BLOCK])
            }
            _ => bytes.to_vec(),
        };
        let answer = disk.answer(opcode, &request);
        let number = |at: usize| request.get(at..)?.first_chunk().map(|n| u64::from_le_bytes(*n));
        let place = |blocks: usize| {
            let start = usize::try_from(number(0)?).ok()?.checked_mul(BLOCK)?;
            Some(start..start.checked_add(blocks.checked_mul(BLOCK)?)?).filter(|range| range.end <= BLOCKS * BLOCK)
        };
        let expected = match opcode {
            SIZE => Some([&8u64.to_le_bytes()[..], &512u32.to_le_bytes(), &BLOCKS_MOST.to_le_bytes()].concat()),
            FLUSH => Some(Vec::new()),
            READ if request.len() == 12 => {
                let count = request[8..].first_chunk().map_or(0, |n| u32::from_le_bytes(*n));
                place(count as usize).map(|range| model[range].to_vec())
            }
            WRITE if request.len() >= 8 && (request.len() - 8).is_multiple_of(BLOCK) => {
                place((request.len() - 8) / BLOCK).map(|range| {
                    model[range].copy_from_slice(&request[8..]);
                    Vec::new()
                })
            }
            _ => None,
        };
        assert_eq!(answer.status.is_good(), expected.is_some(), "{opcode} {request:?}");
        assert_eq!(answer.payload.to_vec(), expected.unwrap_or_default());
        assert!(opcode <= FLUSH && opcode != 0 || answer.status.code == Code::NotSupported);
    }
    let all = disk.answer(READ, &read_request(0, BLOCKS as u32));
    assert_eq!(all.payload.to_vec(), model, "nothing of what was refused was done");
}

fn requests(input: &[u8]) {
    if let Ok((name, what)) = say(input) {
        assert_eq!(say_request(&name, what), input, "what is read is what is written");
    }
    if let Ok((name, count, interval)) = probe(input) {
        assert!(!interval.is_zero(), "it does not ask without end");
        let written = probe_request(&name, count, interval.as_millis() as u32);
        assert_eq!(probe(&written), Ok((name, count, interval)));
    }
    assert_eq!(Fault::parse(input).is_ok(), matches!(input, [1..=6]));
}
