//! One guest: its connection, and what is its.

use super::arena::Arena;
use arrayvec::ArrayVec;
use messenger::protocol::{
    Call, Done, FRAME_MOST, FrameError, Frames, HEAD_MOST, Told, check_greeting, emit, emit_gathered, emit_lent, parse,
};
use messenger_core::{Ask, Outcome, PathId, Payload, PortId, TicketId, WatchId};
use mio::net::UnixStream;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem::MaybeUninit,
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

/// Bytes that may wait for a guest before it has to read.
const BACKLOG: usize = 4 << 20;
/// Bytes that may wait for one that reads: the longest frame, and as much again.
const BACKLOG_MOST: usize = 2 * FRAME_MOST;
/// How long a guest with more than a backlog may read nothing of it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection may take to greet.
pub(super) const GREETING_TIME: Duration = Duration::from_secs(5);
/// Bytes of one read.
pub(super) const CHUNK: usize = 64 << 10;
/// Frames of one write.
const FRAMES: usize = 64;

/// What came from a guest.
pub(super) enum Came {
    /// A call with its payload.
    Call(Call, Payload),
    /// Its greeting.
    Greeting,
    /// Part of something.
    Part,
    /// Nothing more for now.
    Nothing,
    /// What is not to come.
    Wrong(FrameError),
    /// It ended.
    End,
}

/// A frame that waits for its guest.
struct Waiting {
    bytes: Vec<u8>,
    /// They go with its first byte.
    descriptors: Option<[OwnedFd; 2]>,
}

/// See the module's comment.
pub(super) struct Guest {
    pub(super) stream: UnixStream,
    frames: Frames,
    greeted: bool,
    came: Instant,
    output: VecDeque<Waiting>,
    queued: usize,
    /// Bytes of the first one that went out.
    written: usize,
    /// When something of what waits went out last, or began to wait.
    moved: Instant,
    /// It was told to go and may read until then.
    pub(super) ending: Option<Instant>,
    pub(super) ports: BTreeSet<PortId>,
    pub(super) tickets: BTreeMap<u64, TicketId>,
    pub(super) watches: BTreeMap<u64, WatchId>,
    /// Those that last.
    pub(super) paths: BTreeMap<u64, PathId>,
    /// Requests that it took and did not answer.
    pub(super) asks: BTreeMap<u64, Ask>,
    pub(super) next_ask: u64,
    /// Tickets that ended without all receipts, the oldest first.
    pub(super) ended: VecDeque<Outcome>,
    /// Memory for large payloads.
    pub(super) arena: Option<Arena>,
    /// For the guest, with the answer that says so.
    pub(super) descriptors: Option<[OwnedFd; 2]>,
}

impl Guest {
    pub(super) fn new(stream: UnixStream) -> Guest {
        Guest {
            stream,
            frames: Frames::new(FRAME_MOST),
            greeted: false,
            came: Instant::now(),
            output: VecDeque::new(),
            queued: 0,
            written: 0,
            moved: Instant::now(),
            ending: None,
            ports: BTreeSet::new(),
            tickets: BTreeMap::new(),
            watches: BTreeMap::new(),
            paths: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            ended: VecDeque::new(),
            arena: None,
            descriptors: None,
        }
    }

