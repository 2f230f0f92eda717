//! The I/O processors of this node: what happens to them is told to their manager, and what it wants is done.

mod slots;
mod system;
#[cfg(test)]
mod tests;

use super::interface::derived;
use crate::{
    Config,
    config::{Iop, IopKind},
};
use fabric::shm::Rings;
use iop::{Bus, Event, HotSwap, Kind, Platform, Policy, Processor, Spec, State, Table, Want};
use messenger_core::{Incarnation, LinkId, Node, NodeId};
use mio::{Interest, Registry, Token, unix::SourceFd};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// This program, whatever became of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// All of them, in the order of the configuration, later ones behind.
#[derive(Default)]
pub(super) struct Iops {
    all: Vec<One>,
    /// The first lane's.
    doorbell: Option<OwnedFd>,
    /// What they share with each other; made with the first.
    bus: Option<Bus>,
    table: Table,
    tasks: VecDeque<Task>,
    /// Where they are put in and taken out, and what tells of it.
    platform: Option<Box<dyn Platform<Device = Iop>>>,
    platform_bell: Option<OwnedFd>,
}

struct One {
    config: Iop,
    processor: Processor,
    link: Option<LinkId>,
    /// Its number on the bus, and behind the first token.
    slot: u8,
    /// This node and the other processors send it nothing new.
    quiesced: bool,
    /// It goes as soon as it is held.
    removed: bool,
}

/// What is to be done for them.
pub(super) enum Task {
    /// Link up over these rings; then [`Iops::linked`].
    Join { slot: u8, name: String, pid: u32, rings: Vec<Rings> },
    /// Close this link.
    Leave(LinkId),
    /// Send this node no new messages.
    Quiesce(NodeId),
    /// Take that back.
    Enable(NodeId),
    /// Tell people what happened to a node: of which kind it is, and what.
    Tell(&'static str, NodeId, String),
}

impl Iops {
    /// All in reset. `doorbell` is the first lane's.
    pub(super) fn new(config: &Config, doorbell: Option<BorrowedFd<'_>>) -> io::Result<Iops> {
        let doorbell = doorbell.map(|bell| bell.try_clone_to_owned()).transpose()?;
        let mut iops = Iops { doorbell, ..Iops::default() };
        for iop in &config.iops {
            iops.insert(config, iop.clone())?;
        }
        if let Some(dir) = &config.iop_slots {
            let slots = slots::Slots::open(dir)?;
            iops.platform_bell = Some(slots.as_fd().try_clone_to_owned()?);
            iops.platform = Some(Box::new(slots));
        }
        Ok(iops)
    }

    /// One more, in reset; its number.
    fn insert(&mut self, config: &Config, iop: Iop) -> io::Result<u8> {
        let doorbell = self.doorbell.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let taken = |slot: &u8| self.all.iter().any(|one| one.slot == *slot);
        let slot = (0..crate::config::IOPS as u8).find(|slot| !taken(slot)).ok_or(io::ErrorKind::StorageFull)?;
        if self.bus.is_none() {
            self.bus = Some(Bus::new().map_err(io::Error::other)?);
        }
        let spec = Spec {
            kind: match iop.kind {
                IopKind::Qemu => Kind::Qemu,
                IopKind::Process => Kind::Process,
            },
            name: iop.name.to_string(),
            image: iop.image.clone(),
            program: match iop.kind {
                IopKind::Qemu => iop.qemu.clone(),
                IopKind::Process => Some(OWN_PROGRAM.into()),
            },
            door: (iop.kind == IopKind::Process)
                .then(|| config.run_dir.join(&*config.fabric).join(format!("{}.door", iop.name))),
            // What this program is itself need not be sent.
            store: (iop.kind == IopKind::Process && iop.image != Path::new(OWN_PROGRAM))
                .then(|| config.run_dir.join(&*config.fabric).join(format!("{}.iop", iop.name))),
            lanes: config.queues,
            ring: config.ring,
            doorbell: doorbell.try_clone()?,
            policy: Policy::default(),
        };
        let processor = Processor::new(spec)?;
        self.all.push(One { config: iop, processor, link: None, slot, quiesced: false, removed: false });
        Ok(slot)
    }

    /// Watches them; tokens count up from `first`. `slots` is the token of what tells of insertions.
    pub(super) fn register(&self, registry: &Registry, first: usize, slots: Token) -> io::Result<()> {
        if let Some(bell) = &self.platform_bell {
            registry.register(&mut SourceFd(&bell.as_raw_fd()), slots, Interest::READABLE)?;
        }
        self.all.iter().try_for_each(|one| watch(registry, first, one))
    }

