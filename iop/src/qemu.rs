//! The launcher for a virtual machine of QEMU.

use crate::{interrupts, sys};
use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, PipeReader},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The program, looked for in the usual places.
pub const PROGRAM: &str = "qemu-system-x86_64";
/// Memory of the machine in MiB. The image uses no more than 14.
const MEMORY_MIB: u32 = 16;
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

/// A machine that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Qemu {
    child: Child,
    /// Its console has ended: it has, or is about to.
    silent: Arc<AtomicBool>,
    // QEMU takes the bells from it when it starts, and minds when it is closed.
    _server: OwnedFd,
}

/// What to launch.
pub(crate) struct Launch<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) image: &'a Path,
    pub(crate) gifts: interrupts::Gifts<'a>,
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

fn arguments(name: &str, image: &Path, bus: Option<RawFd>) -> Vec<String> {
    // What is behind a comma would be another option.
    let plain = |text: &str| text.replace(',', ",,");
    let memory = MEMORY_MIB.to_string();
    let image = image.display().to_string();
    let name = format!("minet-iop-{}", plain(name));
    let bus = bus.map(|fd| format!("socket,id=bus,fd={fd}"));
    let bus = bus.as_deref().map(|bus| ["-chardev", bus, "-device", "ivshmem-doorbell,vectors=1,chardev=bus"]);
    [
        &["-name", &name, "-accel", "tcg", "-machine", "q35", "-m", &memory, "-smp", "1"][..],
        &["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", &image],
        &["-chardev", "file,id=console,path=/dev/fd/1", "-serial", "chardev:console"],
        &["-chardev", "socket,id=board,fd=0", "-device", "ivshmem-doorbell,vectors=2,chardev=board"],
        bus.as_ref().map_or(&[], |bus| &bus[..]),
    ]
    .concat()
    .into_iter()
    .map(Into::into)
    .collect()
}

impl Qemu {
    /// Launches one. Its console and its complaints are logged line by line.
    pub(crate) fn launch(launch: Launch<'_>) -> io::Result<Qemu> {
        let (theirs, server) = interrupts::serve(&launch.gifts)?;
        let (console, output) = io::pipe()?;
        let mut command = Command::new(launch.program);
        command.args(arguments(launch.name, launch.image, launch.bus.as_ref().map(AsRawFd::as_raw_fd)));
        // The board's socket is its standard input: the one descriptor besides output that a child always has.
        command.stdin(Stdio::from(theirs)).stdout(output.try_clone()?).stderr(output);
        let child = sys::spawn_bound(&mut command, launch.bus)?;
        // The command holds copies of the descriptors; the end of the console must be the machine's end.
        drop(command);
        let (name, bell, silent) = (launch.name.to_owned(), launch.ended, Arc::new(AtomicBool::new(false)));
        let mut qemu = Qemu { child, silent: silent.clone(), _server: server };
        let thread = thread::Builder::new().name(format!("iop-{}", launch.name)).spawn(move || {
            listen(&name, console, &launch.console);
            silent.store(true, Ordering::Release);
            // A full counter has rung already.
            let _ = rustix::io::write(&bell, &1u64.to_ne_bytes());
        });
        match thread {
            Ok(_) => Ok(qemu),
            Err(error) => {
                qemu.end();
                Err(error)
            }
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        match self.silent.load(Ordering::Acquire) {
            true => self.end(),
            false => self.child.try_wait().ok().flatten(),
        }
    }

    /// Ends it; how it ended, unless that was told before.
    fn end(&mut self) -> Option<ExitStatus> {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.end();
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
    fn names_are_no_options() {
        let arguments = arguments("a,debug-threads=on", Path::new("/x/image"), Some(7));
        assert!(arguments.contains(&"socket,id=bus,fd=7".to_owned()));
        assert!(arguments.contains(&"minet-iop-a,,debug-threads=on".to_owned()));
        assert!(arguments.contains(&"/x/image".to_owned()));
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(find(Path::new("sh")).is_some_and(|p| p.is_absolute()));
        assert_eq!(find(Path::new("no-such-program-here")), None);
        assert_eq!(find(Path::new("./x")), Some("./x".into()));
    }
}
