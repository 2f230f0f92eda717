//! Taking this node out of the fabric.

use super::Control;
use crate::{
    control::DrainReport,
    daemon::drain::{self, Drain},
};
use std::time::Duration;

impl Control {
    /// Begins to leave, or takes that back; how far it is.
    pub(super) fn drain(&mut self, undo: bool) -> DrainReport {
        let now = self.time();
        if undo {
            if let Some(drain) = self.draining.take() {
                self.node.drain(self.clock.now(), false);
                for name in drain.held() {
                    // It may be gone.
                    let _ = self.iops.command(now, name, iop::Event::Boot);
                }
                self.tell("drain", None, None, "this node stays".to_owned());
                self.dirty = true;
            }
            return drain::serving(&self.node);
        }
        if self.draining.is_none() {
            self.tell("drain", None, None, "this node gets ready to leave".to_owned());
            self.draining = Some(Drain::new(self.iops.hold_all(now)));
        }
        self.tend_drain();
        match &mut self.draining {
            Some(drain) => drain.report(&self.node),
            None => drain::serving(&self.node),
        }
    }

    /// Looks how far it is with leaving.
    pub(super) fn tend_drain(&mut self) {
        let Some(mut drain) = self.draining.take() else { return };
        let relayed = self.reporter().relayed();
        if drain.look(&self.node, &self.iops, relayed) {
            self.node.drain(self.clock.now(), true);
            self.dirty = true;
        }
        self.draining = Some(drain);
    }

    /// When [`Control::tend_drain`] wants to be called.
    pub(super) fn drain_timeout(&self) -> Option<Duration> {
        self.draining.as_ref().map(|_| Drain::timeout())
    }

    /// Whether all is done and this node leaves now. Its interfaces have no carrier from then on.
    pub(super) fn is_drained(&mut self) -> bool {
        let over = self.draining.as_ref().is_some_and(Drain::is_over);
        if over {
            log::info!("nothing is under way any more: this node leaves");
            for attached in &mut self.attached {
                attached.set_carrier(false);
            }
        }
        over
    }
}
