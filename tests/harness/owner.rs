//! Who owns what: one directory and one name prefix a process, removed by its owner or by the next process.
//!
//! Whatever ends the process, nothing of it stays: it removes what it made itself, also at a signal; a guard
//! does it when it is killed; and whoever starts next does it, should the guard be dead too.
//!
//! ```text
//! /run/minet-tests                held (flock) while a process starts or ends; gone when nobody uses it
//! /run/minet-tests/mn<pid>/alive  held (flock) while the process lives; the kernel lets go when it dies
//! /run/minet-tests/mn<pid>/<n>/   the n-th net: configurations, logs, run-time directories
//! mn<pid>-<n>-<name>              a namespace of that net
//! ```

use crate::{Error, Netns, Result, children, guard, minet_binary, netns, process};
use rustix::fs::{FlockOperation, flock};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag,
    iterator::Signals,
};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

const ROOT: &str = "/run/minet-tests";
const ALIVE: &str = "alive";

/// Those that end a process.
const SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Held while a process or namespace is made; taken for ever by the last clean-up.
static GATE: Mutex<()> = Mutex::new(());

/// A signal came: nothing new is begun, only the clean-up still has to do. Set by the handler itself, so before anything that
/// follows from the same signal's effect on a child is seen.
static ENDING: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// What must not be cut short now.
static AT_WORK: Mutex<Option<String>> = Mutex::new(None);

/// Held by a [`Net`]: tests that watch times do not run beside each other.
static TURN: Mutex<()> = Mutex::new(());

/// A set of namespaces and a directory that go together. There is one at a time in a process; another thread's waits,
/// and a second one of the same thread would wait for ever.
pub struct Net {
    prefix: String,
    dir: PathBuf,
    minet: Option<PathBuf>,
    _owner: Owner,
    _turn: MutexGuard<'static, ()>,
}

/// What says to other processes that this one lives.
struct Owner {
    _alive: File,
}

impl Net {
    /// A new net without namespaces.
    ///
    /// # Errors
    /// Not root, or `/run` cannot be written.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        clean_up_on_signals()?;
        let owner = Owner::start()?;
        guard::start(ROOT, &own_name())?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = own_dir().join(number.to_string());
        make_dir(&dir)?;
        Ok(Self { prefix: format!("{}-{number}-", own_name()), dir, minet: None, _owner: owner, _turn: turn })
    }

    /// A new net whose nodes run this binary.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn with_binary(minet: PathBuf) -> Result<Self> {
        let mut net = Self::new()?;
        net.minet = Some(minet);
        Ok(net)
    }

    /// The command `minet` for its nodes.
    ///
    /// # Errors
    /// As [`minet_binary`].
    pub fn minet(&self) -> Result<PathBuf> {
        self.minet.clone().map_or_else(minet_binary, Ok)
    }

    /// A new namespace.
    ///
    /// # Errors
    /// The system refuses.
    pub fn space(&self, name: &str) -> Result<Netns> {
        Netns::add(format!("{}{name}", self.prefix))
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory in [`Net::dir`], made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn subdir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        make_dir(&dir)?;
        Ok(dir)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _gate = hold();
        netns::remove_all(&self.prefix);
        // A test that fails keeps its logs until the process ends: they are in its message already.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Removes what processes that are dead left behind. [`Net::new`] does it too.
///
/// # Errors
/// Not root, or `/run` cannot be written.
pub fn clean_leftovers() -> Result<()> {
    let _alone = lock_root()?;
    sweep_dead()?;
    // Not while somebody has something in it.
    let _ = fs::remove_dir(ROOT);
    Ok(())
}

/// Runs something that must not be cut short by a signal (a package installation): clean-up waits for it, and says so.
/// Once a signal came it is not begun any more.
pub fn undisturbed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let gate = hold();
    *at_work() = Some(what.to_owned());
    let done = work();
    *at_work() = None;
    drop(gate);
    // A signal that came meanwhile ends the process; nothing is begun, and no other end comes before it.
    drop(hold());
    done
}

/// To be called before a process ends by itself: where a signal came it does not come back, for the clean-up ends the process.
pub fn leave_the_end_to_signals() {
    drop(hold());
}

/// What this process left behind, a line each, as [`left_by`], and the children it still has.
///
/// # Errors
/// `/proc` cannot be read.
pub fn left_behind() -> Result<Vec<String>> {
    let mut left = left_by(std::process::id())?;
    left.extend(children()?.into_iter().map(|child| format!("child {child}")));
    Ok(left)
}

/// What a process that uses the harness left behind, a line each: namespaces, its directory, processes that it or those
/// have started. Nothing, when all of its nets are gone.
///
/// # Errors
/// `/proc` cannot be read.
pub fn left_by(pid: u32) -> Result<Vec<String>> {
    let owner = name_of(pid);
    let spaces = netns::list()?.into_iter().filter(|name| owner_of(name).as_ref() == Some(&owner));
    let mut left: Vec<String> = spaces.map(|name| format!("namespace {name}")).collect();
    let dir = Path::new(ROOT).join(&owner);
    left.extend(dir.exists().then(|| format!("directory {}", dir.display())));
    left.extend(process::descendants(&owner)?.into_iter().map(|process| format!("process {process}")));
    Ok(left)
}