    /// Inserts one while others run, and starts it.
    pub(super) fn add(
        &mut self,
        now: Duration,
        config: &Config,
        iop: Iop,
        (registry, first): (&Registry, usize),
    ) -> Result<(), String> {
        let (name, node) = (iop.name.to_string(), iop.id);
        let twice = self.all.iter().any(|one| one.config.name == iop.name || one.config.id == iop.id);
        if twice || config.name == iop.name || config.id == iop.id {
            return Err(format!("`{name}` (id {node}): every node needs a name and a number of its own"));
        }
        let slot = self.insert(config, iop).map_err(|e| match e.kind() {
            io::ErrorKind::StorageFull => format!("a node has at most {} I/O processors", crate::config::IOPS),
            io::ErrorKind::Unsupported => "this node has no shared memory (`shm.enable`)".into(),
            _ => format!("cannot add `{name}`: {e}"),
        })?;
        let Some(one) = self.all.iter_mut().find(|one| one.slot == slot) else { return Ok(()) };
        watch(registry, first, one).map_err(|e| format!("cannot add `{name}`: {e}"))?;
        self.tasks.push_back(Task::Tell("iop-added", node, format!("iop {name}: inserted")));
        one.processor.handle(now, Event::Boot);
        Ok(())
    }

    /// Does the next thing that the platform tells of; whether there was one.
    pub(super) fn hot_swap(&mut self, now: Duration, config: &Config, registry: (&Registry, usize)) -> bool {
        let Some(event) = self.platform.as_mut().and_then(|platform| platform.poll()) else { return false };
        let done = match event {
            HotSwap::Inserted(iop) => self.add(now, config, iop, registry),
            HotSwap::Wanted(name) => self.remove(now, &name),
        };
        if let Err(why) = done {
            log::warn!("slots: {why}");
        }
        true
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Iop, &Processor)> {
        self.all.iter().map(|one| (&one.config, &one.processor))
    }

    /// Whether a token belongs to one, counted from the first.
    pub(super) fn owns(&self, at: usize) -> bool {
        self.all.iter().any(|one| usize::from(one.slot) == at)
    }

    /// Starts all.
    pub(super) fn boot(&mut self, now: Duration) {
        self.all.iter_mut().for_each(|one| one.processor.handle(now, Event::Boot));
    }

    /// Stops all that run, each in order; their names.
    pub(super) fn hold_all(&mut self, now: Duration) -> Vec<String> {
        let running = self.all.iter_mut().filter(|one| !rests(&one.processor));
        let held = running.filter(|one| one.processor.refusal(Event::Hold).is_none()).map(|one| {
            one.processor.handle(now, Event::Hold);
            one.config.name.to_string()
        });
        held.collect()
    }

    /// Whether any runs, or will again by itself.
    pub(super) fn any_runs(&self) -> bool {
        self.all.iter().any(|one| !rests(&one.processor))
    }

    fn named(&mut self, name: &str) -> Result<&mut One, String> {
        let missing = || format!("no I/O processor has the name `{name}` (`minet iop list` lists them)");
        self.all.iter_mut().find(|one| &*one.config.name == name).ok_or_else(missing)
    }

    /// Tells one of something, by its name.
    pub(super) fn command(&mut self, now: Duration, name: &str, event: Event) -> Result<(), String> {
        let one = self.named(name)?;
        match one.processor.refusal(event) {
            Some(why) => Err(format!("iop {name}: {why}")),
            None => {
                one.processor.handle(now, event);
                Ok(())
            }
        }
    }

    /// Takes one out in order: what is under way is finished before.
    pub(super) fn remove(&mut self, now: Duration, name: &str) -> Result<(), String> {
        let one = self.named(name)?;
        one.removed = true;
        one.processor.handle(now, Event::Hold);
        Ok(())
    }

    /// The latest lines of one's console.
    pub(super) fn console(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.named(name).map(|one| one.processor.console())
    }

    /// One rang.
    pub(super) fn handle_bell(&mut self, now: Duration, at: usize) {
        if let Some(one) = self.all.iter_mut().find(|one| usize::from(one.slot) == at) {
            one.processor.handle_bell(now);
        }
    }

    /// When [`Iops::handle_timeout`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.all.iter().filter_map(|one| one.processor.poll_timeout()).min()
    }

