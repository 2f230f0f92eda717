//! What stands in front of a message in a frame.

use super::ETHER_TYPE;
use crate::sys::HEAD;
use pnet_base::MacAddr;
use pnet_packet::{
    Packet,
    ethernet::{EtherType, EthernetPacket, MutableEthernetPacket},
};

/// Bytes of the length.
pub const LENGTH: usize = 2;

/// The 16 bytes in front of a message of `len` bytes, of which a frame takes 65535 at the most.
pub fn emit(destination: MacAddr, source: MacAddr, len: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut head) {
        ethernet.set_destination(destination);
        ethernet.set_source(source);
        ethernet.set_ethertype(EtherType(ETHER_TYPE));
        // No interface has an MTU of more than 65535, and a longer message was refused before.
        ethernet.set_payload(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    }
    head
}

/// The source and the message of a frame; `None` when it is too short, for another EtherType, or says more than it has.
pub fn parse(frame: &[u8]) -> Option<(MacAddr, &[u8])> {
    let ethernet = EthernetPacket::new(frame).filter(|e| e.get_ethertype() == EtherType(ETHER_TYPE))?;
    let start = frame.len() - ethernet.payload().len();
    let (length, rest) = frame.get(start..)?.split_first_chunk::<LENGTH>()?;
    Some((ethernet.get_source(), rest.get(..usize::from(u16::from_le_bytes(*length)))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: MacAddr = MacAddr(1, 2, 3, 4, 5, 6);
    const FROM: MacAddr = MacAddr(7, 8, 9, 10, 11, 12);

    /// PROTOCOL 10.2.
    #[test]
    fn a_padded_frame_gives_its_message_and_nothing_more() {
        for len in [0, 1, 44, 45, 1498] {
            let message = vec![0x5a; len];
            let mut frame = [&emit(TO, FROM, len)[..], &message].concat();
            assert_eq!(
                &frame[..16],
                [&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xb5][..], &(len as u16).to_le_bytes()].concat()
            );
            frame.resize(frame.len().max(60), 0xff);
            assert_eq!(parse(&frame), Some((FROM, &message[..])));
        }
    }

    #[test]
    fn what_is_no_frame_of_ours_is_none() {
        let frame = [&emit(TO, FROM, 4)[..], b"text"].concat();
        for cut in 0..frame.len() {
            assert_eq!(parse(&frame[..cut]), None, "{cut}");
        }
        let mut other = frame.clone();
        other[13] ^= 1;
        assert_eq!(parse(&other), None);
        let mut long = frame;
        long[15] = 1;
        assert_eq!(parse(&long), None);
    }
}
