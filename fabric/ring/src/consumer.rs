//! The end that reads records.

use crate::{
    atomic::Ordering,
    error::{Broken, JoinError},
    layout::{self, Kind, mark, taken},
    memory::{Memory, Shared},
    session::{self, State},
    view::View,
};

/// The end that reads records. It alone stores `head`; it reads `tail`, whose store by [`crate::Producer::publish`]
/// hands the records over.
pub struct Consumer<M> {
    shared: Shared<M>,
    generation: u32,
    /// After the last record handed out.
    next: u32,
    /// What the peer was told of it.
    released: u32,
    /// The peer's tail, as last seen and checked.
    tail: u32,
    broken: Option<Broken>,
}

impl<M: Memory> Consumer<M> {
    /// Joins the ring that is offered in `memory`. The memory must hold exactly what the header says, or more.
    pub fn join(memory: M) -> Result<Consumer<M>, JoinError> {
        let mut shared = Shared::new(memory, layout::SIZE_LEAST).ok_or(JoinError::Memory)?;
        // Pairs with the releasing store in `offer`: the header is complete.
        match State::from_word(shared.state().load(Ordering::Acquire)) {
            Some(State::Offered) => {}
            Some(State::Running) => return Err(JoinError::Running),
            Some(State::Closing) => return Err(JoinError::Closing),
            Some(State::Reset) | None => return Err(JoinError::NotOffered),
        }
        if shared.magic().map(|word| word.load(Ordering::Relaxed)) != layout::MAGIC {
            return Err(JoinError::NotOffered);
        }
        let versions = shared.versions().load(Ordering::Relaxed);
        let (low, high) = (versions as u16, (versions >> 16) as u16);
        if low > high || low > layout::VERSION_HIGH || high < layout::VERSION_LOW {
            return Err(JoinError::Version { low, high });
        }
        let size = shared.size_word().load(Ordering::Relaxed);
        let data_at = shared.data_at().load(Ordering::Relaxed);
        if data_at as usize != layout::DATA_AT || !layout::size_is_valid(size as usize) || !shared.resize(size) {
            return Err(JoinError::Size);
        }
        let generation = shared.generation().load(Ordering::Relaxed);
        let head = shared.head().load(Ordering::Relaxed);
        let tail = shared.tail().load(Ordering::Acquire);
        let aligned = [head, tail].iter().all(|word| word.is_multiple_of(layout::UNIT as u32));
        if !aligned || tail.wrapping_sub(head) > size {
            return Err(JoinError::Index);
        }
        match shared.state().replace(State::Offered as u32, State::Running as u32) {
            Ok(()) => Ok(Consumer { shared, generation, next: head, released: head, tail, broken: None }),
            Err(_) => Err(JoinError::NotOffered),
        }
    }

    /// Ends the session that a dead consumer left running, so that the producer sees it and offers a new one.
    /// Whether there is a ring whose session is now over.
    pub fn evict(memory: M) -> bool {
        let Some(shared) = Shared::new(memory, layout::SIZE_LEAST) else { return false };
        session::close(shared.state());
        State::from_word(shared.state().load(Ordering::Acquire)) == Some(State::Closing)
    }

    /// The longest record in bytes.
    pub fn record_most(&self) -> usize {
        layout::record_most(self.shared.size() as usize)
    }

    /// Bytes in the data area.
    pub const fn size(&self) -> usize {
        self.shared.size() as usize
    }

    /// Which offer of this memory it is.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes handed out and not released.
    pub const fn outstanding(&self) -> usize {
        self.next.wrapping_sub(self.released) as usize
    }

    /// Hands out at most `most` records in order; returns how many. They stay readable until [`Consumer::release`].
    /// Good records before a bad one are handed out; the next call then says [`Broken`].
    pub fn receive<'a>(&'a mut self, most: usize, each: impl FnMut(View<'a>)) -> Result<usize, Broken> {
        self.receive_within(most, usize::MAX, each)
    }

    /// As [`Consumer::receive`], but no further record once `bytes` are handed out and not released: what is released
    /// early can be filled while the rest is worked on.
    pub fn receive_within<'a>(
        &'a mut self,
        most: usize,
        bytes: usize,
        mut each: impl FnMut(View<'a>),
    ) -> Result<usize, Broken> {
        let mut count = 0;
        while count < most && self.outstanding() < bytes {
            match self.pop() {
                Ok(Some((at, len))) => {
                    // SAFETY: the borrow of self for 'a keeps the memory, and forbids `release` and with it any reuse by
                    // an honest producer; this process writes these bytes only through the producer's own Slots.
                    let Some(view) = (unsafe { self.shared.view(at, len) }) else { break };
                    each(view);
                    count += 1;
                }
                Ok(None) => break,
                Err(_) if count > 0 => break,
                Err(broken) => return Err(broken),
            }
        }
        Ok(count)
    }

