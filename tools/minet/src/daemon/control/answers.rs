//! Answers to what was asked over the control socket.

use super::Control;
use crate::{
    config::{Iop, IopKind},
    control::{Ask, Asked, StatsReport},
    daemon::{
        reports::{self, Reporter},
        sealing::{Sealing, Wanted},
    },
};
use mio::{Poll, Registry, Token};
use serde::Serialize;

/// What is said to who asks for what only a sealed node can do.
const NOT_SEALED: &str = "this node has no key for UDP, or nothing that it seals (`minet key new`, `trust.key`)";

impl Control {
    /// Answers what was asked over the control socket.
    pub(super) fn answer(&mut self, Asked { client, ask }: Asked, poll: &Poll) {
        let registry = poll.registry();
        match ask {
            Ask::Status => self.show(client, registry, |r| r.status()),
            Ask::Nodes => self.show(client, registry, |r| r.nodes()),
            Ask::Links => self.show(client, registry, |r| r.links()),
            Ask::Events => self.server.answer(client, registry, &self.journal.report()),
            Ask::Ports => self.show(client, registry, |r| r.ports()),
            Ask::Dump => self.show(client, registry, |r| r.dump()),
            Ask::Stats { reset } => {
                let report = self.stats();
                if reset {
                    self.counted = Some(self.reporter().stats());
                }
                self.server.answer(client, registry, &report);
            }
            Ask::Drain { undo } => {
                let report = self.drain(undo);
                self.server.answer(client, registry, &report);
            }
            Ask::Trace { filter } => self.trace(client, filter, registry),
            Ask::Iops => self.server.answer(client, registry, &reports::iops(&self.iops)),
            Ask::Iop { iop, wish } => match self.command_iop(&iop, wish, poll) {
                Ok(report) => self.server.answer(client, registry, &report),
                Err(error) => self.server.refuse(client, registry, error),
            },
            Ask::IopAdd { iop, id, process, image, qemu } => {
                let kind = if process { IopKind::Process } else { IopKind::Qemu };
                let added = Iop::added(&iop, id, kind, image, qemu).map_err(|e| e.to_string());
                match added.and_then(|iop| self.add_iop(iop, poll)) {
                    Ok(report) => self.server.answer(client, registry, &report),
                    Err(error) => self.server.refuse(client, registry, error),
                }
            }
            Ask::Console { iop } => match self.console(&iop) {
                Ok(report) => self.server.answer(client, registry, &report),
                Err(error) => self.server.refuse(client, registry, error),
            },
            Ask::Next { peer, since } => self.watch(client, peer, since, registry),
            Ask::Ping { node, size, timeout_ms } => self.ping(client, &node, size, timeout_ms, poll),
            Ask::Invite { name, id, contact, minutes } => {
                let wanted = Wanted {
                    name: &name,
                    id,
                    contact,
                    minutes,
                    listen: self.config.udp,
                    own: (self.node.id(), &self.config.name),
                    fabric: &self.config.fabric,
                };
                match self.sealing.as_mut().ok_or_else(|| NOT_SEALED.to_owned()) {
                    Err(error) => self.server.refuse(client, registry, error),
                    Ok(sealing) => match sealing.invite(self.clock.now(), wanted) {
                        Ok(report) => self.server.answer(client, registry, &report),
                        Err(error) => self.server.refuse(client, registry, error),
                    },
                }
            }
            Ask::Revoke { member } => {
                let done = self.sealing.as_mut().ok_or_else(|| NOT_SEALED.to_owned()).and_then(|s| s.revoke(&member));
                // What is told is in effect: no lane has the keys any more.
                self.follow_sealing();
                self.take_events(poll);
                self.follow_up();
                match done {
                    Ok(report) => self.server.answer(client, registry, &report),
                    Err(error) => self.server.refuse(client, registry, error),
                }
            }
        }
    }

    /// What answers are made from.
    pub(super) fn reporter(&self) -> Reporter<'_> {
        Reporter {
            config: &self.config,
            node: &self.node,
            wires: &self.wires,
            attached: &self.attached,
            lanes: &self.lanes,
            inbox: &self.inbox,
            gate: self.sealing.as_ref().map(Sealing::counts),
            guests: self.guests.counts(),
            clients: self.server.counts(),
            now: self.clock.now(),
        }
    }

    /// All counters since they were told to begin anew.
    pub(super) fn stats(&self) -> StatsReport {
        let now = self.reporter().stats();
        // Two reports of one node can be compared.
        self.counted.as_ref().and_then(|base| now.since(base).ok()).unwrap_or(now)
    }

    fn show<T: Serialize>(&mut self, client: Token, registry: &Registry, report: impl Fn(&Reporter<'_>) -> T) {
        let report = report(&self.reporter());
        self.server.answer(client, registry, &report);
    }
}
