//! Bytes from a line, in pieces of any length: the same messages however they are cut, none longer than is allowed, what is sent
//! between them arrives, and one altered bit is noticed.

use fabric::serial::frame::{Cutter, END, emit, frame_most};

/// The messages in `bytes`, given in pieces, and how often there was something that was none.
fn messages(bytes: &[u8], piece: usize, most: usize) -> (Vec<Vec<u8>>, u64) {
    let (mut cutter, mut out, mut ranges) = (Cutter::new(most), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        cutter.push(piece, &mut out, |range| ranges.push(range));
    }
    (ranges.into_iter().map(|range| out[range].to_vec()).collect(), cutter.malformed)
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    emit([message].into_iter(), &mut Vec::new(), &mut out);
    assert!(out.len() < frame_most(message.len()), "no longer than is said");
    assert_eq!(out.iter().position(|byte| *byte == END), Some(out.len() - 1), "the only zero is its end");
    out
}

pub fn run(input: &[u8]) {
    let [piece, most, at, bit, fill, run, more, noise @ ..] = input else { return };
    let most = usize::from(*most) * 8;
    let found = messages(noise, noise.len(), most);
    assert_eq!(found, messages(noise, usize::from(*piece), most), "however they are cut");
    // COBS takes a little more than a message, so that a little longer ones may pass.
    assert!(found.0.iter().all(|message| message.len() <= frame_most(most)));
    assert!(found.0.len() as u64 + found.1 <= noise.len() as u64);
    // Of a kind that comes on real lines: what was made for its sum may hold another message.
    let run = usize::from(*run).min(most);
    let more = (0..u32::from(*more % 64)).map(|n| ((n ^ 0x55).wrapping_mul(2_654_435_761) >> 24) as u8);
    let message: Vec<u8> = std::iter::repeat_n(*fill, run).chain(more).take(most).collect();
    let message = &message[..];
    let clean = frame(message);
    let sent = [noise, &[END], &clean].concat();
    assert_eq!(messages(&sent, usize::from(*piece), most).0.last().map(Vec::as_slice), Some(message), "behind noise");
    let mut altered = clean;
    let place = usize::from(*at) % altered.len();
    altered[place] ^= 1 << (bit % 8);
    altered.push(END);
    assert!(messages(&altered, altered.len(), most).0.iter().all(|other| other == message), "an altered message");
}
