//! An I/O processor that is a process of its host: no machine, no root, no interface. What `minet iop-process` runs.
//!
//! It is what the image of a bare machine is: the same node, stack, ports and services ([`iop_node`]) on the same shared
//! memory, from the same server, with the same configuration. Its standard input is the socket of the memory that it shares
//! with its host, its standard output that of the memory shared with others of its kind; what it says goes to standard error.

use fabric::shm::{Board, BoardError, Part};
use iop::{Door, FirstPage, Visitor};
use iop_node::{
    Bell, Bus, Config, ConfigError, Duty, Ends, Machine, Neighbours, Stack, Station,
    board::{self, BELL_RING, BELL_STATE, HOST, PROCESSOR, Page, Place, State},
    bus, garbage,
    ports::requests::Fault,
};
use messenger_core::Time;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs},
};
use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    ops::Range,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest sleep.
const LONGEST: Duration = Duration::from_secs(1);
/// How long it lives without a host: time enough to start a daemon again.
const ALONE: Duration = Duration::from_secs(60);
/// Turns of the loop without work before it sleeps: another message often follows soon.
const IDLE_TURNS: u32 = 4;

/// Why there is no processor, or no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Nobody shares memory with it.
    #[error(
        "standard input is no server of shared memory: this command is started by a node (`minet run --iop-process NAME`)"
    )]
    Server(#[source] io::Error),
    /// The memory is none.
    #[error(transparent)]
    Memory(#[from] BoardError),
    /// There is no board in it.
    #[error(transparent)]
    Board(#[from] board::BoardError),
    /// It was sent no image.
    #[error(transparent)]
    Load(#[from] iop::transfer::LoadError),
    /// It cannot be what it is told to be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system refused something.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// It was found by a manager that takes it for another one.
    #[error("a manager takes it for {0}")]
    Another(String),
    /// Its host is gone.
    #[error("the host left the rings")]
    Left,
}

impl ProcessError {
    fn system(what: &'static str) -> impl Fn(io::Error) -> ProcessError {
        move |source| ProcessError::System { what, source }
    }
}

/// A party on a memory, by its number, and which of its bells.
struct PartyBell {
    visitor: Rc<RefCell<Visitor>>,
    party: i64,
    bell: u16,
}

impl Bell for PartyBell {
    fn ring(&mut self) {
        self.visitor.borrow().ring(self.party, usize::from(self.bell));
    }
}

/// The memory shared with others of its kind.
struct Shared {
    board: Board,
    visitor: Rc<RefCell<Visitor>>,
}

impl Page for Shared {
    fn read(&self, at: usize) -> u32 {
        self.board.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.board.write(at, word);
    }
}

impl Bus<Part, PartyBell> for Shared {
    fn memory(&self, place: &Place) -> Option<Part> {
        self.board.part(&range(place)).ok()
    }

    fn bell(&self, slot: u8) -> PartyBell {
        PartyBell { visitor: self.visitor.clone(), party: i64::from(slot), bell: 0 }
    }
}

fn range(place: &Place) -> Range<usize> {
    place.at..place.at.saturating_add(place.len)
}

/// The host, as long as it lives: the memory shared with it, and who gave it.
struct Host {
    board: Board,
    visitor: Rc<RefCell<Visitor>>,
}

impl Host {
    fn meet(socket: OwnedFd) -> Result<Host, ProcessError> {
        let visitor = Visitor::meet(socket).map_err(ProcessError::Server)?;
        let board = Board::open(visitor.memory().map_err(ProcessError::system("cannot copy a descriptor"))?)?;
        let visitor = Rc::new(RefCell::new(visitor));
        visitor.borrow_mut().update();
        board::set_state(&FirstPage(&board), State::Booting);
        Ok(Host { board, visitor })
    }

    fn page(&self) -> FirstPage<'_> {
        FirstPage(&self.board)
    }

    /// The configuration, and the ends of the rings.
    fn read(&self) -> Result<(Config, Ends<Part, PartyBell>), ProcessError> {
        let (layout, text) = board::read(&self.page(), self.board.memory())?;
        let part = |place: &Place| self.board.part(&range(place));
        let theirs = layout.to.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        let bell = PartyBell { visitor: self.visitor.clone(), party: i64::from(HOST), bell: BELL_RING };
        Ok((Config::parse(&text)?, Ends::new(part(&layout.from)?, theirs, bell)?))
    }

    fn ring(&self) {
        self.visitor.borrow().ring(i64::from(HOST), usize::from(BELL_STATE));
    }

    fn ring_all(&self) {
        for bell in [BELL_RING, BELL_STATE].into_iter().cycle().take(128) {
            self.visitor.borrow().ring(i64::from(HOST), usize::from(bell));
        }
    }
}

/// Runs until it is killed, or its host is gone; with a door, until no other life of its host comes for a while. A panic is told to
/// the host.
///
/// # Errors
/// Why it cannot run, or has ended.
pub fn run(door: Option<&Path>) -> Result<(), ProcessError> {
    give_up_rights().map_err(ProcessError::system("cannot give up privileges"))?;
    let door = door.map(Door::open).transpose().map_err(ProcessError::system("cannot listen for its manager"))?;
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(ProcessError::system("cannot copy a descriptor"))?;
    let mut host = Host::meet(socket)?;
    let words = keep_last_words();
    let lived = panic::catch_unwind(AssertUnwindSafe(|| live(&mut host, door.as_ref())));
    let (result, words) = match lived {
        Ok(result) => {
            let words = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            (result, words)
        }
        Err(_) => (Ok(()), words.lock().unwrap_or_else(PoisonError::into_inner).clone()),
    };
    board::set_last_words(&host.page(), &words);
    board::set_state(&host.page(), State::Panicked);
    host.ring();
    result
}

/// Takes an image from the manager at the other end of standard input, and becomes it.
///
/// # Errors
/// Why it cannot; otherwise it does not return.
pub fn load(name: &str, store: &Path, door: Option<&Path>) -> Result<(), ProcessError> {
    give_up_rights().map_err(ProcessError::system("cannot give up privileges"))?;
    let line = io::stdin().as_fd().try_clone_to_owned().map_err(ProcessError::system("cannot copy a descriptor"))?;
    let told = |have, len| {
        // The console hears it, if somebody listens.
        let _ = writeln!(io::stderr(), "image: {have} of {len} bytes are there already");
    };
    let (image, socket) = iop::transfer::load(&line, store, told)?;
    let error = Command::new(image).args([iop::PROCESS, name]).args(door).stdin(Stdio::from(socket)).exec();
    Err(ProcessError::System { what: "cannot start the image", source: error })
}

/// It needs none: all that it has was given to it.
fn give_up_rights() -> io::Result<()> {
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// What the first panic says is kept, and told on standard error.
fn keep_last_words() -> Arc<Mutex<String>> {
    let words = Arc::new(Mutex::new(String::new()));
    let kept = words.clone();
    panic::set_hook(Box::new(move |info| {
        let text = info.to_string();
        // Who would read it may be gone.
        let _ = writeln!(io::stderr(), "panic: {text}");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            *kept = text;
        }
    }));
    words
}

fn live(host: &mut Host, door: Option<&Door>) -> Result<(), ProcessError> {
    let start = Instant::now();
    let now = || Time::from_nanos(start.elapsed().as_nanos() as u64);
    let (config, ends) = host.read()?;
    let bus = io::stdout().as_fd().try_clone_to_owned().map_err(ProcessError::system("cannot copy a descriptor"))?;
    let (neighbours, mut bus) = others(bus)?.unzip();
    // Who speaks is told once; the console has the rest.
    let _ = writeln!(io::stderr(), "node {} (id {}) of fabric {} is ready", config.name, config.id, config.fabric);
    let mut station = Station::new(config, now());
    station.join(now(), ends);
    let mut duty = Duty::new(Stack::new(station, now()), neighbours, &host.page());
    host.ring();
    let machine = || Machine { kind: format!("process {}", std::process::id()), memory: memory() };
    let (mut idle, mut seed) = (0, u64::from(std::process::id()) << 20 | 1);
    let mut alone: Option<Instant> = None;
    loop {
        let turn = duty.turn(now(), &host.page(), machine);
        if turn.ring {
            host.ring();
        }
        match turn.fault {
            #[allow(clippy::panic, reason = "what was asked for")]
            Some(Fault::Panic) => panic!("somebody wanted it to"),
            Some(Fault::Spin) => loop {
                std::hint::spin_loop();
            },
            Some(Fault::Garbage) => {
                for (at, word) in garbage(&mut seed, host.board.memory()) {
                    // Whatever becomes of it: it is garbage.
                    let _ = rustix::io::pwrite(host.board.file(), &word.to_le_bytes(), at as u64);
                }
                host.ring_all();
            }
            Some(Fault::Bells) => host.ring_all(),
            Some(Fault::Broadcasts | Fault::Mute) | None => {}
        }
        if duty.is_lost() {
            alone.get_or_insert_with(Instant::now);
        }
        if alone.is_some_and(|since| door.is_none() || since.elapsed() > ALONE) {
            return Err(ProcessError::Left);
        }
        idle = if turn.worked || turn.fault.is_some() { 0 } else { idle + 1 };
        if idle < IDLE_TURNS {
            continue;
        }
        let due = duty.poll_timeout(now()).map_or(LONGEST, |at| at.since(now()).min(LONGEST));
        if due.is_zero() || !duty.arm() {
            continue;
        }
        let woken = sleep(host, bus.as_ref(), door, due, alone.is_some())?;
        if woken.left {
            alone.get_or_insert_with(Instant::now);
        }
        if let Some([socket, on_bus, console]) = door.filter(|_| woken.knocked).and_then(Door::answer) {
            // What it says from now on is heard by the new manager, if the system lets it.
            let _ = rustix::stdio::dup2_stderr(console);
            let next = Host::meet(socket)?;
            let (config, ends) = next.read()?;
            if config.id != duty.stack().station().config().id {
                return Err(ProcessError::Another(config.name.to_string()));
            }
            let (neighbours, visitor) = others(on_bus)?.unzip();
            (*host, bus, alone) = (next, visitor, None);
            duty.move_to(now(), ends, neighbours, &host.page());
            let _ = writeln!(io::stderr(), "node {} (id {}) is found again", config.name, config.id);
            host.ring();
        }
    }
}

type Met = (Neighbours<Part, PartyBell, Shared>, Rc<RefCell<Visitor>>);

/// Those that it meets without its host, if there is a memory for it.
fn others(socket: OwnedFd) -> Result<Option<Met>, ProcessError> {
    let copy = ProcessError::system("cannot copy a descriptor");
    let Ok(visitor) = Visitor::meet(socket) else { return Ok(None) };
    let board = Board::open(visitor.memory().map_err(copy)?)?;
    let layout = bus::Layout::read(&FirstPage(&board), board.memory())?;
    let visitor = Rc::new(RefCell::new(visitor));
    visitor.borrow_mut().update();
    Ok(Some((Neighbours::new(Shared { board, visitor: visitor.clone() }, layout), visitor)))
}

/// What ended a sleep.
struct Woken {
    /// The host has gone.
    left: bool,
    /// Somebody is at the door.
    knocked: bool,
}

/// Waits until somebody rings or knocks, at most so long. A host that is known to be gone is not asked again.
fn sleep(
    host: &Host,
    bus: Option<&Rc<RefCell<Visitor>>>,
    door: Option<&Door>,
    most: Duration,
    alone: bool,
) -> Result<Woken, ProcessError> {
    let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) };
    let (rung, knocked) = {
        let (visitor, bus) = (host.visitor.borrow(), bus.map(|bus| bus.borrow()));
        let own = visitor.bell(i64::from(PROCESSOR), 0);
        let on_bus = bus.as_ref().and_then(|bus| bus.bell(bus.own(), 0));
        let bells: Vec<_> = own.into_iter().chain(on_bus).collect();
        let sockets = [visitor.as_fd()].into_iter().chain(bus.as_ref().map(|bus| bus.as_fd())).filter(|_| !alone);
        let all = door.map(AsFd::as_fd).into_iter().chain(bells.iter().copied()).chain(sockets);
        let mut watched: Vec<PollFd<'_>> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut watched, Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ProcessError::system("cannot wait")(error.into())),
        }
        for bell in bells {
            // It is looked at now; one that is not rung has nothing to forget.
            let _ = rustix::io::read(bell, &mut [0u8; 8]);
        }
        let knocked = door.is_some() && watched.first().is_some_and(|fd| !fd.revents().is_empty());
        (watched.iter().any(|fd| !fd.revents().is_empty()), knocked)
    };
    if !rung || alone {
        return Ok(Woken { left: alone, knocked });
    }
    if let Some(bus) = bus {
        bus.borrow_mut().update();
    }
    Ok(Woken { left: !host.visitor.borrow_mut().update(), knocked })
}

/// Bytes of memory that are used, and that there are: all the system gives it.
fn memory() -> (usize, usize) {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = pages.split(' ').filter_map(|pages| pages.parse::<usize>().ok());
    let (all, used) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    let page = rustix::param::page_size();
    (used * page, all * page)
}
