//! From which of the host's addresses datagrams leave: the one that the peer sent to.
//!
//! Only a socket on the unspecified address needs this. It is learned from what comes, by the handle that receives;
//! those that share the socket see that something changed by a number, and look it up then.

use crate::sys::Source;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Peers that are remembered; strangers may be many.
const KNOWN: usize = 4096;

/// What is known of all peers of a socket.
#[derive(Default)]
pub(super) struct Sources {
    known: Mutex<HashMap<SocketAddr, IpAddr>>,
    changes: AtomicU64,
}

impl Sources {
    /// A peer sent to this address of the host.
    pub(super) fn note(&self, peer: SocketAddr, local: IpAddr) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&peer) == Some(&local) {
            return;
        }
        if known.len() >= KNOWN {
            // Who is attached keeps what it has.
            known.clear();
        }
        known.insert(peer, local);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Raised whenever something changed.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn of(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }
}

/// What one channel knows.
#[derive(Clone, Copy, Default)]
pub(super) struct Own {
    /// What the peer sent to last.
    local: Option<IpAddr>,
    source: Option<Source>,
    seen: u64,
}

impl Own {
    /// Where datagrams to this peer leave from; `None`: where the kernel wants.
    pub(super) fn source(&mut self, sources: &Sources, peer: SocketAddr, version_6: bool) -> Option<&Source> {
        let changes = sources.changes();
        if self.seen != changes {
            self.seen = changes;
            if let Some(ip) = sources.of(peer) {
                self.set(ip, version_6);
            }
        }
        self.source.as_ref()
    }

    /// Takes what the peer sent to; whether that is new.
    pub(super) fn set(&mut self, local: IpAddr, version_6: bool) -> bool {
        let news = self.local.replace(local) != Some(local);
        if news {
            self.source = Source::new(local, version_6);
        }
        news
    }

    /// The host does not have the address any more.
    pub(super) fn forget(&mut self) -> bool {
        self.local = None;
        self.source.take().is_some()
    }
}
