//! Pings beneath the interface: who asked, and what is answered.

use super::Control;
use crate::control::PingReport;
use mio::{Poll, Token};
use std::time::{Duration, Instant};

/// How long `minet ping` waits for one answer, unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest it may wait.
const MOST: Duration = Duration::from_secs(60);

/// Somebody who waits for an answer to a ping.
pub(super) struct Asking {
    client: Token,
    name: String,
    pub(super) until: Instant,
}

impl Control {
    /// Asks a member to answer; `client` is told when it did, or that it did not.
    pub(super) fn ping(&mut self, client: Token, text: &str, size: usize, timeout_ms: Option<u64>, poll: &Poll) {
        let wanted: Option<u32> = text.parse().ok();
        let member = self.node.members().find(|r| &*r.name == text || wanted == Some(r.node.get()));
        let Some((node, name)) = member.map(|r| (r.node, r.name.to_string())) else {
            let error = format!("no member has the name or number `{text}` (`minet nodes` lists them)");
            return self.server.refuse(client, poll.registry(), error);
        };
        match self.node.ping(self.clock.now(), node, size.min(1024)) {
            Some(token) => {
                let until = Instant::now() + timeout_ms.map_or(PATIENCE, Duration::from_millis).min(MOST);
                self.pings.insert(token, Asking { client, name, until });
                self.take_events(poll);
            }
            None => self.server.refuse(client, poll.registry(), format!("no way leads to {name}")),
        }
    }

    /// Tells who asked how long it took; `None` when no answer came in time.
    pub(super) fn answer_ping(&mut self, token: u64, time: Option<Duration>, poll: &Poll) {
        let Some(Asking { client, name, .. }) = self.pings.remove(&token) else { return };
        let us = time.map(|t| t.as_nanos() as f64 / 1e3);
        let report =
            PingReport { node: name, sent: 1, received: u32::from(us.is_some()), min_us: us, avg_us: us, max_us: us };
        self.server.answer(client, poll.registry(), &report);
    }
}
