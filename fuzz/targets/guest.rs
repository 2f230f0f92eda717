//! What a guest may send to its daemon and a daemon to its guest, in pieces of any length: frames are bounded, the same however they
//! are cut, and what is understood can be written.

use messenger::protocol::{Call, Frame, Frames, Told, check_greeting, emit, emit_lent, parse};

/// The frames of `bytes`, given in pieces; none is longer than `most`.
fn frames(bytes: &[u8], piece: usize, most: usize) -> Vec<Frame> {
    let (mut frames, mut found) = (Frames::new(most), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

pub fn run(input: &[u8]) {
    let [length, most, bytes @ ..] = input else { return };
    if let Some(first) = bytes.first_chunk() {
        let _ = check_greeting(*first);
    }
    let most = usize::from(*most) << 8;
    let found = frames(bytes, bytes.len(), most);
    assert_eq!(found, frames(bytes, usize::from(*length), most), "however they are cut");
    for frame in found {
        assert!(frame.len() <= most, "no longer than is allowed");
        if let Ok((call, payload)) = parse::<Call>(&frame, most) {
            assert!(emit(&call, payload).is_ok(), "what was read can be written");
            if let Ok(Some(place)) = frame.lent(payload) {
                assert!(emit_lent(&call, place).is_ok(), "and lent");
            }
        }
        if let Ok((told, payload)) = parse::<Told>(&frame, most) {
            assert!(emit(&told, payload).is_ok(), "what was read can be written");
        }
    }
}