/// Nothing is made while the last clean-up runs.
pub(crate) fn hold() -> MutexGuard<'static, ()> {
    let gate = lock_gate();
    if ENDING.load(Ordering::Relaxed) {
        // The clean-up wants it, and ends the process.
        drop(gate);
        loop {
            thread::park();
        }
    }
    gate
}

fn lock_gate() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_work() -> MutexGuard<'static, Option<String>> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    fn start() -> Result<Self> {
        let _alone = lock_root()?;
        sweep_dead()?;
        let dir = own_dir();
        make_dir(&dir)?;
        let alive = dir.join(ALIVE);
        let file = File::options().create(true).truncate(false).write(true).open(&alive);
        let file = file.map_err(Error::io(format!("open {}", alive.display())))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| Error::io(format!("own {}", dir.display()))(errno.into()))?;
        Ok(Self { _alive: file })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let alone = lock_root();
        let _ = fs::remove_dir_all(own_dir());
        if alone.is_ok() {
            // Not while another process has something in it.
            let _ = fs::remove_dir(ROOT);
        }
    }
}

/// How this process calls what it makes.
pub(crate) fn own_name() -> String {
    name_of(std::process::id())
}

fn name_of(pid: u32) -> String {
    format!("mn{pid}")
}

fn own_dir() -> PathBuf {
    Path::new(ROOT).join(own_name())
}

/// Alone with [`ROOT`], which exists then.
fn lock_root() -> Result<File> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::unexpected("network namespaces need root: run this as root"));
    }
    let what = || format!("lock {ROOT}");
    loop {
        make_dir(Path::new(ROOT))?;
        let dir = File::open(ROOT).map_err(Error::io(what()))?;
        flock(&dir, FlockOperation::LockExclusive).map_err(|errno| Error::io(what())(errno.into()))?;
        // Who held it before may have removed it, and another may have made it again.
        let held = dir.metadata().map_err(Error::io(what()))?.ino();
        if fs::metadata(ROOT).is_ok_and(|now| now.ino() == held) {
            return Ok(dir);
        }
    }
}

/// For every owner on disk or in the name of a namespace whose lock nobody holds: its namespaces, then its directory.
fn sweep_dead() -> Result<()> {
    let mut owners: Vec<String> = netns::list()?.iter().filter_map(|name| owner_of(name)).collect();
    let dirs = fs::read_dir(ROOT).map_err(Error::io(format!("read {ROOT}")))?;
    owners
        .extend(dirs.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_owner(name)));
    owners.sort_unstable();
    owners.dedup();
    for name in owners {
        let dir = Path::new(ROOT).join(&name);
        let held = File::open(dir.join(ALIVE))
            .is_ok_and(|alive| flock(&alive, FlockOperation::NonBlockingLockExclusive).is_err());
        if !held {
            netns::remove_all(&format!("{name}-"));
            let _ = fs::remove_dir_all(&dir);
        }
    }
    Ok(())
}

fn owner_of(namespace: &str) -> Option<String> {
    namespace.split_once('-').map(|(owner, _)| owner.to_owned()).filter(|owner| is_owner(owner))
}

fn is_owner(name: &str) -> bool {
    name.strip_prefix("mn").is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
}

/// From now on a signal that ends the process (SIGHUP, SIGINT, SIGQUIT, SIGTERM) removes what it made, and waits for what is
/// [`undisturbed`]. [`Net::new`] does it too.
///
/// # Errors
/// The system refuses.
pub fn clean_up_on_signals() -> Result<()> {
    static DONE: Mutex<bool> = Mutex::new(false);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if *done {
        return Ok(());
    }
    for signal in SIGNALS {
        flag::register(signal, ENDING.clone()).map_err(Error::io("handle signals"))?;
    }
    let mut signals = Signals::new(SIGNALS).map_err(Error::io("handle signals"))?;
    let watch = move || {
        if let Some(signal) = signals.forever().next() {
            if let Some(what) = at_work().as_ref() {
                eprintln!("\n{what} is at work and not cut short; this ends when it has");
            }
            let _gate = lock_gate();
            netns::remove_all(&format!("{}-", own_name()));
            // Those that children have started do not end with them.
            process::end_descendants(&own_name());
            let _alone = lock_root();
            let _ = fs::remove_dir_all(own_dir());
            let _ = fs::remove_dir(ROOT);
            // With the gate held: nothing new is made. Children end with this process.
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(Error::io("start a thread"))?;
    *done = true;
    Ok(())
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io(format!("make {}", dir.display())))
}
