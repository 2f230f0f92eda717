//! What the paths of UDP peers take: it changes while links run.
//!
//! The kernel knows it, from its interfaces and from what routers answer. It is asked every few seconds, and soon when a
//! lane found a message too long.

use super::wires::Wires;
use fabric::udp;
use messenger_core::{LinkId, Node};
use std::time::{Duration, Instant};

/// How often the kernel is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How soon it is asked again at the most.
const PAUSE: Duration = Duration::from_millis(20);

/// When to ask.
pub(super) struct Paths {
    asked: Instant,
    due: Instant,
    /// A lane's own idea of a path may differ from the link's.
    doubt: bool,
}

/// What a path takes, perhaps another size than its link.
pub(super) struct Change {
    pub(super) link: LinkId,
    pub(super) channel: u32,
    /// The largest message in bytes.
    pub(super) message: usize,
}

impl Default for Paths {
    fn default() -> Paths {
        let now = Instant::now();
        Paths { asked: now, due: now + EVERY, doubt: false }
    }
}

impl Paths {
    /// How long until the kernel is to be asked.
    pub(super) fn timeout(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_due(&self) -> bool {
        self.timeout().is_zero()
    }

    /// A path may have changed: asks soon.
    pub(super) fn hurry(&mut self) {
        self.due = self.due.min(self.asked + PAUSE);
        self.doubt = true;
    }

    /// Asks the kernel; what changed, or everything that lanes are to be told after a doubt. A path that the kernel does not
    /// know now stays as it was.
    /// A seal takes `overhead` bytes of every message.
    pub(super) fn measure(&mut self, node: &Node, wires: &Wires, overhead: usize) -> Vec<Change> {
        self.asked = Instant::now();
        self.due = self.asked + EVERY;
        let doubt = std::mem::take(&mut self.doubt);
        let changes = wires.iter().filter_map(|(link, wire)| {
            let message = udp::path_message(wire.socket?).ok()?.saturating_sub(overhead);
            let other = u32::try_from(message) != Ok(node.link(link)?.spec().message);
            (other || doubt).then_some(Change { link, channel: wire.channel, message })
        });
        changes.collect()
    }
}
