//! The process that a processor runs on, or is: started, listened to, ended with its handle.

use crate::{
    door::{self, Found},
    image::Arch,
    interrupts, qemu, sys, transfer,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::{
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What a process is told that it is to be, in front of its name.
pub const PROCESS: &str = "iop-process";
/// The same of one that is sent its image first; behind its name is where to keep it.
pub const LOADER: &str = "iop-load";
/// The longest line of the console that is logged, in bytes.
const LINE_MOST: usize = 1024;
/// Lines of the console that are kept.
const LINES_MOST: usize = 128;

/// The latest lines of a console, kept over all lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Console(Arc<Mutex<VecDeque<String>>>);

impl Console {
    fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MOST {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// All that are kept, the latest last.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Whose child it is.
#[derive(Debug)]
enum Body {
    /// This process's.
    Own(process::Child),
    /// A former manager's.
    Found(Found),
}

/// A process that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Child {
    body: Body,
    /// Its console has ended: it has, or is about to.
    silent: Arc<AtomicBool>,
    /// Taken away with it.
    door: Option<PathBuf>,
    // It takes the bells from it when it starts, and minds when it is closed.
    _server: OwnedFd,
}

/// What to launch.
pub(crate) struct Launch<'a> {
    /// The machine it is; none for a process.
    pub(crate) arch: Option<Arch>,
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) image: &'a Path,
    /// Where a process that is sent its image keeps it; none for one that is its image.
    pub(crate) store: Option<&'a Path>,
    pub(crate) gifts: interrupts::Gifts<'a>,
    /// Where a process listens for a manager that is started anew.
    pub(crate) door: Option<&'a Path>,
    /// The socket of the memory that it shares with others of its kind.
    pub(crate) bus: Option<OwnedFd>,
    /// Where the lines of its console go, beside the log.
    pub(crate) console: Console,
    /// Rung when the machine has ended.
    pub(crate) ended: OwnedFd,
}

/// Where a program of the path's name lies.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// A process that lived on while its manager was gone, if there is one. It is given what a new one would be.
fn find_again(launch: &Launch<'_>, theirs: &OwnedFd, output: &PipeWriter) -> io::Result<Option<Found>> {
    let (None, Some(door), Some(bus)) = (launch.arch, launch.door, &launch.bus) else { return Ok(None) };
    door::knock(door, [theirs.as_fd(), bus.as_fd(), output.as_fd()])
}

/// Starts a process. `theirs` is its socket of the board, `output` its console.
fn start(launch: &Launch<'_>, theirs: OwnedFd, output: PipeWriter) -> io::Result<process::Child> {
    let bus = launch.bus.as_ref().map(OwnedFd::try_clone).transpose()?;
    // The board's socket is its standard input: the one descriptor besides output that a child always has.
    let mut command = Command::new(launch.program);
    command.stderr(output.try_clone()?);
    let mut line = None;
    match launch.store {
        None => drop(command.stdin(Stdio::from(theirs))),
        Some(_) => {
            let (ours, end) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
            command.stdin(Stdio::from(end));
            line = Some((ours, theirs));
        }
    }
    let keep = match (launch.arch, bus) {
        (Some(arch), bus) => {
            command.args(qemu::arguments(arch, launch.name, launch.image, bus.as_ref().map(AsRawFd::as_raw_fd)));
            command.stdout(output);
            bus
        }
        // The other socket is its standard output; it speaks on standard error.
        (None, bus) => {
            match launch.store {
                None => command.args([PROCESS, launch.name]).args(launch.door),
                Some(store) => command.args([LOADER, launch.name]).arg(store).args(launch.door),
            };
            command.stdout(bus.map_or(Stdio::null(), Stdio::from));
            drop(output);
            None
        }
    };
    // One that can be found again lives on without this manager.
    let process = sys::spawn(&mut command, keep, launch.door.is_none())?;
    // The command holds copies of the descriptors; the end of the console must be the machine's end.
    drop(command);
    if let Some((line, socket)) = line {
        let (name, image) = (launch.name.to_owned(), launch.image.to_owned());
        thread::Builder::new().name(format!("iop-{name}-image")).spawn(move || {
            if let Err(error) = transfer::send(&line, &image, &socket) {
                log::warn!("iop {name}: its image {} was not sent: {error}", image.display());
            }
        })?;
    }
    Ok(process)
}

impl Child {
    /// Launches one, or finds one that lived on. Its console and its complaints are logged line by line.
    pub(crate) fn launch(launch: Launch<'_>) -> io::Result<Child> {
        let (theirs, server) = interrupts::serve(&launch.gifts)?;
        let (console, output) = io::pipe()?;
        let body = match find_again(&launch, &theirs, &output)? {
            Some(found) => {
                log::info!("iop {}: process {} lived on and is found again", launch.name, found.id());
                Body::Found(found)
            }
            None => Body::Own(start(&launch, theirs, output)?),
        };
        let (name, bell, silent) = (launch.name.to_owned(), launch.ended, Arc::new(AtomicBool::new(false)));
        let door = launch.door.map(Path::to_owned);
        let mut child = Child { body, silent: silent.clone(), door, _server: server };
        let thread = thread::Builder::new().name(format!("iop-{}", launch.name)).spawn(move || {
            listen(&name, console, &launch.console);
            silent.store(true, Ordering::Release);
            // A full counter has rung already.
            let _ = rustix::io::write(&bell, &1u64.to_ne_bytes());
        });
        match thread {
            Ok(_) => Ok(child),
            Err(error) => {
                child.end();
                Err(error)
            }
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        match &self.body {
            Body::Own(process) => process.id(),
            Body::Found(found) => found.id(),
        }
    }

    /// How it ended, for people, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        if self.silent.load(Ordering::Acquire) {
            return self.end();
        }
        match &mut self.body {
            Body::Own(process) => process.try_wait().ok().flatten().map(|status| status.to_string()),
            Body::Found(found) => found.has_ended().then(|| "it was another one's child".into()),
        }
    }

    /// Ends it; how it ended, unless that was told before.
    fn end(&mut self) -> Option<String> {
        match &mut self.body {
            Body::Own(process) => {
                // It may have ended already.
                let _ = process.kill();
                process.wait().ok().map(|status| status.to_string())
            }
            Body::Found(found) => {
                found.end();
                Some("it was another one's child".into())
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
        if let Some(door) = &self.door {
            // It may not have opened it.
            let _ = fs::remove_file(door);
        }
    }
}

/// Logs the console until its end.
fn listen(name: &str, console: PipeReader, lines: &Console) {
    let mut console = BufReader::new(console);
    let mut line = Vec::new();
    loop {
        line.clear();
        match io::Read::take(&mut console, LINE_MOST as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line).trim_end().escape_debug().to_string();
                log::info!("iop {name}: {line}");
                lines.add(line);
            }
        }
    }
}

/// Whether a descriptor is readable is what its owner waits for; this forgets it.
pub(crate) fn swallow(bell: BorrowedFd<'_>) {
    let _ = rustix::io::read(bell, &mut [0u8; 8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_or_not() {
        assert!(find(Path::new("sh")).is_some_and(|p| p.is_absolute()));
        assert_eq!(find(Path::new("no-such-program-here")), None);
        assert_eq!(find(Path::new("./x")), Some("./x".into()));
    }
}
