//! The end that writes records.

use crate::{
    atomic::Ordering,
    error::{Broken, OfferError, ReserveError},
    layout::{self, Kind, mark, taken},
    memory::{Memory, Shared},
    session::{self, State},
    view::{Slot, View},
};

/// What was reserved and not committed.
#[derive(Clone, Copy)]
struct Reserved {
    /// Where the record starts: here, or at the start of the data area behind a skip.
    position: u32,
    most: u32,
}

/// The end that writes records. It alone stores `tail`; it reads `head`, whose store by [`crate::Consumer::release`]
/// hands the room back.
pub struct Producer<M> {
    shared: Shared<M>,
    generation: u32,
    /// After the last committed record.
    end: u32,
    /// What the peer was told of it.
    published: u32,
    /// The peer's head, as last seen and checked.
    head: u32,
    reserved: Option<Reserved>,
    broken: Option<Broken>,
}

impl<M: Memory> Producer<M> {
    /// Makes a ring in `memory` with a data area of `size` bytes, whatever an earlier incarnation left there.
    pub fn offer(memory: M, size: usize) -> Result<Producer<M>, OfferError> {
        if !layout::size_is_valid(size) {
            return Err(OfferError::Size);
        }
        let shared = Shared::new(memory, size).ok_or(OfferError::Memory)?;
        let generation = shared.generation().load(Ordering::Relaxed).wrapping_add(1);
        // Positions start one round before they wrap, so that wrapping is an everyday event.
        let start = 0u32.wrapping_sub(shared.size());
        shared.state().store(State::Reset as u32, Ordering::SeqCst);
        shared.generation().store(generation, Ordering::Release);
        shared.magic()[0].store(layout::MAGIC[0], Ordering::Relaxed);
        shared.magic()[1].store(layout::MAGIC[1], Ordering::Relaxed);
        let versions = u32::from(layout::VERSION_LOW) | u32::from(layout::VERSION_HIGH) << 16;
        shared.versions().store(versions, Ordering::Relaxed);
        shared.data_at().store(layout::DATA_AT as u32, Ordering::Relaxed);
        shared.size_word().store(shared.size(), Ordering::Relaxed);
        shared.tail().store(start, Ordering::Relaxed);
        shared.head().store(start, Ordering::Relaxed);
        shared.consumer_sleeps().store(0, Ordering::Relaxed);
        shared.producer_sleeps().store(0, Ordering::Relaxed);
        // Names all stores above to the consumer's acquiring load of the state in `join`.
        shared.state().store(State::Offered as u32, Ordering::Release);
        Ok(Producer { shared, generation, end: start, published: start, head: start, reserved: None, broken: None })
    }

    /// The longest record in bytes.
    pub fn record_most(&self) -> usize {
        layout::record_most(self.shared.size() as usize)
    }

    /// Which offer of this memory it is.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes committed and not published.
    pub const fn unpublished(&self) -> usize {
        self.end.wrapping_sub(self.published) as usize
    }

