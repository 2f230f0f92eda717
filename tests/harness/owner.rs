//! Who owns what: one directory and one name prefix a process, removed by its owner or by the next process.
//!
//! ```text
//! /run/minet-tests/sweep          held while a process starts and clears what dead ones left
//! /run/minet-tests/mn<pid>/alive  held (flock) while the process lives; the kernel lets go when it dies
//! /run/minet-tests/mn<pid>/<n>/   the n-th net: configurations, logs, run-time directories
//! mn<pid>-<n>-<name>              a namespace of that net
//! ```

use crate::{Error, Netns, Result, netns};
use rustix::fs::{FlockOperation, flock};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

const ROOT: &str = "/run/minet-tests";
const ALIVE: &str = "alive";

/// Held while a process or namespace is made; taken for ever by the last clean-up.
static GATE: Mutex<()> = Mutex::new(());

/// Held by a [`Net`]: tests that watch times do not run beside each other.
static TURN: Mutex<()> = Mutex::new(());

/// A set of namespaces and a directory that go together. There is one at a time in a process; another thread's waits,
/// and a second one of the same thread would wait for ever.
pub struct Net {
    prefix: String,
    dir: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

struct Owner {
    name: String,
    dir: PathBuf,
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
        let owner = owner()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = owner.dir.join(number.to_string());
        make_dir(&dir)?;
        Ok(Self { prefix: format!("{}-{number}-", owner.name), dir, _turn: turn })
    }

    /// A new namespace. It goes when the last handle to it goes.
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
        netns::remove_all(&self.prefix);
        // A test that fails keeps its logs until the process ends: they are in its message already.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Removes what processes that are dead left behind. The first [`Net`] of a process does it too.
///
/// # Errors
/// Not root, or `/run` cannot be written.
pub fn clean_leftovers() -> Result<()> {
    owner()?;
    let _alone = sweep_lock()?;
    sweep_dead()
}

/// Runs something that must not be cut short by a signal (a package installation): clean-up waits for it.
pub fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    let _gate = hold();
    work()
}

/// Nothing is made while the last clean-up runs.
pub(crate) fn hold() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owner() -> Result<&'static Owner> {
    static OWNER: OnceLock<Owner> = OnceLock::new();
    static START: Mutex<()> = Mutex::new(());
    let _one = START.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(owner) = OWNER.get() {
        return Ok(owner);
    }
    let owner = Owner::start()?;
    clean_up_on_signals()?;
    Ok(OWNER.get_or_init(|| owner))
}

impl Owner {
    fn start() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::unexpected("network namespaces need root: run this as root"));
        }
        make_dir(Path::new(ROOT))?;
        let _alone = sweep_lock()?;
        sweep_dead()?;
        let name = format!("mn{}", std::process::id());
        let dir = Path::new(ROOT).join(&name);
        make_dir(&dir)?;
        let alive = open(&dir.join(ALIVE))?;
        flock(&alive, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| Error::io(format!("own {}", dir.display()))(errno.into()))?;
        Ok(Self { name, dir, _alive: alive })
    }
}

fn sweep_lock() -> Result<File> {
    let file = open(&Path::new(ROOT).join("sweep"))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|errno| Error::io("lock the clean-up")(errno.into()))?;
    Ok(file)
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

fn clean_up_on_signals() -> Result<()> {
    let mut signals = Signals::new(TERM_SIGNALS).map_err(Error::io("handle signals"))?;
    let watch = move || {
        if let Some(signal) = signals.forever().next() {
            let _gate = hold();
            clean_up_own();
            // With the gate held: nothing new is made. Children end with this process.
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map(drop).map_err(Error::io("start a thread"))
}

fn clean_up_own() {
    let name = format!("mn{}", std::process::id());
    netns::remove_all(&format!("{name}-"));
    let _ = fs::remove_dir_all(Path::new(ROOT).join(name));
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io(format!("make {}", dir.display())))
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.map_err(Error::io(format!("open {}", path.display())))
}
