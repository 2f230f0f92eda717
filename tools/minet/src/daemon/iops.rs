//! The I/O processors of this node: what happens to them is told to their manager, and what it wants is done.

use super::interface::derived;
use crate::{Config, config::Iop};
use fabric::shm::Rings;
use iop::{Event, Policy, Processor, Spec, Want};
use messenger_core::{Incarnation, LinkId};
use mio::{Interest, Registry, Token, unix::SourceFd};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// All of them, in the order of the configuration.
#[derive(Default)]
pub(super) struct Iops(Vec<One>);

struct One {
    config: Iop,
    processor: Processor,
    link: Option<LinkId>,
}

/// What is to be done for them.
pub(super) enum Task {
    /// Link up over these rings; then [`Iops::linked`].
    Join { at: usize, name: String, pid: u32, rings: Vec<Rings> },
    /// Close this link.
    Leave(LinkId),
}

impl Iops {
    /// All in reset. `doorbell` is the first lane's.
    pub(super) fn new(config: &Config, doorbell: Option<BorrowedFd<'_>>) -> io::Result<Iops> {
        let Some(doorbell) = doorbell else { return Ok(Iops::default()) };
        let one = |iop: &Iop| {
            let spec = Spec {
                name: iop.name.to_string(),
                image: iop.image.clone(),
                program: iop.qemu.clone(),
                lanes: config.queues,
                ring: config.ring,
                doorbell: doorbell.try_clone_to_owned()?,
                policy: Policy::default(),
            };
            Ok(One { config: iop.clone(), processor: Processor::new(spec)?, link: None })
        };
        config.iops.iter().map(one).collect::<io::Result<_>>().map(Iops)
    }

    /// Watches them; tokens count up from `first`.
    pub(super) fn register(&self, registry: &Registry, first: usize) -> io::Result<()> {
        for (n, one) in self.0.iter().enumerate() {
            let fd = one.processor.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&fd), Token(first + n), Interest::READABLE)?;
        }
        Ok(())
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Iop, &Processor)> {
        self.0.iter().map(|one| (&one.config, &one.processor))
    }

    /// Starts all.
    pub(super) fn boot(&mut self, now: Duration) {
        self.0.iter_mut().for_each(|one| one.processor.handle(now, Event::Boot));
    }

    /// Tells one of something, by its name; whether there is such a one.
    pub(super) fn command(&mut self, now: Duration, name: &str, event: Event) -> bool {
        match self.0.iter_mut().find(|one| &*one.config.name == name) {
            Some(one) => {
                one.processor.handle(now, event);
                true
            }
            None => false,
        }
    }

    /// One rang.
    pub(super) fn handle_bell(&mut self, now: Duration, at: usize) {
        if let Some(one) = self.0.get_mut(at) {
            one.processor.handle_bell(now);
        }
    }

    /// When [`Iops::handle_timeout`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.0.iter().filter_map(|one| one.processor.poll_timeout()).min()
    }

    /// Runs what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.0.iter_mut().for_each(|one| one.processor.handle_timeout(now));
    }

    /// A link came up, or ended.
    pub(super) fn handle_link(&mut self, now: Duration, link: LinkId, up: bool) {
        let Some(one) = self.0.iter_mut().find(|one| one.link == Some(link)) else { return };
        if !up {
            one.link = None;
        }
        one.processor.handle(now, if up { Event::LinkUp } else { Event::LinkDown });
    }

    /// Its link was made.
    pub(super) fn linked(&mut self, at: usize, link: LinkId) {
        if let Some(one) = self.0.get_mut(at) {
            one.link = Some(link);
        }
    }

    /// The next thing to be done for them. Launches what is to be launched.
    pub(super) fn poll(&mut self, now: Duration, config: &Config) -> Option<Task> {
        for (at, one) in self.0.iter_mut().enumerate() {
            while let Some(want) = one.processor.poll() {
                match want {
                    Want::Configuration => match life(config, &one.config) {
                        Ok(config) => one.processor.configure(now, &config),
                        Err(e) => {
                            log::error!("iop {}: cannot get random bytes: {e}", one.config.name);
                            one.processor.handle(now, Event::CannotLaunch);
                        }
                    },
                    Want::Join(rings) => {
                        let (name, pid) = (one.config.name.to_string(), one.processor.pid().unwrap_or(0));
                        return Some(Task::Join { at, name, pid, rings });
                    }
                    Want::Leave => {
                        if let Some(link) = one.link.take() {
                            return Some(Task::Leave(link));
                        }
                    }
                }
            }
        }
        None
    }
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
        interval: config.heartbeat,
        miss_limit: config.miss_limit,
        mtu: segment.map_or(crate::config::MTU, |s| s.mtu.max(1280)),
        addresses: addresses.iter().map(|a| (a.ip, a.prefix)).collect(),
    })
}
