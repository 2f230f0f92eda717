//! Frames of the EtherType by anybody: a message is what its length says, inside the frame, and padding is no part of it.

use fabric::ether::{
    MacAddr,
    header::{LENGTH, emit, parse},
};

pub fn run(frame: &[u8]) {
    if let Some((source, message)) = parse(frame) {
        assert!(message.len() + LENGTH + 14 <= frame.len());
        assert!(frame[6..12] == source.octets() && frame[12..14] == [0x88, 0xb5] && frame[16..].starts_with(message));
        for cut in 0..16 + message.len() {
            assert_eq!(parse(&frame[..cut]), None, "cut off");
        }
        let padded = [frame, &[0xa5; 46]].concat();
        assert_eq!(parse(&padded), Some((source, message)), "padding");
    }
    let (to, from) = (MacAddr(2, 3, 4, 5, 6, 7), MacAddr(8, 9, 10, 11, 12, 13));
    let message = &frame[..frame.len().min(65_535)];
    let whole = [&emit(to, from, message.len())[..], message].concat();
    assert_eq!(parse(&whole), Some((from, message)));
}
