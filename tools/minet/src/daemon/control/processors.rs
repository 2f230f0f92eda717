//! What the control thread does for the node's I/O processors.

use super::{
    super::{SHM, iops::Task, reports, wires::Wires},
    Control,
};
use crate::control::{IopWish, IopsReport};
use fabric::Peer;
use messenger_core::{LinkSpec, Reason, Time};
use std::time::Duration;

impl Control {
    /// The time as the manager of I/O processors counts it.
    pub(super) fn time(&self) -> Duration {
        self.clock.now().since(Time::ZERO)
    }

    /// Does what the I/O processors want.
    pub(super) fn serve_iops(&mut self) {
        while let Some(task) = self.iops.poll(self.time(), &self.config) {
            match task {
                Task::Leave(link) => self.node.close_link(self.clock.now(), link, Reason::CarrierLost),
                Task::Join { at, name, pid, rings } => {
                    let Some(channel) = self.wires.channel(SHM) else {
                        log::error!("iop {name}: more peers than this node can carry");
                        continue;
                    };
                    let wire = Wires::new_wire(SHM, channel, format!("{name}, process {pid}"));
                    // Not lasting: one that falls silent is reset, and comes back over other rings.
                    let spec = LinkSpec { lasting: false, ..self.shm_link() };
                    let link = self.link(spec, wire, rings.into_iter().map(Peer::Shm).collect());
                    self.iops.linked(at, link);
                }
            }
        }
    }

    /// Tells one what somebody wants of it; how all are then, or why nothing was told.
    pub(super) fn command_iop(&mut self, name: &str, wish: IopWish) -> Result<IopsReport, String> {
        let event = match wish {
            IopWish::Boot => iop::Event::Boot,
            IopWish::Reset => iop::Event::Reset,
            IopWish::Hold => iop::Event::Hold,
        };
        if !self.iops.command(self.time(), name, event) {
            return Err(format!("no I/O processor has the name `{name}` (`minet iop list` lists them)"));
        }
        self.serve_iops();
        Ok(reports::iops(&self.iops))
    }
}
