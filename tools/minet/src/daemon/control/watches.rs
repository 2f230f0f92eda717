//! Those who wait for what happens to a node: they are told when it does, and need not ask again and again.

use super::Control;
use mio::{Registry, Token};
use std::time::{Duration, Instant};

/// How long nothing may happen before that is told: less than a client's patience.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many may wait at one time.
const MOST: usize = 64;

/// Somebody who waits.
pub(super) struct Watching {
    client: Token,
    peer: u32,
    since: u64,
    until: Instant,
}

/// All who wait, and which events they were looked at for.
#[derive(Default)]
pub(super) struct Watches {
    all: Vec<Watching>,
    seen: u64,
}

impl Watches {
    /// When somebody is to be told that nothing happened.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.all.iter().map(|one| one.until.saturating_duration_since(Instant::now())).min()
    }
}

impl Control {
    /// Tells a client what happened to a node, at once or when it happens.
    pub(super) fn watch(&mut self, client: Token, peer: u32, since: u64, registry: &Registry) {
        let there = self.journal.of(peer, since);
        if !there.events.is_empty() {
            return self.server.answer(client, registry, &there);
        }
        // One client asks one thing at a time; what it asked before it does not wait for any more.
        self.watches.all.retain(|one| one.client != client);
        if self.watches.all.len() >= MOST {
            return self.server.refuse(client, registry, "too many wait for events already");
        }
        self.watches.all.push(Watching { client, peer, since, until: Instant::now() + PATIENCE });
    }

    /// Tells those who wait.
    pub(super) fn tell_watches(&mut self, registry: &Registry) {
        let news = std::mem::replace(&mut self.watches.seen, self.journal.next()) != self.journal.next();
        if self.watches.all.is_empty() {
            return;
        }
        let now = Instant::now();
        let (journal, server) = (&self.journal, &mut self.server);
        self.watches.all.retain(|one| {
            let report = journal.of(one.peer, if news { one.since } else { u64::MAX });
            let told = !report.events.is_empty() || one.until <= now;
            if told {
                server.answer(one.client, registry, &report);
            }
            !told
        });
    }
}