    /// Runs what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.all.iter_mut().for_each(|one| one.processor.handle_timeout(now));
    }

    /// A link ended.
    pub(super) fn handle_end(&mut self, now: Duration, link: LinkId) {
        let Some(one) = self.all.iter_mut().find(|one| one.link == Some(link)) else { return };
        one.link = None;
        one.processor.handle(now, Event::LinkDown);
    }

    /// The node may know others than before: looks whether those are there that are to join.
    pub(super) fn handle_members(&mut self, now: Duration, node: &Node) {
        for one in self.all.iter_mut().filter(|one| one.processor.state().0 == State::Ready) {
            let peer = one.link.and_then(|link| node.link(link)).filter(|link| link.is_live()).and_then(|l| l.peer());
            let record = node.member(one.config.id).filter(|_| node.route(one.config.id).is_some());
            // What is known of its former life says nothing of this one.
            if let (Some(peer), Some(record)) = (peer, record)
                && peer.incarnation == record.incarnation
            {
                one.processor.handle_member(now);
            }
        }
    }

    /// Its link was made.
    pub(super) fn linked(&mut self, slot: u8, link: LinkId) {
        if let Some(one) = self.all.iter_mut().find(|one| one.slot == slot) {
            one.link = Some(link);
        }
    }

    /// The next thing to be done for them. Launches what is to be launched.
    pub(super) fn poll(&mut self, now: Duration, config: &Config, registry: &Registry) -> Option<Task> {
        self.settle(now);
        for one in &mut self.all {
            while let Some(want) = one.processor.poll() {
                match want {
                    Want::Configuration => match life(config, &one.config) {
                        Ok(config) => {
                            let bus = self.bus.as_mut().map(|bus| (bus, one.slot));
                            one.processor.configure(now, &config, bus);
                        }
                        Err(e) => {
                            log::error!("iop {}: cannot get random bytes: {e}", one.config.name);
                            one.processor.handle(now, Event::CannotLaunch);
                        }
                    },
                    Want::Join(rings) => {
                        let (name, pid) = (one.config.name.to_string(), one.processor.pid().unwrap_or(0));
                        self.tasks.push_back(Task::Join { slot: one.slot, name, pid, rings });
                    }
                    Want::Leave => {
                        self.tasks.extend(one.link.take().map(Task::Leave));
                        if let Some(bus) = &mut self.bus {
                            bus.leave(one.slot);
                        }
                    }
                }
            }
        }
        self.settle(now);
        self.release(registry);
        self.tasks.pop_front()
    }

    /// Lets those go that were to, and are held by now.
    fn release(&mut self, registry: &Registry) {
        let gone = |one: &One| one.removed && one.processor.state().0 == State::Hold;
        for one in self.all.extract_if(.., |one| gone(one)) {
            // It is closed with the processor.
            let _ = registry.deregister(&mut SourceFd(&one.processor.as_fd().as_raw_fd()));
            let (name, node) = (&one.config.name, one.config.id);
            if let Some(platform) = &mut self.platform {
                platform.released(name);
            }
            if one.quiesced {
                self.tasks.push_back(Task::Enable(node));
            }
            self.tasks.push_back(Task::Tell("iop-removed", node, format!("iop {name}: taken out")));
        }
    }
}

/// Whether one is not there, and does not come back by itself.
fn rests(processor: &Processor) -> bool {
    matches!(processor.state().0, State::Hold | State::Faulted | State::Reset)
}

fn watch(registry: &Registry, first: usize, one: &One) -> io::Result<()> {
    let fd = one.processor.as_fd().as_raw_fd();
    registry.register(&mut SourceFd(&fd), Token(first + usize::from(one.slot)), Interest::READABLE)
}

/// What one is told for its next life. It is on the node's first segment.
fn life(config: &Config, iop: &Iop) -> Result<iop::Config, getrandom::Error> {
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    let [a, b, c, d, seed @ ..] = random;
    let segment = config.segments.first();
    let addresses = iop.addresses.clone().unwrap_or_else(|| derived(iop.id));
    Ok(iop::Config {
        id: iop.id,
        name: iop.name.clone(),
        fabric: config.fabric.clone(),
        segment: segment.map_or_else(|| iop.name.clone(), |s| s.name.clone()),
        incarnation: Incarnation::new(u32::from_le_bytes([a, b, c, d])),
        version: SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64),
        seed: u64::from_le_bytes(seed),
        interval: iop.heartbeat.unwrap_or(config.heartbeat),
        miss_limit: config.miss_limit,
        mtu: segment.map_or(crate::config::MTU, |s| s.mtu.max(1280)),
        faults: iop.faults,
        addresses: addresses.iter().map(|a| (a.ip, a.prefix)).collect(),
    })
}
