//! The connection to the daemon, which all clones of a guest share.
//!
//! Nobody reads for others while they can do it themselves: who waits takes the input if it is there, reads, keeps what came
//! for everybody, and leaves the input for the next one when it has what it wants. A guest with callbacks has one thread more
//! (the *pump*), which wants nothing and waits for ever, so that somebody always reads.

mod shared;

use crate::{
    GuestError, Look,
    inbox::{About, Inbox},
    protocol::{Call, Done, Frame, FrameError, Frames, PAYLOAD_MOST, Request, Told, emit, emit_lent, parse},
    wait::Object,
};
use messenger_core::Status;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
    net::RecvFlags,
};
use shared::{Sharing, read_with};
use std::{
    io::{self, ErrorKind, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
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
    /// Memory for large payloads.
    sharing: Sharing,
}

#[derive(Debug)]
struct State {
    inbox: Inbox,
    /// `None` while somebody reads.
    input: Option<Input>,
    end: Option<End>,
    threads: bool,
    look: Duration,
}

/// What is needed to read.
#[derive(Debug)]
struct Input {
    look: Look,
    frames: Frames,
    chunk: Box<[u8]>,
    /// Descriptors that came, until it is told what they are.
    descriptors: Vec<OwnedFd>,
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
        let look = Look::new(Duration::ZERO);
        let input = Input { look, frames: Frames::new(LONGEST), chunk: vec![0; CHUNK].into(), descriptors: Vec::new() };
        let state =
            State { inbox: Inbox::default(), input: Some(input), end: None, threads: false, look: Duration::ZERO };
        Ok(Line {
            stream,
            writing: Mutex::new(()),
            state: Mutex::new(state),
            told: Condvar::new(),
            nudge: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            sharing: Sharing::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what was told, or changes what no thread waits for.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut state = self.lock();
        let found = look(&mut state.inbox);
        wake(state);
        found
    }

    /// As [`Line::with`], unless the connection ended.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Inbox) -> T) -> Result<T, GuestError> {
        let mut state = self.lock();
        let found = look(&mut state.inbox);
        state.end.as_ref().map_or(Ok(found), |end| Err(end.error()))
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
        wake(state);
        changed
    }

    /// Looks for what is wanted, or has the context's waker told when `object` was touched.
    pub(crate) fn poll<T>(
        &self,
        object: Object,
        context: &Context<'_>,
        wanted: impl FnOnce(&mut Inbox) -> Option<T>,
    ) -> Poll<Result<T, GuestError>> {
        let mut state = self.lock();
        let found = match (wanted(&mut state.inbox), &state.end) {
            (Some(found), _) => Poll::Ready(Ok(found)),
            (None, Some(end)) => Poll::Ready(Err(end.error())),
            (None, None) => {
                state.inbox.objects.wait(object, context.waker());
                Poll::Pending
            }
        };
        wake(state);
        found
    }

    /// Makes a call and waits for its answer.
    pub(crate) fn ask(&self, about: About, request: Request, payload: &[u8]) -> Result<(Done, Vec<u8>), GuestError> {
        if self.sharing.is_wanted(payload.len()) {
            self.share()?;
        }
        self.ask_plainly(about, request, payload)
    }

    fn ask_plainly(&self, about: About, request: Request, payload: &[u8]) -> Result<(Done, Vec<u8>), GuestError> {
        let number = self.begin(about, request, payload)?;
        match self.wait(Some(Instant::now() + PATIENCE), |inbox| inbox.answer(number))? {
            Some(answer) => answer.map_err(GuestError::Refused),
            None => {
                // A message that it brings is not to be lost.
                self.change(|inbox| inbox.abandon(number));
                Err(GuestError::Answer)
            }
        }
    }

    /// Makes a call whose answer is looked for later.
    pub(crate) fn begin(&self, about: About, request: Request, payload: &[u8]) -> Result<u32, GuestError> {
        let number = self.with(|inbox| inbox.call(about));
        let call = Call { number, request };
        if let Err(error) = self.frame(&call, payload).and_then(|frame| self.write(&frame)) {
            self.with(|inbox| inbox.forget_call(number));
            return Err(error);
        }
        Ok(number)
    }

    /// The frame of a call, its payload lent if it is large, and before it what is given back.
    fn frame(&self, call: &Call, payload: &[u8]) -> Result<Vec<u8>, GuestError> {
        let frame = match self.sharing.lend(payload) {
            // A call that is too long is not sent, and nobody would give the place back.
            Some(place) => emit_lent(call, place).inspect_err(|_| {
                let _ = self.sharing.give(place.at);
            })?,
            None => emit(call, payload)?,
        };
        let mut given = self.sharing.given()?;
        if given.is_empty() {
            return Ok(frame);
        }
        given.extend_from_slice(&frame);
        Ok(given)
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
                wake(state);
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
            let look = state.look;
            state = match (state.input.take(), left) {
                (Some(mut input), left) => {
                    drop(state);
                    if input.look.most() != look {
                        input.look = Look::new(look);
                    }
                    let came = self.read(&mut input, left);
                    let mut state = self.lock();
                    state.input = Some(input);
                    match came {
                        Ok(told) => told.into_iter().for_each(|(told, payload)| state.take(told, payload)),
                        Err(end) => state.finish(end),
                    }
                    self.told.notify_all();
                    wake(state);
                    self.lock()
                }
                (None, None) => self.told.wait(state).unwrap_or_else(PoisonError::into_inner),
                (None, Some(left)) => self.told.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// How long who waits looks before it sleeps.
    pub(crate) fn set_look(&self, most: Duration) {
        let mut state = self.lock();
        state.look = most;
    }

    /// Waits for bytes and reads once: everything that is whole then.
    fn read(&self, input: &mut Input, limit: Option<Duration>) -> Result<Vec<(Told, Vec<u8>)>, End> {
        let looks = limit.is_none_or(|limit| limit > input.look.most());
        while looks && input.look.look_again() {
            match receive(&self.stream, input, RecvFlags::DONTWAIT)? {
                0 => {}
                _ => {
                    input.look.worked();
                    return self.take_whole(input);
                }
            }
        }
        let before = Instant::now();
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
        input.look.slept(before.elapsed(), came);
        if !came {
            return Ok(Vec::new());
        }
        receive(&self.stream, input, RecvFlags::empty())?;
        self.take_whole(input)
    }

    /// Everything that is whole.
    fn take_whole(&self, input: &mut Input) -> Result<Vec<(Told, Vec<u8>)>, End> {
        let mut told = Vec::new();
        while let Some(frame) = input.frames.next_frame().map_err(End::Frame)? {
            told.push(self.told(frame, &mut input.descriptors)?);
        }
        // Nothing else may be said for a while. Who is writing now gives back before the next call.
        if self.sharing.gives_soon()
            && let Ok(_turn) = self.writing.try_lock()
        {
            let given = self.sharing.given().map_err(End::Frame)?;
            (&self.stream).write_all(&given).map_err(|error| End::Io(error.kind()))?;
        }
        Ok(told)
    }

    /// What a frame tells, with its payload.
    fn told(&self, frame: Frame, descriptors: &mut Vec<OwnedFd>) -> Result<(Told, Vec<u8>), End> {
        let (value, rest) = parse(&frame, frame.len()).map_err(End::Frame)?;
        let payload = match frame.lent(rest).map_err(End::Frame)? {
            Some(place) => self.sharing.take(place).map_err(End::Frame)?,
            None => {
                self.sharing.came(rest.len());
                rest.to_vec()
            }
        };
        match value {
            Told::Done { done: Done::Arena, .. } => {
                self.sharing.open(descriptors).map_err(|error| End::Io(error.kind()))?;
            }
            Told::Given { at } => self.sharing.give(at).map_err(End::Frame)?,
            _ => {}
        }
        Ok((value, payload))
    }

    /// Shares memory with the daemon, once; it may have none to share.
    fn share(&self) -> Result<(), GuestError> {
        let _turn = self.sharing.turn();
        if !self.sharing.begin() {
            return Ok(());
        }
        match self.ask_plainly(About::Nothing, Request::Arena, &[]) {
            Ok(_) | Err(GuestError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
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

/// Reads once; how many bytes came.
fn receive(stream: &UnixStream, input: &mut Input, flags: RecvFlags) -> Result<usize, End> {
    match read_with(stream, &mut input.chunk, &mut input.descriptors, flags) {
        Ok(0) => Err(End::Io(ErrorKind::UnexpectedEof)),
        Ok(n) => {
            input.frames.push(input.chunk.get(..n).unwrap_or_default());
            Ok(n)
        }
        Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => Ok(0),
        Err(e) => Err(End::Io(e.kind())),
    }
}

/// Wakes who is to be woken, when nothing is locked any more.
fn wake(mut state: MutexGuard<'_, State>) {
    let woken = state.inbox.objects.woken();
    drop(state);
    woken.into_iter().for_each(Waker::wake);
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
