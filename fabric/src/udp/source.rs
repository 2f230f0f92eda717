//! From which of the host's addresses datagrams leave: the one that the peer sent to.
//!
//! Only a socket on the unspecified address needs this. It is learned from what comes, by the handle that receives;
//! those that share the socket see that something changed by a number, and look it up then. Who is attached is kept
//! apart from strangers: however many of these come, they take little and push out nobody but each other.

use crate::sys::Source;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Strangers that are remembered for certain; at most twice as many are.
const STRANGERS: usize = 2048;

/// After the host refused an address as a source, so many calls go without it.
const REFUSED: u32 = 16;

/// What is known of all peers of a socket.
#[derive(Default)]
pub(super) struct Sources {
    known: Mutex<Known>,
    /// Raised whenever something changed for an attached peer.
    changes: AtomicU64,
}

#[derive(Default)]
struct Known {
    attached: HashMap<SocketAddr, Attached>,
    /// Those that came last.
    young: HashMap<SocketAddr, IpAddr>,
    /// Those before them.
    old: HashMap<SocketAddr, IpAddr>,
}

#[derive(Default)]
struct Attached {
    local: Option<IpAddr>,
    /// So many handles have it.
    handles: usize,
}

impl Sources {
    /// A peer sent to this address of the host.
    pub(super) fn note(&self, peer: SocketAddr, local: IpAddr) {
        let mut known = self.known();
        if let Some(attached) = known.attached.get_mut(&peer) {
            if attached.local.replace(local) != Some(local) {
                self.changes.fetch_add(1, Ordering::Release);
            }
            return;
        }
        if known.young.len() >= STRANGERS && !known.young.contains_key(&peer) {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(peer, local);
    }

    /// A handle attached this peer: what is known of it stays known.
    pub(super) fn hold(&self, peer: SocketAddr) {
        let mut known = self.known();
        let (young, old) = (known.young.remove(&peer), known.old.remove(&peer));
        let attached = known.attached.entry(peer).or_default();
        attached.handles += 1;
        attached.local = attached.local.or(young).or(old);
    }

    /// A handle detached this peer.
    pub(super) fn release(&self, peer: SocketAddr) {
        let mut known = self.known();
        let Some(attached) = known.attached.get_mut(&peer) else { return };
        attached.handles = attached.handles.saturating_sub(1);
        if attached.handles == 0 {
            known.attached.remove(&peer);
        }
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn of(&self, peer: SocketAddr) -> Option<IpAddr> {
        let known = self.known();
        match known.attached.get(&peer) {
            Some(attached) => attached.local,
            None => known.young.get(&peer).or_else(|| known.old.get(&peer)).copied(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one channel knows.
#[derive(Clone, Copy, Default)]
pub(super) struct Own {
    /// What the peer sent to last.
    local: Option<IpAddr>,
    source: Option<Source>,
    /// What the number of changes was at the last look.
    seen: Option<u64>,
    /// The host refused the address: so many calls until the next look.
    refused: u32,
}

impl Own {
    /// Where datagrams to this peer leave from; `None`: where the kernel wants.
    pub(super) fn source(&mut self, sources: &Sources, peer: SocketAddr, version_6: bool) -> Option<&Source> {
        if self.refused > 0 {
            self.refused -= 1;
            if self.refused == 0 {
                // The host may have it again.
                self.seen = None;
            }
        }
        let changes = sources.changes();
        if self.seen != Some(changes) {
            self.seen = Some(changes);
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
            self.refused = 0;
        }
        news
    }

    /// The host does not have the address any more; it is looked up again later. Whether there was one.
    pub(super) fn forget(&mut self) -> bool {
        self.local = None;
        self.refused = REFUSED;
        self.source.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::from(n.to_be_bytes()), 7400)
    }

    const LOCAL: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];

    #[test]
    fn strangers_are_bounded_and_push_out_no_attached_peer() {
        let sources = Sources::default();
        sources.note(peer(1), LOCAL[0]);
        sources.hold(peer(1));
        sources.hold(peer(2));
        sources.note(peer(2), LOCAL[1]);
        let changes = sources.changes();
        for n in 3..100_000 {
            sources.note(peer(n), LOCAL[0]);
            assert_eq!(sources.of(peer(n)), Some(LOCAL[0]));
            // Who came just before is known until it is attached.
            assert!(n < 1000 || sources.of(peer(n - 900)).is_some());
        }
        let known = sources.known();
        assert!(known.young.len() + known.old.len() <= 2 * STRANGERS);
        drop(known);
        assert_eq!((sources.of(peer(1)), sources.of(peer(2))), (Some(LOCAL[0]), Some(LOCAL[1])));
        assert_eq!(sources.changes(), changes, "nobody who is attached looks again for a stranger");
    }

    #[test]
    fn the_last_handle_that_detaches_ends_it() {
        let sources = Sources::default();
        sources.note(peer(1), LOCAL[0]);
        (0..2).for_each(|_| sources.hold(peer(1)));
        sources.release(peer(1));
        assert_eq!(sources.of(peer(1)), Some(LOCAL[0]));
        (0..2).for_each(|_| sources.release(peer(1)));
        assert_eq!(sources.of(peer(1)), None);
        let known = sources.known();
        assert!(known.attached.is_empty() && known.young.is_empty() && known.old.is_empty());
    }

    #[test]
    fn what_was_noted_before_the_channel_is_found() {
        let (sources, mut own) = (Sources::default(), Own::default());
        sources.note(peer(1), LOCAL[0]);
        sources.hold(peer(1));
        assert!(own.source(&sources, peer(1), false).is_some());
    }

    #[test]
    fn a_refused_address_is_tried_again_and_another_at_once() {
        let (sources, mut own) = (Sources::default(), Own::default());
        sources.hold(peer(1));
        sources.note(peer(1), LOCAL[0]);
        assert!(own.source(&sources, peer(1), false).is_some());
        assert!(own.forget());
        for _ in 1..REFUSED {
            assert!(own.source(&sources, peer(1), false).is_none());
        }
        assert!(own.source(&sources, peer(1), false).is_some(), "the same, though nothing changed");
        assert!(own.forget() && own.source(&sources, peer(1), false).is_none());
        assert!(!own.forget(), "there was none: no reason to send again");
        sources.note(peer(1), LOCAL[1]);
        assert!(own.source(&sources, peer(1), false).is_some());
    }
}