    /// Room for one record of at most `most` bytes. The next reserve, push or publish forgets it.
    pub fn reserve(&mut self, most: usize) -> Result<Slot<'_>, ReserveError> {
        let reserved = self.room(most)?;
        self.reserved = Some(reserved);
        let at = self.shared.offset(reserved.position) + layout::RECORD_HEADER as u32;
        self.shared.slot(at, reserved.most).ok_or(ReserveError::Broken(Broken::Index))
    }

    /// Makes a record of the first `used` bytes of what was reserved. The peer sees it after [`Producer::publish`].
    pub fn commit(&mut self, used: usize) -> Result<(), ReserveError> {
        let reserved = self.reserved.take().ok_or(ReserveError::NotReserved)?;
        if used > reserved.most as usize {
            return Err(ReserveError::NotReserved);
        }
        if reserved.position != self.end {
            let at = self.shared.offset(self.end);
            self.shared.set_record(at, 0, mark(Kind::Skip, self.end));
        }
        let used = used as u32;
        let at = self.shared.offset(reserved.position);
        self.shared.set_record(at, used, mark(Kind::Record, reserved.position));
        self.end = reserved.position.wrapping_add(taken(used));
        Ok(())
    }

    /// Copies the pieces into one record.
    pub fn push(&mut self, parts: &[View<'_>]) -> Result<(), ReserveError> {
        let len = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let mut slot = self.reserve(len)?;
        let mut at = 0;
        for part in parts {
            crate::atomic::before_store();
            slot.write(at, *part);
            at += part.len();
        }
        self.commit(len)
    }

    /// Shows committed records to the peer; whether there were any. Follow with [`crate::barrier`] and
    /// [`Producer::consumer_sleeps`].
    pub fn publish(&mut self) -> bool {
        self.reserved = None;
        if self.published == self.end {
            return false;
        }
        self.published = self.end;
        // Names the records to the consumer's acquiring load in `receive`.
        self.shared.tail().store(self.end, Ordering::Release);
        true
    }

    /// Whether the consumer asked to be rung. If so the caller must ring.
    #[must_use]
    pub fn consumer_sleeps(&mut self) -> bool {
        self.shared.consumer_sleeps().take()
    }

    /// Asks the consumer to ring when it releases. Follow with [`crate::barrier`] and [`Producer::has_room`].
    pub fn sleep(&mut self) {
        self.shared.producer_sleeps().store(1, Ordering::Relaxed);
    }

    /// The consumer need not ring any more.
    pub fn wake(&mut self) {
        self.shared.producer_sleeps().store(0, Ordering::Relaxed);
    }

    /// Whether a record of `most` bytes fits now. Also true when waiting for it makes no sense.
    pub fn has_room(&mut self, most: usize) -> bool {
        !matches!(self.room(most), Err(ReserveError::Full))
    }

    /// Whether the peer left or broke the ring.
    pub fn check(&mut self) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let state = State::from_word(self.shared.state().load(Ordering::Acquire));
        if !matches!(state, Some(State::Offered | State::Running)) {
            return Err(self.die(Broken::Closed));
        }
        Ok(())
    }

    /// Leaves the ring; the peer sees it when it finds the ring empty.
    pub fn close(&mut self) {
        if self.broken.replace(Broken::Closed).is_none() {
            session::close(self.shared.state());
        }
    }

    /// Gives the memory back, for a new offer.
    pub fn into_memory(self) -> M {
        self.shared.into_memory()
    }

    /// Where a record of at most `most` bytes can stand now.
    fn room(&mut self, most: usize) -> Result<Reserved, ReserveError> {
        self.reserved = None;
        if let Some(broken) = self.broken {
            return Err(broken.into());
        }
        if most > self.record_most() {
            return Err(ReserveError::TooLong(self.record_most()));
        }
        let most = most as u32;
        let left = self.shared.size() - self.shared.offset(self.end);
        let skip = if taken(most) > left { left } else { 0 };
        if self.free() < skip + taken(most) {
            self.look()?;
            if self.free() < skip + taken(most) {
                self.check()?;
                return Err(ReserveError::Full);
            }
        }
        Ok(Reserved { position: self.end.wrapping_add(skip), most })
    }

    fn free(&self) -> u32 {
        self.shared.size() - self.end.wrapping_sub(self.head)
    }

    /// Reads the peer's head once. It may only lie between its last value and what was published.
    fn look(&mut self) -> Result<(), Broken> {
        // Pairs with the releasing store in `release`: the consumer has finished with what lies before it.
        let head = self.shared.head().load(Ordering::Acquire);
        let moved = head.wrapping_sub(self.head);
        if moved > self.published.wrapping_sub(self.head) || !head.is_multiple_of(layout::UNIT as u32) {
            return Err(self.die(Broken::Index));
        }
        self.head = head;
        Ok(())
    }

    fn die(&mut self, broken: Broken) -> Broken {
        session::close(self.shared.state());
        *self.broken.insert(broken)
    }
}

impl<M> core::fmt::Debug for Producer<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Producer")
            .field("generation", &self.generation)
            .field("end", &self.end)
            .field("published", &self.published)
            .field("head", &self.head)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
