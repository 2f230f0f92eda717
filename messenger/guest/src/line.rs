//! The connection to the daemon, which all clones of a guest share.
//!
//! Nobody reads for others while they can do it themselves: who waits takes the input if it is there, reads, keeps what came
//! for everybody, and leaves the input for the next one when it has what it wants. A guest with callbacks has one thread more
//! (the *pump*), which wants nothing and waits for ever, so that somebody always reads.

use crate::{
    GuestError,
    inbox::{About, Inbox},
    protocol::{Call, Done, FrameError, Frames, PAYLOAD_MOST, Request, Told, emit, parse},
};
use messenger_core::Status;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for what the daemon answers at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest frame that is believed of a daemon.
const LONGEST: usize = PAYLOAD_MOST + (16 << 20);
/// Bytes of one read.
const CHUNK: usize = 64 << 10;
/// After a write that failed, so long for the daemon's last word.
const LAST_WORD: Duration = Duration::from_millis(200);

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct Line {
    stream: UnixStream,
    /// Held while a frame is written.
    writing: Mutex<()>,
    state: Mutex<State>,
    told: Condvar,
    /// Wakes who reads when something happened that did not come in.
    nudge: OwnedFd,
}

#[derive(Debug)]
struct State {
    inbox: Inbox,
    /// `None` while somebody reads.
    input: Option<Input>,
    end: Option<End>,
    threads: bool,
}

/// What is needed to read.
#[derive(Debug)]
struct Input {
    frames: Frames,
    chunk: Box<[u8]>,
}

/// Why the connection is no more.
#[derive(Clone, Debug)]
enum End {
    CutOff(String),
    Io(ErrorKind),
    Frame(FrameError),
}

impl End {
    fn error(&self) -> GuestError {
        match self {
            End::CutOff(why) => GuestError::CutOff(why.clone()),
            End::Io(kind) => GuestError::Io((*kind).into()),
            End::Frame(error) => GuestError::Frame(*error),
        }
    }
}

