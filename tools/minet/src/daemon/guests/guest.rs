//! One guest: its connection, and what is its.

use messenger::protocol::{Call, FRAME_MOST, FrameError, Frames, HEAD_MOST, Told, check_greeting, emit, parse};
use messenger_core::{Ask, Outcome, PathId, Payload, PortId, TicketId, WatchId};
use mio::net::UnixStream;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{ErrorKind, Read, Write},
    net::Shutdown,
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
const CHUNK: usize = 64 << 10;

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

/// See the module's comment.
pub(super) struct Guest {
    pub(super) stream: UnixStream,
    frames: Frames,
    greeted: bool,
    came: Instant,
    output: VecDeque<Vec<u8>>,
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
        }
    }

    /// When it must have greeted or be gone, if it must.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ending.or((!self.greeted).then(|| self.came + GREETING_TIME))
    }

    /// What came next; reads once if nothing whole is there.
    pub(super) fn take(&mut self) -> Came {
        if self.ending.is_none() {
            match self.take_whole() {
                Ok(None) => {}
                Ok(Some(came)) => return came,
                Err(error) => return Came::Wrong(error),
            }
        }
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
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
        let (call, payload) = parse(&frame, HEAD_MOST)?;
        let (head, whole) = (frame.len() - payload.len(), frame.len());
        // The payload stays where it was read to.
        Ok(Some(Came::Call(call, Payload::from(frame).slice(head..whole))))
    }

    /// Queues what it is told at a time; `false` when too much waits already, or it does not read what waits.
    pub(super) fn push(&mut self, told: &Told, payload: &[u8], now: Instant) -> bool {
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
        // No payload of the core's is too long for a frame.
        let Ok(frame) = emit(told, payload) else { return true };
        self.queued += frame.len();
        self.output.push_back(frame);
        true
    }

    /// Writes what waits, as far as it goes. A broken connection shows when it is read.
    pub(super) fn flush(&mut self, now: Instant) {
        while let Some(frame) = self.output.front() {
            match self.stream.write(frame.get(self.written..).unwrap_or_default()) {
                Ok(n) => {
                    self.written += n;
                    self.moved = now;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            if self.written >= frame.len() {
                self.queued -= frame.len();
                self.written = 0;
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
        self.queued = self.output.iter().map(Vec::len).sum();
        if let Ok(frame) = emit(bye, &[]) {
            self.queued += frame.len();
            self.output.push_back(frame);
        }
        self.ending = Some(until);
        self.flush(Instant::now());
    }
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
                    match guest.take() {
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
            assert!(matches!(guest.take(), Came::End));
        }
    }

    #[test]
    fn who_does_not_greet_is_wrong() {
        let (mut guest, mut there) = pair();
        there.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(guest.take(), Came::Part));
        assert!(matches!(guest.take(), Came::Wrong(FrameError::Greeting)));
    }

    /// PROTOCOL 12.8.
    #[test]
    fn what_waits_is_bounded_and_the_last_word_is_read() {
        let (mut guest, mut there) = pair();
        let (large, start) = (vec![0; 1 << 20], Instant::now());
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
        assert!(guest.push(&ready(), &vec![0; 15 << 20], start));
        for ms in 0..100 {
            let now = start + 100 * Duration::from_millis(ms);
            assert!(guest.push(&ready(), &[], now), "{ms}");
            assert!(there.read(&mut chunk).is_ok());
        }
        let now = guest.moved + PATIENCE;
        assert!(guest.queued > BACKLOG && guest.output.len() > 100);
        while there.read(&mut chunk).is_ok() {}
        guest.flush(now);
        assert!(guest.push(&ready(), &[], now + PATIENCE));
        assert!(!guest.push(&ready(), &[], now + 2 * PATIENCE), "nothing was read since");
    }
}
