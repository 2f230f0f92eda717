//! What the control thread does for the node's I/O processors.

use super::{
    super::{SHM, iops::Task, reports, wires::Wires},
    Control, Tokens,
};
use crate::{
    config::Iop,
    control::{ConsoleReport, IopWish, IopsReport},
};
use fabric::Peer;
use messenger_core::{LinkSpec, Reason, Time};
use mio::Poll;
use std::time::Duration;

impl Control {
    /// The time as the manager of I/O processors counts it.
    pub(super) fn time(&self) -> Duration {
        self.clock.now().since(Time::ZERO)
    }

    /// Does what the I/O processors want.
    pub(super) fn serve_iops(&mut self, poll: &Poll) {
        self.serve_tasks(poll);
        while self.iops.hot_swap(self.time(), &self.config, (poll.registry(), Tokens::IOPS)) {
            self.serve_tasks(poll);
        }
    }

    fn serve_tasks(&mut self, poll: &Poll) {
        while let Some(task) = self.iops.poll(self.time(), &self.config, poll.registry()) {
            match task {
                Task::Leave(link) => self.node.close_link(self.clock.now(), link, Reason::CarrierLost),
                Task::Join { slot, name, pid, rings } => {
                    let Some(channel) = self.wires.channel(SHM) else {
                        log::error!("iop {name}: more peers than this node can carry");
                        continue;
                    };
                    let wire = Wires::new_wire(SHM, channel, format!("{name}, process {pid}"));
                    let miss_limit =
                        self.iops.iter().find(|(iop, _)| *iop.name == *name).map(|(iop, _)| iop.miss_limit);
                    // Not lasting: one that falls silent is reset, and comes back over other rings.
                    let spec = LinkSpec { lasting: false, miss_limit, ..self.shm_link() };
                    let link = self.link(spec, wire, rings.into_iter().map(Peer::Shm).collect());
                    self.iops.linked(slot, link);
                }
                Task::Quiesce(node) => self.node.exchange_mut().quiesce_node(node),
                Task::Enable(node) => self.node.exchange_mut().enable_node(node),
                Task::Tell(kind, node, text) => {
                    // Changes of state are in the log already.
                    if kind != "iop-state" {
                        log::info!("{text}");
                    }
                    self.journal.note(kind, None, Some(node.get()), text);
                }
            }
        }
    }

    /// Tells one what somebody wants of it; how all are then, or why nothing was told.
    pub(super) fn command_iop(&mut self, name: &str, wish: IopWish, poll: &Poll) -> Result<IopsReport, String> {
        let now = self.time();
        match wish {
            IopWish::Boot => self.iops.command(now, name, iop::Event::Boot),
            IopWish::Reset => self.iops.command(now, name, iop::Event::Reset),
            IopWish::Hold => self.iops.command(now, name, iop::Event::Hold),
            IopWish::Quiesce => self.iops.command(now, name, iop::Event::Quiesce),
            IopWish::Enable => self.iops.command(now, name, iop::Event::Enable),
            IopWish::Remove => self.iops.remove(now, name),
        }?;
        self.serve_iops(poll);
        Ok(reports::iops(&self.iops))
    }

    /// Inserts one; how all are then, or why it was not.
    pub(super) fn add_iop(&mut self, iop: Iop, poll: &Poll) -> Result<IopsReport, String> {
        if self.config.seccomp {
            return Err("this node may start no programs: say `seccomp = false` in its configuration".to_owned());
        }
        if self.node.members().any(|member| member.name == iop.name || member.node == iop.id) {
            return Err(format!("`{}` (id {}) is a member of the fabric already", iop.name, iop.id));
        }
        self.iops.add(self.time(), &self.config, iop, (poll.registry(), Tokens::IOPS))?;
        self.serve_iops(poll);
        Ok(reports::iops(&self.iops))
    }

    /// The latest lines of one's console.
    pub(super) fn console(&mut self, name: &str) -> Result<ConsoleReport, String> {
        self.iops.console(name).map(|lines| ConsoleReport { lines })
    }
}
