//! The daemon: one process a node.
//!
//! The control thread (this one) has the node's core, timers, meetings, the control socket and netlink; lanes carry
//! frames. What is set up here is taken down when it is dropped, in the reverse order; what a killed daemon left is
//! taken over by the next.

mod control;
mod drain;
mod guests;
mod inspect;
mod interface;
mod iops;
mod journal;
mod local;
mod media;
mod paths;
pub(crate) mod privileges;
mod publish;
mod reports;
mod sealing;
mod signals;
mod supervisor;
mod syscalls;
mod user;
mod wires;

use crate::{
    Config,
    clock::Clock,
    lane::{Inbox, Lane, Mailbox, Parts, Port, may_greet},
    snapshot::Snapshot,
};
use arc_swap::ArcSwap;
use control::{Control, Tokens};
use fabric::{
    Carrier, Medium,
    ether::{Ether, EtherError, interfaces},
    middleware::{LINKTYPE_USER0, Pcap},
    sealed::Sealed,
    serial::{Serial, SerialError},
    shm::{self, Lock, Shm},
    udp::{Udp, UdpError},
};
use interface::Attached;
use local::Local;
use media::Underlay;
use messenger_core::{Incarnation, Node, NodeConfig};
use minet::Switch;
use sealing::Sealing;
pub use sealing::SealingError;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