    /// Gives back all that was handed out; whether there was anything. Follow with [`crate::barrier`] and
    /// [`Consumer::producer_sleeps`].
    pub fn release(&mut self) -> bool {
        if self.released == self.next {
            return false;
        }
        self.released = self.next;
        if self.broken.is_some() {
            return false;
        }
        // Names the end of all reads of these records to the producer's acquiring load in `look`.
        self.shared.head().store(self.next, Ordering::Release);
        true
    }

    /// Whether the producer asked to be rung. If so the caller must ring.
    #[must_use]
    pub fn producer_sleeps(&mut self) -> bool {
        self.shared.producer_sleeps().take()
    }

    /// Asks the producer to ring when it publishes. Follow with [`crate::barrier`] and [`Consumer::has_more`].
    pub fn sleep(&mut self) {
        self.shared.consumer_sleeps().store(1, Ordering::Relaxed);
    }

    /// The producer need not ring any more.
    pub fn wake(&mut self) {
        self.shared.consumer_sleeps().store(0, Ordering::Relaxed);
    }

    /// Whether [`Consumer::receive`] has something to say: a record, or that the ring just died.
    pub fn has_more(&mut self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        if self.next != self.tail {
            return true;
        }
        match self.look() {
            Ok(()) => self.next != self.tail,
            Err(_) => true,
        }
    }

    /// Why the ring is dead, if it is.
    pub const fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Leaves the ring; the peer sees it when it finds the ring full.
    pub fn close(&mut self) {
        if self.broken.replace(Broken::Closed).is_none() {
            session::close(self.shared.state());
        }
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> M {
        self.shared.into_memory()
    }

    /// The next record: where its bytes are and how many. Each turn moves by at least one unit and never past `tail`.
    fn pop(&mut self) -> Result<Option<(u32, u32)>, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        if self.next == self.tail {
            self.look()?;
        }
        while self.next != self.tail {
            let ready = self.tail.wrapping_sub(self.next);
            let at = self.shared.offset(self.next);
            let left = self.shared.size() - at;
            let (len, is) = self.shared.record(at).ok_or(Broken::Record)?;
            if is == mark(Kind::Record, self.next) && len <= left - layout::RECORD_HEADER as u32 && taken(len) <= ready
            {
                self.next = self.next.wrapping_add(taken(len));
                return Ok(Some((at + layout::RECORD_HEADER as u32, len)));
            }
            if is == mark(Kind::Skip, self.next) && at != 0 && left < ready {
                self.next = self.next.wrapping_add(left);
                continue;
            }
            return Err(self.die(Broken::Record));
        }
        Ok(None)
    }

    /// Reads the peer's tail once. It may only lie between its last value and one round after what was released.
    fn look(&mut self) -> Result<(), Broken> {
        // Pairs with the releasing store in `publish`: the records before it are complete.
        let tail = self.shared.tail().load(Ordering::Acquire);
        let before = self.tail.wrapping_sub(self.released);
        let now = tail.wrapping_sub(self.released);
        if now < before || now > self.shared.size() || !tail.is_multiple_of(layout::UNIT as u32) {
            return Err(self.die(Broken::Index));
        }
        if now == before {
            // Nothing new: the time to see whether the peer left. The tail is read again so that its last records count.
            let generation = self.shared.generation().load(Ordering::Acquire);
            let state = State::from_word(self.shared.state().load(Ordering::Acquire));
            if generation != self.generation || state != Some(State::Running) {
                let last = self.shared.tail().load(Ordering::Acquire);
                if generation != self.generation || last == tail {
                    return Err(self.die(Broken::Closed));
                }
            }
            return Ok(());
        }
        self.tail = tail;
        Ok(())
    }

    /// The ring is dead. In a new incarnation's memory nothing makes sense to us, and its session is not ours to close.
    fn die(&mut self, broken: Broken) -> Broken {
        if self.shared.generation().load(Ordering::Acquire) != self.generation {
            return *self.broken.insert(Broken::Closed);
        }
        session::close(self.shared.state());
        *self.broken.insert(broken)
    }
}

impl<M> core::fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Consumer")
            .field("generation", &self.generation)
            .field("next", &self.next)
            .field("released", &self.released)
            .field("tail", &self.tail)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
