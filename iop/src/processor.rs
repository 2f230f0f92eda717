//! One processor: its state machine, its board and what it runs on.

use crate::{
    Bus, Config, Event, Machine, Policy, State, Traffic, Transition,
    child::{self, Child, Console, Launch},
    image::{self, ImageError},
    interrupts::Gifts,
    machine::Act,
    page::FirstPage,
    qemu,
};
use fabric::shm::{self, Board, Offered, Rings};
use iop_node::{
    board::{self, Layout, Place},
    table::{self, Table},
};
use std::{
    collections::VecDeque,
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

/// What a processor runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A virtual machine of QEMU: the image is for a bare machine.
    Qemu,
    /// Nothing but this host: the image is a program for it, which is called with `iop-process NAME`.
    Process,
}

/// What a processor is made from.
#[derive(Debug)]
pub struct Spec {
    /// What it runs on.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The image it runs.
    pub image: PathBuf,
    /// The program that runs it; none for the one that its image wants. A process is its own, unless it is sent its image: then
    /// this is the program that takes it.
    pub program: Option<PathBuf>,
    /// Where a process that is sent its image keeps it: a path whose last part gets endings. None for one that is its image.
    pub store: Option<PathBuf>,
    /// Where a process listens for a manager that is started anew; none for one that ends with its manager.
    pub door: Option<PathBuf>,
    /// How many lanes the host's node has: each gets a ring towards the processor.
    pub lanes: usize,
    /// Bytes in the data area of each ring, a power of two.
    pub ring: usize,
    /// The doorbell of the lane that reads what the processor sends: the first one.
    pub doorbell: OwnedFd,
    /// How patient the manager is.
    pub policy: Policy,
}

