//! Frames: a length, a value, and the payload behind it, which nobody looks at. Of a payload that is lent the place is there instead.

use crate::arena::Place;
use serde::{Serialize, de::DeserializeOwned};
use std::ops::Deref;

/// The first bytes of a guest: magic, version, two bytes of zero.
pub const GREETING_LEN: usize = 8;
const MAGIC: [u8; 4] = *b"MNGD";
/// Version of this protocol.
pub const VERSION: u16 = 3;
/// The largest value of a guest's, in bytes.
pub const HEAD_MOST: usize = 64 << 10;
/// The largest payload, in bytes.
pub const PAYLOAD_MOST: usize = 16 << 20;
/// The largest frame of a guest's, its length not counted, in bytes.
pub const FRAME_MOST: usize = HEAD_MOST + PAYLOAD_MOST;
const LENGTH: usize = 4;
/// Bytes of memory that are kept for what comes next.
const KEPT: usize = 128 << 10;
/// The bit of the length that says: the payload is lent.
const LENT: u32 = 1 << 31;

/// Why bytes are not a frame or a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first bytes are not those of a guest.
    #[error("this is not the greeting of a guest")]
    Greeting,
    /// A guest of another version; carries which.
    #[error("version {0} of the guest protocol is not spoken here, but {VERSION}")]
    Version(u16),
    /// Longer than allowed; carries how long, in bytes.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// Its value is none that is known.
    #[error("a frame is malformed")]
    Malformed,
    /// What it lends is outside the shared memory, or more than there is; or what it gives back was not lent.
    #[error("a payload is lent that cannot be")]
    Place,
}

/// The greeting of this version's guest.
pub fn greeting() -> [u8; GREETING_LEN] {
    let ([a, b, c, d], [low, high]) = (MAGIC, VERSION.to_le_bytes());
    [a, b, c, d, low, high, 0, 0]
}

/// Checks a greeting.
///
/// # Errors
/// It is none, or that of another version.
pub fn check_greeting(bytes: [u8; GREETING_LEN]) -> Result<(), FrameError> {
    let [a, b, c, d, low, high, ..] = bytes;
    match ([a, b, c, d], u16::from_le_bytes([low, high])) {
        (MAGIC, VERSION) => Ok(()),
        (MAGIC, other) => Err(FrameError::Version(other)),
        _ => Err(FrameError::Greeting),
    }
}

/// A frame with a value and a payload.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn emit(value: &impl Serialize, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    emit_with(value, 0, |frame| frame.extend_from_slice(payload))
}

/// A frame with a value and a payload that is lent.
///
/// # Errors
/// As for [`emit`].
pub fn emit_lent(value: &impl Serialize, place: Place) -> Result<Vec<u8>, FrameError> {
    emit_with(value, LENT, |frame| frame.extend_from_slice(&place.to_bytes()))
}