/// Why a daemon did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The name or the run-time directory cannot be had.
    #[error("{0}{elsewhere}", elsewhere = elsewhere(.0))]
    Bind(#[from] shm::BindError),
    /// The interface cannot be made.
    #[error(transparent)]
    Interface(#[from] netif::Error),
    /// The user-space network stack cannot be started.
    #[error(transparent)]
    Userspace(#[from] crate::userspace::UserspaceError),
    /// Somebody removed the interface; without it there is nothing to do.
    #[error("interface {0} was removed by somebody else")]
    InterfaceGone(String),
    /// UDP cannot be had.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// Raw Ethernet cannot be had.
    #[error(transparent)]
    Ether(#[from] EtherError),
    /// The serial device cannot be had.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// Nothing can be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The capture file cannot be made.
    #[error("cannot write the capture file {path}")]
    Pcap {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The control socket or the guests' cannot be made.
    #[error("cannot make the socket {path}")]
    Control {
        /// Where.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The system is short of something.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
}

impl DaemonError {
    fn system(what: &'static str) -> impl Fn(io::Error) -> DaemonError {
        move |source| DaemonError::System { what, source }
    }
}

/// What to do about a directory.
fn elsewhere(error: &shm::BindError) -> &'static str {
    match error {
        shm::BindError::Name(_) | shm::BindError::Busy { .. } => "",
        _ => " (`run_dir` or `--run-dir` chooses another directory)",
    }
}

/// Numbers of the carriers in every lane.
const SHM: usize = 0;
const UDP: usize = 1;

/// Runs a node until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// Whatever keeps it from starting; see [`DaemonError`].
pub fn run(config: Config) -> Result<(), DaemonError> {
    let clock = Clock::start();
    let poll = mio::Poll::new().map_err(DaemonError::system("cannot make a poll set"))?;
    let signals = signals::Signals::new(poll.registry(), Tokens::SIGNAL)
        .map_err(DaemonError::system("cannot listen to signals"))?;
    let dir = config.run_dir.join(&*config.fabric);
    let trust = config.trust.as_ref().filter(|_| config.seals_any());
    let sealing = trust.map(|trust| Sealing::new(trust, config.queues, clock.now())).transpose()?;
    // From here on whatever is made is that user's.
    if let Some(user) = &config.user {
        user::become_user(user).map_err(DaemonError::system("cannot become another user"))?;
    }
    // A name is taken first: two daemons of one name would fight over everything else.
    let (listener, _lock) = if config.shm {
        (Some(shm::Listener::bind(&dir, &config.name)?), None)
    } else {
        (None, Some(Lock::take_in(&dir, &config.name)?))
    };
    let mut attached: Vec<Attached> = Vec::new();
    for segment in &config.segments {
        attached.push(Attached::open(&config, segment, clock)?);
    }
    privileges::drop_others(&config, &dir).map_err(DaemonError::system("cannot drop privileges"))?;
    let waker = mio::Waker::new(poll.registry(), Tokens::INBOX).map_err(DaemonError::system("cannot make a waker"))?;
    let inbox = Arc::new(Inbox::new(waker));
    let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let (lanes, doorbells) = lanes(&config, clock, &mut attached, &snapshot, &inbox)?;
    let iops = iops::Iops::new(&config, doorbells.first().map(AsFd::as_fd));
    let iops = iops.map_err(DaemonError::system("cannot make a doorbell"))?;
    let local = Local::new(listener, dir.clone(), &config, doorbells)?;
    let path = dir.join(format!("{}.ctl", config.name));
    let server = crate::control::Server::bind(&path, poll.registry(), Tokens::CONTROL, Tokens::CLIENTS)
        .map_err(|source| DaemonError::Control { path, source })?;
    let path = dir.join(format!("{}.guest", config.name));
    let guests = guests::Guests::bind(&path, poll.registry(), Tokens::GUESTS_DOOR, Tokens::GUESTS)
        .map_err(|source| DaemonError::Control { path, source })?;
    let mut node = Node::new(node_config(&config, &attached)?, clock.now());
    node.set_policy(clock.now(), config.policy);
    warn_of_clear_text(&config);
    if config.seccomp {
        syscalls::restrict()
            .map_err(DaemonError::system("cannot restrict system calls (`seccomp = false` leaves it out)"))?;
    }
    let control =
        Control::new(config, clock, node, attached, lanes, snapshot, inbox, local, iops, server, guests, sealing);
    control.run(poll, signals)
}

fn warn_of_clear_text(config: &Config) {
    if let (Some(address), false) = (config.udp, config.is_sealed()) {
        log::warn!("insecure = true: frames over UDP ({address}) are in clear text and anyone who reaches it may join");
    }
    for ether in config.ethers.iter().filter(|ether| !ether.sealed) {
        let name = &ether.interface;
        log::warn!("insecure = true: frames on the Ethernet of {name} are in clear text and anyone on it may join");
    }
    for serial in config.serials.iter().filter(|serial| !serial.sealed) {
        let path = serial.line.path.display();
        log::info!("frames on the serial line {path} are in clear text; whoever holds its other end may join");
    }
}

fn node_config(config: &Config, attached: &[Attached]) -> Result<NodeConfig, DaemonError> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|e| DaemonError::System {
        what: "cannot get random bytes",
        source: io::Error::other(e.to_string()),
    })?;
    let [a, b, c, d, seed @ ..] = random;
    let version = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    Ok(NodeConfig {
        node: config.id,
        name: config.name.clone(),
        fabric: config.fabric.clone(),
        incarnation: Incarnation::new(u32::from_le_bytes([a, b, c, d])),
        version,
        seed: u64::from_le_bytes(seed),
        interval: config.heartbeat,
        miss_limit: config.miss_limit,
        relay: config.relay,
        frame: attached.iter().map(Attached::largest_frame).max().unwrap_or(0),
        offloads: attached.first().map_or(0, |a| a.offloads.bits()),
    })
}

/// The lanes' threads and mailboxes. Dropping it stops them.
pub(crate) struct Lanes {
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    threads: Vec<JoinHandle<()>>,
    /// The kinds of the carriers, in order.
    pub(crate) kinds: Vec<&'static str>,
    /// What some of the carriers stand on.
    pub(crate) underlays: Vec<(usize, Underlay)>,
}

impl Lanes {
    /// Whether all of a carrier is sealed.
    fn is_sealed(&self, carrier: usize, config: &Config) -> bool {
        match self.underlays.iter().find(|(number, _)| *number == carrier) {
            Some((_, underlay)) => underlay.is_sealed(),
            None => carrier == UDP && config.is_sealed(),
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for mailbox in &self.mailboxes {
            mailbox.give(crate::lane::Command::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a lane ended in a panic");
            }
        }
    }
}

/// A node without one of its threads is of no use: a supervisor starts it again.
pub(crate) struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            log::error!("a thread ended in a panic; the daemon ends");
            std::process::abort();
        }
    }
}

