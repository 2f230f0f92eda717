//! Meeting the other nodes of this host: sockets in the run-time directory.
//!
//! Of two nodes the one with the greater name calls, so that there is one link and not two. A new socket in the directory
//! is noticed at once (inotify), and looked for from time to time in case that failed.

use super::DaemonError;
use crate::Config;
use fabric::shm::{JoinError, Joining, Lifeline, Listener, Offer, Progress, Session, connect, peers};
use messenger_core::Name;
use mio::{Interest, Registry, Token, unix::SourceFd};
use rustix::fs::inotify;
use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a caller may take to greet.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the directory is looked through.
const RESCAN: Duration = Duration::from_secs(5);
/// Callers that may be greeting at one time.
const GREETING: usize = 256;

/// The meeting place.
pub(super) struct Local {
    listener: Option<Listener>,
    watch: Option<OwnedFd>,
    dir: PathBuf,
    name: String,
    offer: Offer,
    joining: BTreeMap<Token, Call>,
    lives: BTreeMap<Token, (String, Lifeline)>,
    next: usize,
    rescan: Instant,
    /// Peers whose failure was told already.
    complained: BTreeSet<String>,
}

struct Call {
    joining: Joining,
    /// Whom we called; `None` when we were called.
    called: Option<String>,
    since: Instant,
}

/// A peer that was met.
pub(super) struct Met {
    /// The token of its lifeline.
    pub(super) token: Token,
    pub(super) name: String,
    pub(super) session: Box<Session>,
}

impl Local {
    pub(super) fn new(
        listener: Option<Listener>,
        dir: PathBuf,
        config: &Config,
        doorbells: Vec<OwnedFd>,
    ) -> Result<Local, DaemonError> {
        let offer =
            Offer { doorbells, ring_size: config.ring, hello: config.name.as_bytes().to_vec(), users: Vec::new() };
        let watch = listener.as_ref().and_then(|_| match watch(&dir) {
            Ok(fd) => Some(fd),
            Err(e) => {
                log::warn!("cannot watch {}: {e}; it is looked through every {RESCAN:?}", dir.display());
                None
            }
        });
        Ok(Local {
            listener,
            watch,
            dir,
            name: config.name.to_string(),
            offer,
            joining: BTreeMap::new(),
            lives: BTreeMap::new(),
            next: super::control::Tokens::LOCAL,
            rescan: Instant::now(),
            complained: BTreeSet::new(),
        })
    }

    pub(super) fn register(&self, registry: &Registry, listen: Token, watch: Token) -> std::io::Result<()> {
        if let Some(listener) = &self.listener {
            registry.register(&mut SourceFd(&listener.as_fd().as_raw_fd()), listen, Interest::READABLE)?;
        }
        if let Some(fd) = &self.watch {
            registry.register(&mut SourceFd(&fd.as_raw_fd()), watch, Interest::READABLE)?;
        }
        Ok(())
    }

    /// When something is to be done though nobody stirs.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.listener.as_ref()?;
        let greeting = self.joining.values().map(|c| c.since + PATIENCE);
        let next = greeting.chain([self.rescan]).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Gives up on callers that do not speak, and looks through the directory when it is time.
    pub(super) fn handle_timeout(&mut self, registry: &Registry) -> Vec<Met> {
        let late: Vec<Token> =
            self.joining.iter().filter(|(_, c)| c.since.elapsed() >= PATIENCE).map(|(t, _)| *t).collect();
        for token in late {
            if let Some(call) = self.joining.remove(&token) {
                deregister(registry, &call.joining);
                log::warn!("shm: process {} connected and did not greet", call.joining.peer().pid);
            }
        }
        if self.rescan <= Instant::now() { self.call_all(registry) } else { Vec::new() }
    }

    /// Something happened in the directory.
    pub(super) fn handle_watch(&mut self, registry: &Registry) -> Vec<Met> {
        let Some(fd) = &self.watch else { return Vec::new() };
        let mut bytes = [0u8; 4096];
        while rustix::io::read(fd, &mut bytes).is_ok_and(|n| n > 0) {}
        self.call_all(registry)
    }

    /// Calls every node that is ours to call and is not linked.
    pub(super) fn call_all(&mut self, registry: &Registry) -> Vec<Met> {
        self.rescan = Instant::now() + RESCAN;
        if self.listener.is_none() {
            return Vec::new();
        }
        let names = match peers(&self.dir) {
            Ok(names) => names,
            Err(e) => {
                log::warn!("cannot look through {}: {e}", self.dir.display());
                return Vec::new();
            }
        };
        let mut met = Vec::new();
        for name in names {
            let known = self.lives.values().any(|(n, _)| *n == name)
                || self.joining.values().any(|c| c.called.as_deref() == Some(&*name));
            if !calls(&self.name, &name) || known {
                continue;
            }
            match connect(&self.dir, &name, &self.offer) {
                Ok(joining) => {
                    self.complained.remove(&name);
                    met.extend(self.start(registry, joining, Some(name)));
                }
                // Dead and left its socket, or busy: its next start, or the next look, tells.
                Err(JoinError::NotRunning(_)) => {}
                Err(e) => {
                    if self.complained.insert(name.clone()) {
                        log::warn!("shm: cannot meet {name}: {}", text(&e));
                    }
                }
            }
        }
        met
    }

