//! What a message carries: a list of pieces of memory that somebody else owns too. Nothing here copies a byte unless the
//! name of the method says so.

use alloc::{sync::Arc, vec::Vec};
use core::{any::Any, fmt, ops::Range};

/// Memory that can be shared: a vector, a mapped file, a buffer of a pool.
pub trait Memory: Send + Sync {
    /// The bytes. The same at every call.
    fn bytes(&self) -> &[u8];

    /// How many there are, where that can be told without them.
    fn size(&self) -> usize {
        self.bytes().len()
    }

    /// Itself, for an owner who has a better way to its bytes than [`Memory::bytes`].
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

impl<T: AsRef<[u8]> + Send + Sync> Memory for T {
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }
}

#[derive(Clone)]
enum Store {
    Static(&'static [u8]),
    Shared(Arc<dyn Memory>),
}

/// A part of some shared memory.
#[derive(Clone)]
struct Piece {
    store: Store,
    start: usize,
    end: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        let all = match &self.store {
            Store::Static(bytes) => bytes,
            Store::Shared(memory) => memory.bytes(),
        };
        all.get(self.start..self.end).unwrap_or(&[])
    }

    fn len(&self) -> usize {
        self.end - self.start
    }
}

#[derive(Clone, Default)]
enum Pieces {
    #[default]
    None,
    One(Piece),
    Many(Arc<[Piece]>),
}

/// The payload of a message: pieces one after the other. To clone it costs no copy.
#[derive(Clone, Default)]
pub struct Payload {
    pieces: Pieces,
    /// The part of the pieces' bytes that counts.
    start: usize,
    len: usize,
}

impl Payload {
    /// No byte at all.
    pub const EMPTY: Payload = Payload { pieces: Pieces::None, start: 0, len: 0 };

    /// Bytes that are there for ever.
    pub fn from_static(bytes: &'static [u8]) -> Payload {
        Payload::one(Piece { store: Store::Static(bytes), start: 0, end: bytes.len() })
    }

    /// Memory that is shared with its owner; it must not change while the payload lives.
    pub fn from_shared(memory: Arc<dyn Memory>) -> Payload {
        let end = memory.size();
        Payload::one(Piece { store: Store::Shared(memory), start: 0, end })
    }

    /// Payloads one after the other (scatter-gather); no byte is copied.
    pub fn gather(parts: impl IntoIterator<Item = Payload>) -> Payload {
        let mut pieces: Vec<Piece> = Vec::new();
        for part in parts {
            part.each_piece(|piece, range| {
                pieces.push(Piece {
                    store: piece.store.clone(),
                    start: piece.start + range.start,
                    end: piece.start + range.end,
                });
            });
        }
        let len = pieces.iter().map(Piece::len).sum();
        match (pieces.pop(), pieces.is_empty()) {
            (None, _) => Payload::EMPTY,
            (Some(only), true) => Payload::one(only),
            (Some(last), false) => {
                pieces.push(last);
                Payload { pieces: Pieces::Many(pieces.into()), start: 0, len }
            }
        }
    }

    fn one(piece: Piece) -> Payload {
        let len = piece.len();
        Payload { pieces: if len == 0 { Pieces::None } else { Pieces::One(piece) }, start: 0, len }
    }

    /// The shared memory that it is the whole of, and of nothing else.
    pub fn whole(&self) -> Option<&dyn Memory> {
        match &self.pieces {
            Pieces::One(Piece { store: Store::Shared(memory), start: 0, .. })
                if self.start == 0 && self.len == memory.size() =>
            {
                Some(&**memory)
            }
            _ => None,
        }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it, cut to what is there; no byte is copied.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Payload {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Payload { pieces: self.pieces.clone(), start: self.start + start, len: end - start }
    }

    fn each_piece<'a>(&'a self, mut take: impl FnMut(&'a Piece, Range<usize>)) {
        let pieces: &[Piece] = match &self.pieces {
            Pieces::None => &[],
            Pieces::One(piece) => core::slice::from_ref(piece),
            Pieces::Many(pieces) => pieces,
        };
        let (mut skip, mut left) = (self.start, self.len);
        for piece in pieces {
            if left == 0 {
                break;
            }
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let end = piece.len().min(skip.saturating_add(left));
            take(piece, skip..end);
            left -= end - skip;
            skip = 0;
        }
    }

    /// The pieces' bytes, none of them empty.
    pub fn chunks(&self) -> Vec<&[u8]> {
        let mut all = Vec::new();
        self.each_piece(|piece, range| all.extend(piece.bytes().get(range)));
        all
    }

    /// Appends a copy of the bytes.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len);
        self.each_piece(|piece, range| out.extend_from_slice(piece.bytes().get(range).unwrap_or(&[])));
    }

