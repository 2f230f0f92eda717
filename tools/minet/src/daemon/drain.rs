//! Leaving without loss: what `minet drain` asks for, step by step.
//!
//! | step | until |
//! | --- | --- |
//! | stopping | no I/O processor of this node runs: they are reached through it |
//! | draining | the neighbours know, nothing was passed on for a while, no message is under way, and the ports are empty |
//! | drained | who asked was told so |
//!
//! Then the interfaces lose their carrier, the links end with a goodbye, and the daemon ends.

use super::iops::Iops;
use crate::control::{DrainReport, DrainState};
use messenger_core::{Node, UnderWay};
use std::time::{Duration, Instant};

/// Nothing may be passed on, and nothing be under way, for so long: longer than a lost announcement takes to be noticed.
const QUIET: Duration = Duration::from_millis(300);
/// Who asked has so long to hear that it is drained.
const HEARD: Duration = Duration::from_secs(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A node on its way out.
pub(super) struct Drain {
    state: DrainState,
    /// What was passed on for others so far, and when that last grew.
    relayed: u64,
    relayed_at: Instant,
    /// Since when nothing is under way.
    quiet: Option<Instant>,
    /// Who asked heard that it is drained.
    heard: bool,
    /// The I/O processors that were stopped for it.
    held: Vec<String>,
}

impl Drain {
    /// These I/O processors are being stopped for it.
    pub(super) fn new(held: Vec<String>) -> Drain {
        let state = DrainState::Stopping;
        Drain { state, relayed: 0, relayed_at: Instant::now(), quiet: None, heard: false, held }
    }

    /// The I/O processors to start again when the node stays.
    pub(super) fn held(&self) -> &[String] {
        &self.held
    }

    /// How long until the next look.
    pub(super) fn timeout() -> Duration {
        LOOK
    }

    /// Looks how far it is; whether the others are to be told now. `relayed` is what was passed on for others so far.
    pub(super) fn look(&mut self, node: &Node, iops: &Iops, relayed: u64) -> bool {
        let now = Instant::now();
        if std::mem::replace(&mut self.relayed, relayed) != relayed {
            self.relayed_at = now;
        }
        if self.state == DrainState::Stopping && !iops.any_runs() {
            self.state = DrainState::Draining;
            self.relayed_at = now;
            return true;
        }
        let still = now.duration_since(self.relayed_at) >= QUIET;
        let calm = node.is_draining() && node.is_agreed() && still && node.exchange().under_way().is_nothing();
        self.quiet = if calm { self.quiet.or(Some(now)) } else { None };
        if self.state == DrainState::Draining && self.quiet.is_some_and(|since| now.duration_since(since) >= QUIET) {
            self.state = DrainState::Drained;
            self.quiet = Some(now);
        }
        false
    }

    /// Whether the node leaves now.
    pub(super) fn is_over(&self) -> bool {
        let waited = self.quiet.is_none_or(|since| since.elapsed() >= HEARD);
        self.state == DrainState::Drained && (self.heard || waited)
    }

    /// How far it is. Who is told that it is drained has heard it.
    pub(super) fn report(&mut self, node: &Node) -> DrainReport {
        self.heard |= self.state == DrainState::Drained;
        let told = node.is_draining() && node.is_agreed();
        report(self.state, told, node.exchange().under_way(), self.relayed_at.elapsed())
    }
}

/// Of a node that does not leave.
pub(super) fn serving(node: &Node) -> DrainReport {
    report(DrainState::Serving, false, node.exchange().under_way(), Duration::ZERO)
}

fn report(state: DrainState, told: bool, under_way: UnderWay, relayed: Duration) -> DrainReport {
    let UnderWay { nodes, slots, asks, stored } = under_way;
    let relayed_ms = u64::try_from(relayed.as_millis()).unwrap_or(u64::MAX);
    DrainReport { state, told, nodes, waiting: slots, requests: asks, stored, relayed_ms }
}