impl Line {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Line> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let input = Input { frames: Frames::new(LONGEST), chunk: vec![0; CHUNK].into() };
        let state = State { inbox: Inbox::default(), input: Some(input), end: None, threads: false };
        Ok(Line {
            stream,
            writing: Mutex::new(()),
            state: Mutex::new(state),
            told: Condvar::new(),
            nudge: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
        })
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what was told, or changes it; `look` says whether it did, and then who waits looks again.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        look(&mut self.lock().inbox)
    }

    /// Changes what waiting threads look at.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state.inbox);
        if state.input.is_none() {
            // A full counter wakes as well.
            let _ = rustix::io::write(&self.nudge, &1u64.to_ne_bytes());
        }
        self.told.notify_all();
        changed
    }

    /// Makes a call and waits for its answer.
    pub(crate) fn ask(&self, about: About, request: Request, payload: &[u8]) -> Result<(Done, Vec<u8>), GuestError> {
        let number = self.begin(about, request, payload)?;
        match self.wait(Some(Instant::now() + PATIENCE), |inbox| inbox.answer(number))? {
            Some(answer) => answer.map_err(GuestError::Refused),
            None => Err(GuestError::Answer),
        }
    }

    /// Makes a call whose answer is looked for later.
    pub(crate) fn begin(&self, about: About, request: Request, payload: &[u8]) -> Result<u32, GuestError> {
        let number = self.with(|inbox| inbox.call(about));
        let written = emit(&Call { number, request }, payload).map_err(GuestError::from);
        if let Err(error) = written.and_then(|frame| self.write(&frame)) {
            self.with(|inbox| inbox.forget_call(number));
            return Err(error);
        }
        Ok(number)
    }

    /// Writes a whole frame, or ends the connection.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), GuestError> {
        let written = {
            let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            (&self.stream).write_all(bytes)
        };
        let Err(error) = written else { return Ok(()) };
        // Half a frame may be out, so nothing can follow. Why the daemon reads no more may have been told.
        let _ = self.stream.shutdown(Shutdown::Write);
        match self.wait(Some(Instant::now() + LAST_WORD), |_| None::<()>) {
            Err(told @ GuestError::CutOff(_)) => Err(told),
            _ => Err(error.into()),
        }
    }

    /// Waits until the inbox has what is wanted, but not longer than until `end`; what is there already is looked at in any
    /// case.
    pub(crate) fn wait<T>(
        &self,
        end: Option<Instant>,
        mut wanted: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Option<T>, GuestError> {
        let mut state = self.lock();
        let mut looked = false;
        loop {
            if let Some(found) = wanted(&mut state.inbox) {
                return Ok(Some(found));
            }
            if let Some(end) = &state.end {
                return Err(end.error());
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if looked && left == Some(Duration::ZERO) {
                return Ok(None);
            }
            looked = true;
            state = match (state.input.take(), left) {
                (Some(mut input), left) => {
                    drop(state);
                    let came = self.read(&mut input, left);
                    let mut state = self.lock();
                    state.input = Some(input);
                    match came {
                        Ok(told) => told.into_iter().for_each(|(told, payload)| state.take(told, payload)),
                        Err(end) => state.finish(end),
                    }
                    self.told.notify_all();
                    state
                }
                (None, None) => self.told.wait(state).unwrap_or_else(PoisonError::into_inner),
                (None, Some(left)) => self.told.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Waits for bytes and reads once: everything that is whole then.
    fn read(&self, input: &mut Input, limit: Option<Duration>) -> Result<Vec<(Told, Vec<u8>)>, End> {
        let limit = limit.map(|d| Timespec {
            tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(d.subsec_nanos()),
        });
        let mut both = [PollFd::new(&self.stream, PollFlags::IN), PollFd::new(&self.nudge, PollFlags::IN)];
        match poll(&mut both, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(End::Io(io::Error::from(e).kind())),
        }
        let [came, nudged] = both.map(|fd| !fd.revents().is_empty());
        if nudged {
            let _ = rustix::io::read(&self.nudge, &mut [0; 8]);
        }
        if !came {
            return Ok(Vec::new());
        }
        match (&self.stream).read(&mut input.chunk) {
            Ok(0) => return Err(End::Io(ErrorKind::UnexpectedEof)),
            Ok(n) => input.frames.push(input.chunk.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(End::Io(e.kind())),
        }
        let mut told = Vec::new();
        while let Some(frame) = input.frames.next_frame().map_err(End::Frame)? {
            let (value, payload) = parse(&frame, frame.len()).map_err(End::Frame)?;
            told.push((value, payload.to_vec()));
        }
        Ok(told)
    }

    /// Ends the connection for everybody.
    pub(crate) fn hang_up(&self) {
        // One that is gone already needs no end.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Starts the threads that callbacks need, if they do not run.
    pub(crate) fn start_threads(self: &Arc<Line>, work: fn(&Line)) -> Result<(), GuestError> {
        if std::mem::replace(&mut self.lock().threads, true) {
            return Ok(());
        }
        let (pump, worker) = (self.clone(), self.clone());
        // It ends with the connection; who else waits hears of that, too.
        let pump = thread::Builder::new().name("guest-pump".into()).spawn(move || {
            let _ = pump.wait(None, |_| None::<()>);
        });
        let worker = thread::Builder::new().name("guest-callbacks".into()).spawn(move || work(&worker));
        pump.and(worker).map(drop).map_err(GuestError::Io)
    }
}

impl State {
    fn take(&mut self, told: Told, payload: Vec<u8>) {
        match told {
            Told::Bye { why } => self.finish(End::CutOff(why)),
            told => self.inbox.keep(told, payload),
        }
    }

    /// The first reason counts.
    fn finish(&mut self, end: End) {
        if self.end.is_none() {
            self.inbox.end(&|| end.error());
            self.end = Some(end);
        }
    }
}

/// The answer to a call.
pub(crate) type Answered = Result<(Done, Vec<u8>), Status>;