    /// A copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.copy_to(&mut out);
        out
    }

    /// Copies the bytes over buffers, one after the other. When they do not fit, nothing is written and the number of
    /// bytes needed is the error.
    pub fn scatter(&self, buffers: &mut [&mut [u8]]) -> Result<(), usize> {
        if buffers.iter().map(|b| b.len()).sum::<usize>() < self.len {
            return Err(self.len);
        }
        let mut rest = buffers.iter_mut().flat_map(|b| b.iter_mut());
        self.each_piece(|piece, range| {
            for (from, to) in piece.bytes().get(range).unwrap_or(&[]).iter().zip(rest.by_ref()) {
                *to = *from;
            }
        });
        Ok(())
    }
}

impl From<Vec<u8>> for Payload {
    /// Takes the vector over; its bytes stay where they are.
    fn from(bytes: Vec<u8>) -> Payload {
        if bytes.is_empty() { Payload::EMPTY } else { Payload::from_shared(Arc::new(bytes)) }
    }
}

impl From<&[u8]> for Payload {
    /// Copies the bytes.
    fn from(bytes: &[u8]) -> Payload {
        bytes.to_vec().into()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.len == other.len && self.chunks().into_iter().flatten().eq(other.chunks().into_iter().flatten())
    }
}

impl Eq for Payload {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn pieces_stay_where_they_are() {
        let bytes = vec![7u8; 1000];
        let at = bytes.as_ptr();
        let payload = Payload::from(bytes);
        let twice = Payload::gather([payload.clone(), Payload::from_static(b"-"), payload.slice(10..20)]);
        let chunks = twice.chunks();
        assert_eq!((chunks.len(), twice.len()), (3, 1011));
        assert_eq!((chunks[0].as_ptr(), chunks[2].as_ptr()), (at, at.wrapping_add(10)));
    }

    /// An owner gets its memory back as what it is; to know how long it is nobody asks for the bytes.
    #[test]
    fn an_owner_knows_its_memory_again() {
        struct Far(usize);
        impl Memory for Far {
            fn bytes(&self) -> &[u8] {
                unreachable!("nobody needs them")
            }
            fn size(&self) -> usize {
                self.0
            }
            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }
        let far = Payload::from_shared(Arc::new(Far(5)));
        let known = |payload: &Payload| payload.whole().and_then(Memory::as_any).is_some_and(|any| any.is::<Far>());
        assert!(known(&far) && known(&far.clone().slice(0..9)) && far.len() == 5);
        assert!(!known(&far.slice(1..5)) && !known(&far.slice(0..4)));
        assert!(!known(&Payload::gather([far.clone(), far])) && !known(&Payload::from(vec![1; 5])));
    }

    /// Rows: SG-2.
    #[test]
    fn a_payload_is_received_into_many_buffers() {
        let payload = Payload::gather([Payload::from_static(b"abc"), Payload::from_static(b"defgh")]);
        let (mut a, mut b, mut c) = ([0; 2], [0; 0], [0; 7]);
        payload.scatter(&mut [&mut a, &mut b, &mut c]).unwrap();
        assert_eq!((&a, &c), (b"ab", b"cdefgh\0"));
        let mut small = [9; 7];
        assert_eq!(payload.scatter(&mut [&mut small]), Err(8));
        assert_eq!(small, [9; 7]);
    }

    proptest! {
        /// Zero-length pieces, an empty list, a long list.
        ///
        /// Rows: SG-3.
        #[test]
        fn the_pieces_joined_are_the_payload(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..200),
            cut in any::<(u16, u16)>(),
        ) {
            let all: Vec<u8> = parts.concat();
            let payload = Payload::gather(parts.iter().cloned().map(Payload::from));
            prop_assert_eq!(payload.to_vec(), all.clone());
            prop_assert!(payload.chunks().iter().all(|c| !c.is_empty()));
            let (a, b) = (usize::from(cut.0) % 600, usize::from(cut.1) % 600);
            let (start, end) = (a.min(all.len()), b.min(all.len()));
            prop_assert_eq!(payload.slice(a..b).to_vec(), all.get(start..end).unwrap_or(&[]).to_vec());
            let again = Payload::gather([payload.slice(0..start), payload.slice(start..all.len())]);
            prop_assert_eq!(again, payload);
        }
    }
}