type Started = (Lanes, Vec<OwnedFd>);

fn lanes(
    config: &Config,
    clock: Clock,
    attached: &mut [Attached],
    snapshot: &Arc<ArcSwap<Snapshot>>,
    inbox: &Arc<Inbox>,
) -> Result<Started, DaemonError> {
    let mut lanes = Lanes { mailboxes: Vec::new(), threads: Vec::new(), kinds: vec!["shm"], underlays: Vec::new() };
    let mut doorbells = Vec::new();
    let open = if config.is_sealed() { Udp::bind_sealed } else { Udp::bind };
    let mut udp = config.udp.map(open).transpose()?;
    if let Some(udp) = &mut udp {
        udp.set_greets(may_greet);
        lanes.kinds.push("udp");
    }
    let mut media = media(config)?;
    for (underlay, carrier) in &media {
        lanes.underlays.push((lanes.kinds.len(), underlay.clone()));
        lanes.kinds.push(carrier.kind());
    }
    let mut parts = Vec::new();
    for at in 0..config.queues {
        let shm = Shm::new().map_err(DaemonError::system("cannot make a doorbell"))?;
        doorbells.push(shm.doorbell().map_err(DaemonError::system("cannot copy a doorbell"))?);
        let mut carriers: Vec<Box<dyn Carrier>> = vec![capture(config, at, "shm", shm)?];
        let own = match &udp {
            // The last lane takes the socket itself; all others share it.
            Some(shared) if at + 1 < config.queues => {
                Some(shared.share().map_err(DaemonError::system("cannot copy the UDP socket"))?)
            }
            _ => udp.take(),
        };
        if let Some(udp) = own {
            carriers.push(capture(config, at, "udp", udp)?);
        }
        for (number, own) in media_of_lane(&mut media, at + 1 == config.queues)?.into_iter().enumerate() {
            let kind = format!("{}{number}-", own.kind());
            carriers.push(capture(config, at, &kind, own)?);
        }
        let ports = attached.iter_mut().filter_map(|a| port(a, at)).collect::<Vec<Port>>();
        let mailbox = Mailbox::new(ports.len(), carriers.len());
        let mailbox = Arc::new(mailbox.map_err(DaemonError::system("cannot make a doorbell"))?);
        lanes.mailboxes.push(mailbox.clone());
        let (snapshot, inbox) = (snapshot.clone(), inbox.clone());
        parts.push(Parts { ports, carriers, snapshot, mailbox, inbox, clock, spin: config.spin });
    }
    for (at, parts) in parts.into_iter().enumerate() {
        let cpu = config.cpus.get(at % config.cpus.len().max(1)).copied();
        let thread = thread::Builder::new().name(format!("lane-{at}")).spawn(move || {
            let _guard = Guard;
            if let Some(cpu) = cpu {
                bind(cpu);
            }
            Lane::new(parts).run();
        });
        lanes.threads.push(thread.map_err(DaemonError::system("cannot start a lane"))?);
    }
    Ok((lanes, doorbells))
}

/// A carrier on a medium, as its owner has it.
enum OnMedium {
    Ether(Box<Ether>),
    SealedEther(Box<Sealed<Ether>>),
    Serial(Box<Serial>),
    SealedSerial(Box<Sealed<Serial>>),
}

impl OnMedium {
    fn of_ether(ether: Ether, sealed: bool) -> OnMedium {
        if sealed { OnMedium::SealedEther(Box::new(Sealed::new(ether))) } else { OnMedium::Ether(Box::new(ether)) }
    }