    /// Somebody calls.
    pub(super) fn handle_listener(&mut self, registry: &Registry) -> Vec<Met> {
        let mut met = Vec::new();
        while let Some(listener) = &self.listener {
            match listener.accept(&self.offer) {
                Ok(Some(joining)) if self.joining.len() < GREETING => met.extend(self.start(registry, joining, None)),
                Ok(Some(_)) => log::warn!("shm: more than {GREETING} callers at one time, one turned away"),
                Ok(None) => break,
                Err(JoinError::Io(e)) => {
                    log::warn!("shm: cannot take a caller: {e}");
                    break;
                }
                Err(e) => log::warn!("shm: a caller was turned away: {}", text(&e)),
            }
        }
        met
    }

    fn start(&mut self, registry: &Registry, joining: Joining, called: Option<String>) -> Option<Met> {
        let token = Token(self.next);
        self.next += 1;
        let fd = joining.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE).ok()?;
        self.joining.insert(token, Call { joining, called, since: Instant::now() });
        self.advance(registry, token)
    }

    /// Goes on with a conversation, if the token is of one.
    pub(super) fn advance(&mut self, registry: &Registry, token: Token) -> Option<Met> {
        let progress = self.joining.get_mut(&token)?.joining.advance();
        if let Ok(Progress::Pending) = progress {
            return None;
        }
        let call = self.joining.remove(&token)?;
        deregister(registry, &call.joining);
        match progress {
            Ok(Progress::Done(session)) => {
                let name = self.check_name(&session.hello, call.called.as_deref())?;
                let fd = session.life.as_fd().as_raw_fd();
                registry.register(&mut SourceFd(&fd), token, Interest::READABLE).ok()?;
                Some(Met { token, name, session })
            }
            Err(e) => {
                log::warn!("shm: cannot meet {}: {}", call.called.as_deref().unwrap_or("a caller"), text(&e));
                None
            }
            Ok(Progress::Pending) => None,
        }
    }

    /// The name a peer says it has, if it may have it: the one we called, or one that is its to call us.
    fn check_name(&self, said: &[u8], called: Option<&str>) -> Option<String> {
        let name = match Name::from_bytes(said) {
            Ok(name) => name.to_string(),
            Err(e) => {
                log::warn!("shm: a peer was turned away: {e}");
                return None;
            }
        };
        let right = match called {
            Some(called) => name == called,
            None => calls(&name, &self.name),
        };
        let twice = self.lives.values().any(|(n, life)| *n == name && life.check() == fabric::shm::Life::Alive);
        if !right || twice {
            log::warn!(
                "shm: a peer that calls itself {name} was turned away: {}",
                match twice {
                    true => "there is one of that name already",
                    false => "it is not the one that was expected",
                }
            );
            return None;
        }
        Some(name)
    }

    /// Watches over a peer's life from now on.
    pub(super) fn keep(&mut self, token: Token, name: String, life: Lifeline) {
        self.lives.insert(token, (name, life));
    }

    /// Whether the peer of that token is gone.
    pub(super) fn is_dead(&self, token: Token) -> bool {
        self.lives.get(&token).is_some_and(|(_, life)| life.check() != fabric::shm::Life::Alive)
    }

    pub(super) fn forget(&mut self, registry: &Registry, token: Token) {
        if let Some((_, life)) = self.lives.remove(&token) {
            let fd = life.as_fd().as_raw_fd();
            let _ = registry.deregister(&mut SourceFd(&fd));
        }
    }
}

fn deregister(registry: &Registry, joining: &Joining) {
    let fd = joining.as_fd().as_raw_fd();
    let _ = registry.deregister(&mut SourceFd(&fd));
}

fn watch(dir: &std::path::Path) -> rustix::io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&fd, dir, inotify::WatchFlags::MOVED_TO)?;
    Ok(fd)
}

fn text(error: &JoinError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Of two nodes the one with the greater name calls.
fn calls(own: &str, other: &str) -> bool {
    own > other
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PROTOCOL 5.1.
    #[test]
    fn of_two_nodes_one_calls() {
        for (one, other) in [("a", "b"), ("a", "aa"), ("A", "a"), ("node-10", "node-9"), ("z", "ä")] {
            assert!(!calls(one, other) && calls(other, one), "{one} {other}");
            assert!(!calls(one, one), "nobody calls itself");
        }
    }
}
