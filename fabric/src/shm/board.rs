//! One memory that is shared with a machine: what is a device's memory there (ivshmem). All rings of one peer lie in it.
//!
//! What else is in it, and where, is the caller's: it reads and writes the words of the first page, and names the places
//! of rings. The machine has no unix socket and cannot be asked who it is: whoever starts it knows.

use super::{
    memory,
    rings::{Incoming, Outgoing, Rings},
};
pub use crate::sys::Mapping as Part;
use crate::{bell::Bell, sys::Mapping};
use fabric_ring::{Consumer, Producer, layout};
use rustix::fs::fstat;
use std::{
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

/// Bytes of the first page.
const PAGE: usize = 4096;

/// Why a board or its rings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// A place is not a whole number of pages inside the memory, or a ring of such a length cannot be.
    #[error("no ring can lie from byte {} to byte {}", .0.start, .0.end)]
    Place(Range<usize>),
    /// The machine's ring cannot be joined.
    #[error("the machine's ring cannot be joined")]
    Join(#[source] fabric_ring::JoinError),
    /// The memory that somebody else made can shrink or grow, or has no such length.
    #[error("the memory can shrink or grow, or has {0} bytes")]
    Memory(u64),
    /// The descriptor is no doorbell.
    #[error("the machine's doorbell is not an event descriptor that never blocks")]
    NotABell,
    /// The system refused.
    #[error("cannot make memory to share with a machine")]
    Io(#[from] io::Error),
}

/// The memory.
#[derive(Debug)]
pub struct Board {
    file: OwnedFd,
    page: Page,
    len: usize,
}

struct Page(Mapping);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

/// Rings that are offered to the machine, one a lane, and that it may read.
#[derive(Debug)]
pub struct Offered(Vec<Producer<Mapping>>);

/// A doorbell that a machine can be woken by, or can ring.
///
/// # Errors
/// The system is short of descriptors.
pub fn bell() -> io::Result<OwnedFd> {
    Bell::new()?.duplicate()
}

/// Bytes of memory that a ring with a data area of `size` bytes takes.
pub const fn ring_memory(size: usize) -> usize {
    layout::memory_len(size)
}

impl Board {
    /// Zeroed memory of `len` bytes: a power of two, at least two pages. It can neither shrink nor grow.
    ///
    /// # Errors
    /// [`BoardError::Place`] for another length, or whatever the system says.
    pub fn new(len: usize) -> Result<Board, BoardError> {
        if !len.is_power_of_two() || len < 2 * PAGE {
            return Err(BoardError::Place(0..len));
        }
        let file = memory::sealed("minet-board", len)?;
        let page = Page(Mapping::new(file.as_fd(), PAGE)?);
        Ok(Board { file, page, len })
    }

    /// The machine's side, where that is a process: memory that its host made.
    ///
    /// # Errors
    /// [`BoardError::Memory`] for what can shrink or grow, or whatever the system says.
    pub fn open(file: OwnedFd) -> Result<Board, BoardError> {
        let len = u64::try_from(fstat(&file).map_err(io::Error::from)?.st_size).unwrap_or(0);
        let whole = usize::try_from(len).ok().filter(|len| len.is_power_of_two() && *len >= 2 * PAGE);
        match whole {
            Some(len) if memory::is_sealed(&file) => {
                let page = Page(Mapping::new(file.as_fd(), PAGE)?);
                Ok(Board { file, page, len })
            }
            _ => Err(BoardError::Memory(len)),
        }
    }

    /// The memory at a place, for ring ends that are not a carrier's.
    ///
    /// # Errors
    /// [`BoardError::Place`] for one that is none, or whatever the system says.
    pub fn part(&self, place: &Range<usize>) -> Result<Part, BoardError> {
        self.map(place)
    }

    /// Bytes of the memory.
    pub const fn memory(&self) -> usize {
        self.len
    }

    /// The memory's descriptor, to give to the machine.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// A little-endian word of the first page; all ones outside.
    pub fn read(&self, at: usize) -> u32 {
        self.page.0.word(at)
    }

    /// Writes one; nothing outside.
    pub fn write(&self, at: usize, word: u32) {
        self.page.0.set_word(at, word);
    }

    /// Offers rings to the machine at these places, one for each of our lanes. Before it starts.
    ///
    /// # Errors
    /// A place is not one.
    pub fn offer(&self, places: &[Range<usize>]) -> Result<Offered, BoardError> {
        let ring = |place: &Range<usize>| {
            let size = 1 << place.len().saturating_sub(layout::DATA_AT).checked_ilog2().unwrap_or(0);
            Producer::offer(self.map(place)?, size).map_err(|_| BoardError::Place(place.clone()))
        };
        places.iter().map(ring).collect::<Result<_, _>>().map(Offered)
    }

    /// Joins the ring that the machine offers at a place: all rings now, for each of our lanes. The machine's messages
    /// all come to the first lane. `bell` wakes the machine.
    ///
    /// # Errors
    /// The machine offers no ring there, or `bell` is none.
    pub fn join(&self, offered: Offered, place: &Range<usize>, bell: OwnedFd) -> Result<Vec<Rings>, BoardError> {
        let bell = Arc::new(Bell::from_peer(bell).ok_or(BoardError::NotABell)?);
        let consumer = Consumer::join(self.map(place)?).map_err(BoardError::Join)?;
        let mut incoming = Some(Incoming { consumer, bell: bell.clone(), held: false });
        let rings = offered.0.into_iter().map(|producer| Rings {
            outgoing: Outgoing { producer, bell: bell.clone() },
            incoming: incoming.take().into_iter().collect(),
        });
        Ok(rings.collect())
    }

    fn map(&self, place: &Range<usize>) -> Result<Mapping, BoardError> {
        let whole = place.start.is_multiple_of(PAGE) && place.start < place.end && place.end <= self.len;
        match whole && place.start >= PAGE {
            true => Ok(Mapping::part(self.file.as_fd(), place.start, place.len())?),
            false => Err(BoardError::Place(place.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Carrier, Channel, Message, Peer, shm::Shm};
    use fabric_ring::View;

    const RING: usize = PAGE + (1 << 16);

    fn place(n: usize) -> Range<usize> {
        PAGE + n * RING..PAGE + (n + 1) * RING
    }

    /// PROTOCOL 9.2.
    #[test]
    fn a_machine_and_a_lane_talk_through_one_memory() {
        let board = Board::new(1 << 18).unwrap();
        board.write(16, 7);
        assert_eq!((board.read(16), board.read(PAGE), board.read(2)), (7, u32::MAX, u32::MAX));
        let offered = board.offer(&[place(1)]).unwrap();
        // The machine's part, with the same ring code.
        let mut reads = Consumer::join(board.map(&place(1)).unwrap()).unwrap();
        let mut writes = Producer::offer(board.map(&place(0)).unwrap(), 1 << 16).unwrap();

        let (machine, mut lane) = (bell().unwrap(), Shm::new().unwrap());
        let rings = board.join(offered, &place(0), machine.try_clone().unwrap()).unwrap();
        assert_eq!(rings.len(), 1);
        for ring in rings {
            lane.attach(Channel(3), Peer::Shm(ring)).unwrap();
        }
        reads.sleep();
        lane.send(Channel(3), &[Message { parts: &[View::from(&b"to it"[..])] }]).1.unwrap();
        lane.flush();
        let mut heard = [0; 5];
        reads.receive(1, |record| assert_eq!(record.copy_to(0, &mut heard), 5)).unwrap();
        assert_eq!(&heard, b"to it");
        assert!(rustix::io::read(&machine, &mut [0u8; 8]).is_ok(), "it slept and was rung");

        writes.push(&[View::from(&b"from it"[..])]).unwrap();
        writes.publish();
        let mut batch = Batch::new();
        lane.receive(&mut batch).unwrap();
        assert_eq!(batch[0].bytes.len(), 7);
    }

    /// PROTOCOL 9.2.
    #[test]
    fn a_process_opens_what_its_host_made_and_nothing_else() {
        let board = Board::new(1 << 18).unwrap();
        board.write(16, 7);
        let theirs = Board::open(board.file().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!((theirs.read(16), theirs.memory()), (7, 1 << 18));
        assert!(theirs.part(&place(1)).is_ok());
        assert!(matches!(theirs.part(&(0..PAGE)), Err(BoardError::Place(_))));
        let odd = memory::sealed("odd", 3 * PAGE).unwrap();
        assert!(matches!(Board::open(odd), Err(BoardError::Memory(12_288))));
        let open = rustix::fs::memfd_create("open", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&open, 1 << 18).unwrap();
        assert!(matches!(Board::open(open), Err(BoardError::Memory(_))));
        assert!(Board::open(bell().unwrap()).is_err());
    }

    #[test]
    fn places_outside_and_rings_that_are_not_offered_are_refused() {
        assert!(matches!(Board::new(12_288), Err(BoardError::Place(_))));
        let board = Board::new(1 << 18).unwrap();
        for bad in [0..RING, 100..RING, place(0).start..1 << 19, PAGE..PAGE, PAGE..PAGE + 4096] {
            assert!(matches!(board.offer(std::slice::from_ref(&bad)), Err(BoardError::Place(p)) if p == bad));
        }
        let offered = board.offer(&[place(1)]).unwrap();
        let joined = board.join(offered, &place(0), bell().unwrap());
        assert!(matches!(joined, Err(BoardError::Join(fabric_ring::JoinError::NotOffered))));
        let offered = board.offer(&[place(1)]).unwrap();
        let file = memory::sealed("no bell", 8).unwrap();
        assert!(matches!(board.join(offered, &place(0), file), Err(BoardError::NotABell)));
    }
}