    /// When it must have greeted or be gone, if it must.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ending.or((!self.greeted).then(|| self.came + GREETING_TIME))
    }

    /// What came next; reads once if nothing whole is there, by way of `chunk`, which is not empty.
    pub(super) fn take(&mut self, chunk: &mut [u8]) -> Came {
        if self.ending.is_none() {
            match self.take_whole() {
                Ok(None) => {}
                Ok(Some(came)) => return came,
                Err(error) => return Came::Wrong(error),
            }
        }
        match self.stream.read(chunk) {
            Ok(0) => Came::End,
            // Who was told to go says nothing any more.
            Ok(_) if self.ending.is_some() => Came::Part,
            Ok(n) => {
                self.frames.push(chunk.get(..n).unwrap_or_default());
                Came::Part
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Came::Nothing,
            Err(e) if e.kind() == ErrorKind::Interrupted => Came::Part,
            Err(_) => Came::End,
        }
    }

    fn take_whole(&mut self) -> Result<Option<Came>, FrameError> {
        if !self.greeted {
            let Some(greeting) = self.frames.take() else { return Ok(None) };
            check_greeting(greeting)?;
            self.greeted = true;
            return Ok(Some(Came::Greeting));
        }
        let Some(frame) = self.frames.next_frame()? else { return Ok(None) };
        let (call, rest) = parse(&frame, HEAD_MOST)?;
        let (head, whole) = (frame.len() - rest.len(), frame.len());
        let payload = match frame.lent(rest)? {
            Some(place) => self.arena.as_mut().ok_or(FrameError::Place)?.borrow(place)?,
            None if head == whole => Payload::EMPTY,
            // A large head is not kept for it.
            None if head > whole / 2 => Payload::from(rest),
            // The payload stays where it was read to.
            None => Payload::from(frame.into_bytes()).slice(head..whole),
        };
        Ok(Some(Came::Call(call, payload)))
    }

    /// Queues what it is told at a time; `false` when too much waits already, or it does not read what waits.
    pub(super) fn push(&mut self, told: &Told, payload: &Payload, now: Instant) -> bool {
        if self.ending.is_some() {
            return true;
        }
        if self.queued > BACKLOG {
            // It may read and not have been asked to for a while.
            self.flush(now);
            if self.queued > BACKLOG_MOST || self.queued > BACKLOG && now.duration_since(self.moved) > PATIENCE {
                return false;
            }
        }
        if self.output.is_empty() {
            self.moved = now;
        }
        let place = self.arena.as_mut().and_then(|arena| arena.lend(payload));
        let frame = match place {
            Some(place) => emit_lent(told, place),
            None => emit_gathered(told, |frame| payload.copy_to(frame)),
        };
        // No payload of the core's is too long for a frame.
        let Ok(bytes) = frame else { return true };
        let shares = matches!(told, Told::Done { done: Done::Arena, .. });
        self.queued += bytes.len();
        self.output.push_back(Waiting { bytes, descriptors: self.descriptors.take_if(|_| shares) });
        true
    }

    /// Tells which of the places that it lent it has back.
    pub(super) fn give_places(&mut self, now: Instant) {
        for at in self.arena.as_mut().map(Arena::owed).unwrap_or_default() {
            // If it reads too little, that is told when more is.
            self.push(&Told::Given { at }, &Payload::EMPTY, now);
        }
    }

    /// Writes what waits, as far as it goes. A broken connection shows when it is read.
    pub(super) fn flush(&mut self, now: Instant) {
        while let Some(first) = self.output.front() {
            let written = match first.descriptors.as_ref() {
                Some(descriptors) => {
                    send(&self.stream, first.bytes.get(self.written..).unwrap_or_default(), descriptors)
                }
                None => write(&mut self.stream, &self.output, self.written),
            };
            match written {
                Ok(n) => {
                    self.written += n;
                    self.moved = now;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            if let Some(first) = self.output.front_mut() {
                first.descriptors = None;
            }
            while let Some(first) = self.output.front().filter(|first| self.written >= first.bytes.len()) {
                self.queued -= first.bytes.len();
                self.written -= first.bytes.len();
                self.output.pop_front();
            }
        }
        if self.ending.is_some() {
            // Nothing follows the last word. One that is gone does not mind.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// Tells it to go, instead of everything that waits and was not begun.
    pub(super) fn end(&mut self, bye: &Told, until: Instant) {
        self.output.truncate(usize::from(self.written > 0));
        self.queued = self.output.iter().map(|waiting| waiting.bytes.len()).sum();
        if let Ok(bytes) = emit(bye, &[]) {
            self.queued += bytes.len();
            self.output.push_back(Waiting { bytes, descriptors: None });
        }
        self.ending = Some(until);
        self.flush(Instant::now());
    }
}

/// Writes frames of the front that go without descriptors, as many as there are; of the first one `written` bytes are out.
fn write(stream: &mut UnixStream, output: &VecDeque<Waiting>, written: usize) -> io::Result<usize> {
    let mut slices = ArrayVec::<IoSlice<'_>, FRAMES>::new();
    let mut skip = written;
    for frame in output.iter().take(FRAMES).take_while(|frame| frame.descriptors.is_none()) {
        slices.push(IoSlice::new(frame.bytes.get(skip..).unwrap_or_default()));
        skip = 0;
    }
    stream.write_vectored(&slices)
}

/// Writes bytes, and descriptors with the first one.
fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd; 2]) -> io::Result<usize> {
    let both = descriptors.each_ref().map(OwnedFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&both));
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use messenger::protocol::{Request, greeting};
    use std::os::unix::net::UnixStream as Std;

    fn pair() -> (Guest, Std) {
        let (here, there) = Std::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        (Guest::new(UnixStream::from_std(here)), there)
    }

    fn ready() -> Told {
        Told::Ready { port: PortId::NODE }
    }

    #[test]
    fn a_guest_greets_and_calls_in_pieces_of_any_length() {
        let call = Call { number: 3, request: Request::Attach { name: "x".into() } };
        let bytes = [&greeting()[..], &emit(&call, b"payload").unwrap()].concat();
        for length in [1, 3, 7, 1000] {
            let (mut guest, mut there) = pair();
            let (mut greetings, mut calls) = (0, Vec::new());
            for piece in bytes.chunks(length) {
                there.write_all(piece).unwrap();
                loop {
                    match guest.take(&mut [0; CHUNK]) {
                        Came::Greeting => greetings += 1,
                        Came::Call(call, payload) => calls.push((call, payload.to_vec())),
                        Came::Part => {}
                        Came::Nothing => break,
                        Came::Wrong(error) => panic!("{error}"),
                        Came::End => panic!("end"),
                    }
                }
            }
            assert_eq!((greetings, &calls[..]), (1, &[(call.clone(), b"payload".to_vec())][..]));
            drop(there);
            assert!(matches!(guest.take(&mut [0; CHUNK]), Came::End));
        }
    }

    #[test]
    fn who_does_not_greet_is_wrong() {
        let (mut guest, mut there) = pair();
        there.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(guest.take(&mut [0; CHUNK]), Came::Part));
        assert!(matches!(guest.take(&mut [0; CHUNK]), Came::Wrong(FrameError::Greeting)));
    }

    /// PROTOCOL 12.8.
    #[test]
    fn what_waits_is_bounded_and_the_last_word_is_read() {
        let (mut guest, mut there) = pair();
        let (large, start) = (Payload::from(vec![0; 1 << 20]), Instant::now());
        let taken = (0..100).take_while(|_| guest.push(&ready(), &large, start)).count();
        assert!((32..36).contains(&taken) && guest.queued <= BACKLOG_MOST + large.len() + 100, "{taken}");
        guest.flush(start);
        guest.end(&Told::Bye { why: "slow".into() }, Instant::now());
        // What was begun ends; then comes the last word, and nothing else.
        let (mut frames, mut told) = (Frames::new(FRAME_MOST), Vec::new());
        let mut chunk = vec![0; CHUNK];
        while let Ok(n @ 1..) = there.read(&mut chunk) {
            frames.push(&chunk[..n]);
            while let Some(frame) = frames.next_frame().unwrap() {
                told.push(parse::<Told>(&frame, HEAD_MOST).unwrap().0);
            }
            guest.flush(start);
        }
        assert!(told.len() < taken, "{}", told.len());
        assert_eq!(told.last(), Some(&Told::Bye { why: "slow".into() }));
    }

    /// One frame of 16 MiB is more than a backlog: who reads it, however slowly, is told what comes meanwhile; who reads
    /// nothing for a second is not.
    #[test]
    fn a_guest_that_reads_a_large_frame_slowly_stays() {
        let (mut guest, mut there) = pair();
        let start = Instant::now();
        let mut chunk = vec![0; CHUNK];
        assert!(guest.push(&ready(), &vec![0; 15 << 20].into(), start));
        for ms in 0..100 {
            let now = start + 100 * Duration::from_millis(ms);
            assert!(guest.push(&ready(), &Payload::EMPTY, now), "{ms}");
            assert!(there.read(&mut chunk).is_ok());
        }
        let now = guest.moved + PATIENCE;
        assert!(guest.queued > BACKLOG && guest.output.len() > 100);
        while there.read(&mut chunk).is_ok() {}
        guest.flush(now);
        assert!(guest.push(&ready(), &Payload::EMPTY, now + PATIENCE));
        assert!(!guest.push(&ready(), &Payload::EMPTY, now + 2 * PATIENCE), "nothing was read since");
    }
}