    fn of_serial(serial: Serial, sealed: bool) -> OnMedium {
        if sealed { OnMedium::SealedSerial(Box::new(Sealed::new(serial))) } else { OnMedium::Serial(Box::new(serial)) }
    }

    fn kind(&self) -> &'static str {
        match self {
            OnMedium::Ether(ether) => ether.kind(),
            OnMedium::SealedEther(ether) => ether.kind(),
            OnMedium::Serial(serial) => serial.kind(),
            OnMedium::SealedSerial(serial) => serial.kind(),
        }
    }

    /// A handle that only sends.
    fn share(&self) -> io::Result<Box<dyn Carrier>> {
        Ok(match self {
            OnMedium::Ether(ether) => Box::new(ether.share()?),
            OnMedium::SealedEther(ether) => Box::new(ether.share()?),
            OnMedium::Serial(serial) => Box::new(serial.share()?),
            OnMedium::SealedSerial(serial) => Box::new(serial.share()?),
        })
    }

    fn into_carrier(self) -> Box<dyn Carrier> {
        match self {
            OnMedium::Ether(ether) => ether,
            OnMedium::SealedEther(ether) => ether,
            OnMedium::Serial(serial) => serial,
            OnMedium::SealedSerial(serial) => serial,
        }
    }
}

/// The configured carriers on media, as their owners have them.
fn media(config: &Config) -> Result<Vec<(Underlay, OnMedium)>, DaemonError> {
    let mut media = Vec::new();
    for ether in &config.ethers {
        let carrier = Ether::open(&ether.interface)?;
        if carrier.medium() == Medium::Down {
            let (name, others) = (&ether.interface, interfaces().join(", "));
            log::warn!("ether {name}: the interface is not there or not up; waiting for it (there are: {others})");
        }
        media.push((Underlay::Ether(ether.clone()), OnMedium::of_ether(carrier, ether.sealed)));
    }
    for serial in &config.serials {
        let carrier = Serial::open(serial.line.clone())?;
        media.push((Underlay::Serial(serial.clone()), OnMedium::of_serial(carrier, serial.sealed)));
    }
    Ok(media)
}

/// What a lane gets of them: the last the carriers themselves, all others handles that send.
fn media_of_lane(media: &mut Vec<(Underlay, OnMedium)>, last: bool) -> Result<Vec<Box<dyn Carrier>>, DaemonError> {
    if last {
        return Ok(media.drain(..).map(|(_, carrier)| carrier.into_carrier()).collect());
    }
    let shared = media.iter().map(|(_, carrier)| carrier.share()).collect::<io::Result<_>>();
    shared.map_err(DaemonError::system("cannot share a carrier"))
}

/// Keeps this thread on one processor; where that is not to be had, it stays free.
fn bind(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(e) = rustix::thread::sched_setaffinity(None, &set) {
        log::warn!("a lane is not bound to processor {cpu}: {e}; `nproc --all` tells how many there are");
    }
}

fn port(attached: &mut Attached, lane: usize) -> Option<Port> {
    Some(Port {
        segment: attached.segment,
        fd: attached.take_queue()?,
        vnet: attached.vnet,
        tun: attached.tun,
        offloads: attached.offloads,
        switch: Switch::for_lane(lane as u8),
    })
}

/// The carrier, with a capture around it where one is wanted.
fn capture<C: Carrier + 'static>(
    config: &Config,
    lane: usize,
    kind: &str,
    carrier: C,
) -> Result<Box<dyn Carrier>, DaemonError> {
    let Some(path) = &config.pcap else { return Ok(Box::new(carrier)) };
    let path = path.with_extension(format!("{kind}{lane}.pcap"));
    match Pcap::create(carrier, &path, LINKTYPE_USER0) {
        Ok(carrier) => Ok(Box::new(carrier)),
        Err(source) => Err(DaemonError::Pcap { path, source }),
    }
}