/// Why a processor was not launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// The image is none.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There is no such program.
    #[error("{} is not installed (Debian: package {package})", program.display())]
    NoProgram {
        /// Which.
        program: PathBuf,
        /// What it is in.
        package: &'static str,
    },
    /// The shared memory cannot be made.
    #[error(transparent)]
    Memory(#[from] shm::BoardError),
    /// The board cannot be written.
    #[error(transparent)]
    Board(#[from] board::BoardError),
    /// The system is short of something.
    #[error("cannot launch {}", program.display())]
    Launch {
        /// Which program.
        program: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// What a processor wants of the node that it joins.
#[derive(Debug)]
pub enum Want {
    /// The configuration of its next life, for [`Processor::configure`].
    Configuration,
    /// To be linked over these rings, one for each lane.
    Join(Vec<Rings>),
    /// Its link, if there is one, to be closed: the rings are dead.
    Leave,
}

/// A processor.
#[derive(Debug)]
pub struct Processor {
    spec: Spec,
    machine: Machine,
    bell: OwnedFd,
    life: Option<Life>,
    wants: VecDeque<Want>,
    last_words: Option<String>,
    console: Console,
    transitions: VecDeque<Transition>,
}

/// One life of it.
#[derive(Debug)]
struct Life {
    // Ended before the memory goes.
    child: Child,
    board: Board,
    /// Its host's node knows it as a member, and the way to it.
    member: bool,
    offered: Option<Offered>,
    layout: Layout,
    bell: OwnedFd,
}

impl Processor {
    /// In reset.
    ///
    /// # Errors
    /// The system is short of descriptors.
    pub fn new(spec: Spec) -> io::Result<Processor> {
        let machine = Machine::new(spec.policy);
        let bell = shm::bell()?;
        Ok(Processor {
            spec,
            machine,
            bell,
            life: None,
            wants: VecDeque::new(),
            last_words: None,
            console: Console::default(),
            transitions: VecDeque::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// How it is, why, and how often it was launched.
    pub fn state(&self) -> (State, &'static str, u64) {
        (self.machine.state(), self.machine.reason(), self.machine.lives())
    }

    /// What others may send it.
    pub fn traffic(&self) -> Traffic {
        self.machine.traffic()
    }

    /// Why a command would do nothing now, for people; `None` if it does something, or there is nothing to do.
    pub fn refusal(&self, event: Event) -> Option<&'static str> {
        self.machine.refusal(event)
    }

    /// The next change of its state that was not told yet.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        self.transitions.pop_front()
    }

    /// The latest lines of its console, of all its lives.
    pub fn console(&self) -> Vec<String> {
        self.console.lines()
    }

    /// Tells it who else there is.
    pub fn tell_table(&self, table: &Table) {
        let Some(life) = &self.life else { return };
        table.write(&FirstPage(&life.board));
        // A full counter has rung already.
        let _ = rustix::io::write(&life.bell, &1u64.to_ne_bytes());
    }

    /// The version of the table that it acted on last in this life; 0 for none.
    pub fn table_seen(&self) -> u32 {
        self.life.as_ref().map_or(0, |life| table::seen(&FirstPage(&life.board)))
    }

    /// It says that it takes nothing new and has nothing under way.
    pub fn is_drained(&self) -> bool {
        self.life.as_ref().is_some_and(|life| board::state(&FirstPage(&life.board)) == board::State::Quiesced)
    }

    /// The process that it runs on.
    pub fn pid(&self) -> Option<u32> {
        self.life.as_ref().map(|life| life.child.pid())
    }

    /// Why it stopped last by itself.
    pub fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    /// Turns of its loop in this life.
    pub fn beats(&self) -> Option<u32> {
        self.life.as_ref().map(|life| board::beats(&FirstPage(&life.board)))
    }

    /// When [`Processor::handle_timeout`] is to be called. Times are on the caller's monotonic clock.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.machine.poll_timeout()
    }

    /// Time is up, if it is.
    pub fn handle_timeout(&mut self, now: Duration) {
        let act = self.machine.handle_timeout(now);
        self.tell();
        self.follow(act);
    }

    fn tell(&mut self) {
        while let Some(change) = self.machine.poll_transition() {
            log::info!("iop {}: {}: {}", self.spec.name, change.to, change.reason);
            self.transitions.push_back(change);
        }
    }

    /// What is wanted next of the node.
    pub fn poll(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    /// Something happened, or is wanted.
    pub fn handle(&mut self, now: Duration, event: Event) {
        let act = self.machine.handle(now, event);
        self.tell();
        self.follow(act);
        if act.join {
            self.join(now);
        }
    }

    /// Its descriptor is readable: it rang, or has ended.
    pub fn handle_bell(&mut self, now: Duration) {
        child::swallow(self.bell.as_fd());
        let Some(life) = &mut self.life else { return };
        let (ended, said) = (life.child.ended(), board::state(&FirstPage(&life.board)));
        if said == board::State::Panicked {
            let words = board::last_words(&FirstPage(&life.board));
            log::error!("iop {}: panic: {}", self.spec.name, words.escape_debug());
            self.last_words = Some(words);
            return self.handle(now, Event::Panicked);
        }
        if let Some(status) = ended {
            log::warn!("iop {}: {} ended: {status}", self.spec.name, self.program());
            return self.handle(now, Event::Ended);
        }
        match said {
            board::State::Ready => self.handle(now, Event::ImageReady),
            board::State::Joined => {
                self.handle(now, Event::ImageReady);
                self.join_if_both_know(now);
            }
            board::State::Other(_) => self.handle(now, Event::Garbage),
            board::State::Silent | board::State::Booting | board::State::Panicked | board::State::Quiesced => {}
        }
    }

    /// The host's node knows it as a member of the fabric in this life, and the way to it.
    pub fn handle_member(&mut self, now: Duration) {
        if let Some(life) = &mut self.life {
            life.member = true;
            self.join_if_both_know(now);
        }
    }

    fn join_if_both_know(&mut self, now: Duration) {
        let joined = |life: &Life| life.member && board::state(&FirstPage(&life.board)) == board::State::Joined;
        if self.life.as_ref().is_some_and(joined) {
            self.handle(now, Event::Joined);
        }
    }

    /// Launches it with a configuration, after [`Want::Configuration`]; on a memory shared with others under a number, if there is
    /// one.
    pub fn configure(&mut self, now: Duration, config: &Config, bus: Option<(&mut Bus, u8)>) {
        // It may have been held meanwhile.
        if self.machine.state() != State::Initializing {
            return;
        }
        match self.launch(config, bus) {
            Ok(life) => self.life = Some(life),
            Err(error) => {
                let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
                log::error!("iop {}: {error}{source}", self.spec.name);
                self.last_words = Some(format!("{error}{source}"));
                self.handle(now, Event::CannotLaunch);
            }
        }
    }

    fn follow(&mut self, act: Act) {
        if act.stop {
            self.life = None;
            self.wants.push_back(Want::Leave);
        }
        if act.launch {
            self.wants.push_back(Want::Configuration);
        }
    }

    fn launch(&self, config: &Config, bus: Option<(&mut Bus, u8)>) -> Result<Life, ProcessorError> {
        let image = &self.spec.image;
        let (arch, program, package) = match self.spec.kind {
            Kind::Process => {
                image::check_program(image)?;
                let loader = self.spec.program.clone().filter(|_| self.spec.store.is_some());
                (None, loader.unwrap_or_else(|| image.clone()), "")
            }
            Kind::Qemu => {
                let arch = image::check(image)?;
                let (program, package) = qemu::program(arch);
                (Some(arch), self.spec.program.clone().unwrap_or_else(|| program.into()), package)
            }
        };
        let program = child::find(&program).ok_or(ProcessorError::NoProgram { program, package })?;
        let layout = Layout::new(self.spec.lanes, shm::ring_memory(self.spec.ring));
        let board = Board::new(layout.memory())?;
        let offered = board.offer(&layout.to.iter().map(range).collect::<Vec<_>>())?;
        board::write(&FirstPage(&board), &layout, &config.emit())?;
        let launch = || -> io::Result<(Child, OwnedFd)> {
            let bell = shm::bell()?;
            let gifts = Gifts {
                memory: board.file(),
                host: [self.spec.doorbell.as_fd(), self.bell.as_fd()],
                machine: bell.as_fd(),
            };
            let ended = self.bell.try_clone()?;
            let (name, image) = (&*self.spec.name, &*self.spec.image);
            let (console, bus) = (self.console.clone(), bus.map(|(bus, slot)| bus.join(slot)).transpose()?);
            let (store, door, program) = (self.spec.store.as_deref(), self.spec.door.as_deref(), &*program);
            let child = Child::launch(Launch { store, door, arch, name, program, image, gifts, bus, console, ended })?;
            Ok((child, bell))
        };
        let (child, bell) = launch().map_err(|source| ProcessorError::Launch { program: program.clone(), source })?;
        Ok(Life { child, board, member: false, offered: Some(offered), layout, bell })
    }

    /// What runs it, for people.
    fn program(&self) -> String {
        match (self.spec.kind, &self.spec.program) {
            (Kind::Qemu, Some(program)) => program.display().to_string(),
            (Kind::Qemu, None) => "QEMU".into(),
            (Kind::Process, _) => self.spec.image.display().to_string(),
        }
    }

    fn join(&mut self, now: Duration) {
        let Some(life) = &mut self.life else { return };
        let Some(offered) = life.offered.take() else { return };
        let joined = life
            .bell
            .try_clone()
            .map_err(shm::BoardError::Io)
            .and_then(|bell| life.board.join(offered, &range(&life.layout.from), bell));
        match joined {
            Ok(rings) => self.wants.push_back(Want::Join(rings)),
            Err(error) => {
                log::warn!("iop {}: {error}", self.spec.name);
                self.handle(now, Event::Garbage);
            }
        }
    }
}

/// Readable when [`Processor::handle_bell`] is to be called; the same in all lives.
impl AsFd for Processor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

fn range(place: &Place) -> Range<usize> {
    place.at..place.at + place.len
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn processor(image: &str, program: &str) -> Processor {
        Processor::new(Spec {
            kind: Kind::Qemu,
            name: "io1".into(),
            image: image.into(),
            program: Some(program.into()),
            store: None,
            door: None,
            lanes: 1,
            ring: 1 << 16,
            doorbell: shm::bell().unwrap(),
            policy: Policy::default(),
        })
        .unwrap()
    }

    fn config() -> Config {
        Config::parse(
            "id 9\nname io1\nfabric f\nsegment lan\nincarnation 1\nversion 1\nseed 1\ninterval_ms 500\nmiss_limit 4\n\
             mtu 1500\naddress 10.77.0.9/16\n",
        )
        .unwrap()
    }

    #[test]
    fn what_cannot_be_launched_is_said_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, b"no image").unwrap();
        let mut p = processor(image.to_str().unwrap(), "no-such-program");
        p.handle(Duration::ZERO, Event::Boot);
        assert!(matches!(p.poll(), Some(Want::Configuration)));
        p.configure(Duration::ZERO, &config(), None);
        assert_eq!(p.state().0, State::Failed);
        assert!(p.last_words().unwrap().contains("no 64-bit ELF program"));
        assert!(matches!(p.poll(), Some(Want::Leave)));
        p.handle_timeout(p.poll_timeout().unwrap());
        assert_eq!((p.state().0, p.state().2), (State::Initializing, 2));
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, image::tests::image()).unwrap();
        let mut p = processor(image.to_str().unwrap(), "no-such-program");
        p.handle(Duration::ZERO, Event::Boot);
        p.configure(Duration::ZERO, &config(), None);
        assert_eq!(p.state().0, State::Failed);
        assert_eq!(p.last_words(), Some("no-such-program is not installed (Debian: package qemu-system-x86)"));
    }

    /// A process is its image: one that ends at once is a fault, one for nobody is told.
    #[test]
    fn a_process_that_ends_at_once_is_a_fault() {
        let mut p = processor("/bin/false", "no-such-program");
        p.spec.kind = Kind::Process;
        p.handle(Duration::ZERO, Event::Boot);
        assert!(matches!(p.poll(), Some(Want::Configuration)));
        p.configure(Duration::ZERO, &config(), None);
        assert!(p.pid().is_some());
        until_it_ends(&mut p);
        assert_eq!((p.state().0, p.pid()), (State::Failed, None));
        p.spec.image = "/etc/passwd".into();
        p.handle_timeout(p.poll_timeout().unwrap());
        p.configure(Duration::ZERO, &config(), None);
        assert!(p.last_words().unwrap().contains("no 64-bit ELF program"));
    }

    /// The bell is rung by the thread that reads the console; the process may be a moment behind its console.
    fn until_it_ends(p: &mut Processor) {
        for _ in 0..100 {
            let mut fds = [rustix::event::PollFd::new(&p.bell, rustix::event::PollFlags::IN)];
            let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            rustix::event::poll(&mut fds, Some(&limit)).unwrap();
            p.handle_bell(Duration::ZERO);
            if p.state().0 != State::Initializing {
                break;
            }
        }
    }

    /// A program that is no QEMU ends at once: that is noticed by its console's end.
    #[test]
    fn a_program_that_ends_at_once_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::write(&image, image::tests::image()).unwrap();
        let mut p = processor(image.to_str().unwrap(), "/bin/false");
        p.handle(Duration::ZERO, Event::Boot);
        assert!(matches!(p.poll(), Some(Want::Configuration)));
        p.configure(Duration::ZERO, &config(), None);
        assert!(p.pid().is_some());
        until_it_ends(&mut p);
        assert_eq!((p.state().0, p.pid()), (State::Failed, None));
    }
}