/// A frame with a value and what `payload` appends.
///
/// # Errors
/// As for [`emit`].
pub fn emit_gathered(value: &impl Serialize, payload: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, FrameError> {
    emit_with(value, 0, payload)
}

fn emit_with(value: &impl Serialize, flag: u32, payload: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, FrameError> {
    let frame = postcard::to_extend(value, vec![0; LENGTH]);
    let mut frame = frame.map_err(|_| FrameError::Malformed)?;
    payload(&mut frame);
    let length = frame.len() - LENGTH;
    let told = u32::try_from(length).ok().filter(|told| told & LENT == 0).ok_or(FrameError::TooLong(length))?;
    if let Some(place) = frame.first_chunk_mut() {
        *place = (told | flag).to_le_bytes();
    }
    Ok(frame)
}

/// The bytes of a frame, without its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    lent: bool,
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Frame {
    /// Where its payload is, if that is lent; `rest` is what is behind its value.
    ///
    /// # Errors
    /// [`FrameError::Malformed`]: no place is there.
    pub fn lent(&self, rest: &[u8]) -> Result<Option<Place>, FrameError> {
        match (self.lent, rest.try_into()) {
            (false, _) => Ok(None),
            (true, Ok(place)) => Ok(Some(Place::from_bytes(place))),
            (true, Err(_)) => Err(FrameError::Malformed),
        }
    }

    /// The memory itself.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes a frame apart; its value has at most `most` bytes.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn parse<T: DeserializeOwned>(frame: &[u8], most: usize) -> Result<(T, &[u8]), FrameError> {
    let head = frame.get(..most).unwrap_or(frame);
    let (value, rest) = postcard::take_from_bytes(head).map_err(|_| FrameError::Malformed)?;
    let payload = frame.get(head.len() - rest.len()..).ok_or(FrameError::Malformed)?;
    Ok((value, payload))
}

/// What came and is not a whole frame yet.
#[derive(Debug)]
pub struct Frames {
    most: usize,
    input: Vec<u8>,
    at: usize,
}

impl Frames {
    /// Of at most `most` bytes each.
    pub fn new(most: usize) -> Frames {
        Frames { most, input: Vec::new(), at: 0 }
    }

    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.input.drain(..self.at);
            self.at = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The next so many bytes as they are.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.input.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    /// The next whole frame, without its length. After an error nothing more is to be read.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let told = u32::from_le_bytes(*length);
        let (length, lent) = ((told & !LENT) as usize, told & LENT != 0);
        if length > self.most {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let frame = Frame { bytes: frame.to_vec(), lent };
        self.at += LENGTH + length;
        if self.at == self.input.len() {
            // A large frame's memory is not kept.
            self.input.clear();
            self.input.shrink_to(KEPT);
            self.at = 0;
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Call, Request, Told};
    use proptest::prelude::*;

    fn call(number: u32) -> Call {
        Call { number, request: Request::Attach { name: "a".into() } }
    }

    /// PROTOCOL 12.3.
    #[test]
    fn frames_are_found_wherever_they_are_split() {
        let both = [emit(&call(1), b"").unwrap(), emit(&call(2), &[7; 300]).unwrap()].concat();
        for length in 1..=both.len() {
            let mut frames = Frames::new(FRAME_MOST);
            let mut found = Vec::new();
            for piece in both.chunks(length) {
                frames.push(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    let (call, payload) = parse::<Call>(&frame, HEAD_MOST).unwrap();
                    found.push((call.number, payload.to_vec()));
                }
            }
            assert_eq!(found, [(1, vec![]), (2, vec![7; 300])], "pieces of {length}");
        }
    }

    /// PROTOCOL 12.2.
    #[test]
    fn a_payload_that_is_lent_is_told_by_its_place() {
        let (place, mut frames) = (Place { at: 64, len: 1 << 20 }, Frames::new(FRAME_MOST));
        frames.push(&emit_lent(&call(1), place).unwrap());
        frames.push(&emit(&call(2), &place.to_bytes()).unwrap());
        frames.push(&emit_with(&call(3), LENT, |frame| frame.extend_from_slice(&[0; 9])).unwrap());
        let told = [(); 3].map(|()| {
            let frame = frames.next_frame().unwrap().unwrap();
            let (_, rest) = parse::<Call>(&frame, HEAD_MOST).unwrap();
            frame.lent(rest)
        });
        assert_eq!(told, [Ok(Some(place)), Ok(None), Err(FrameError::Malformed)]);
    }

    #[test]
    fn greetings_are_told_apart() {
        assert_eq!(check_greeting(greeting()), Ok(()));
        assert_eq!(check_greeting(*b"GET / HT"), Err(FrameError::Greeting));
        assert_eq!(check_greeting(*b"MNGD\x09\0\0\0"), Err(FrameError::Version(9)));
    }

    /// PROTOCOL 12.3.
    #[test]
    fn what_is_too_long_is_refused_before_it_came() {
        let mut frames = Frames::new(100);
        frames.push(&101u32.to_le_bytes());
        assert_eq!(frames.next_frame(), Err(FrameError::TooLong(101)));
        // A value must fit the head.
        let many = Call { number: 1, request: Request::Watch { pattern: "x".repeat(HEAD_MOST) } };
        assert_eq!(parse::<Call>(&emit(&many, b"").unwrap()[4..], HEAD_MOST).unwrap_err(), FrameError::Malformed);
    }

    proptest! {
        #[test]
        fn random_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse::<Call>(&bytes, HEAD_MOST);
            let _ = parse::<Told>(&bytes, bytes.len());
            let mut frames = Frames::new(1000);
            frames.push(&bytes);
            while let Ok(Some(frame)) = frames.next_frame() {
                prop_assert!(frame.len() <= 1000);
            }
        }
    }
}
