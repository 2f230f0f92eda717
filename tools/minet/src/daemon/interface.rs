//! An interface of the node, from opening to what is told to the fabric of it.

use super::DaemonError;
use crate::{
    Cidr, Config, Mode, Segment,
    clock::Clock,
    userspace::{self, Directory, Userspace},
};
use messenger_core::{Mac, Node, NodeId, SegmentId, wire::Attachment};
use minet::{Offloads, Policy};
use netif::{Address, Change, Control, Error, Interface, LinkCounters, Monitor, TapConfig, plain, tap};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// An open interface.
pub(crate) struct Attached {
    pub(crate) segment: SegmentId,
    pub(crate) config: Segment,
    pub(crate) mac: Mac,
    pub(crate) vnet: bool,
    pub(crate) tun: bool,
    /// What it takes.
    pub(crate) offloads: Offloads,
    pub(crate) carrier: bool,
    pub(crate) mtu: u32,
    queues: Vec<OwnedFd>,
    addresses: Vec<Address>,
    side: Side,
}

/// Whose TCP/IP is on it.
enum Side {
    Host(Host),
    Own(Userspace),
}

/// What is known of an interface of the host.
struct Host {
    up: bool,
    gone: bool,
    wanted: Vec<Cidr>,
    control: Control,
    monitor: Monitor,
}

/// Super-frames of a node with a UDP carrier are no larger, in bytes: in parts of an Ethernet's size they still are one
/// run, which the system sends in one go. A little longer, and it would be two.
const SUPER_FRAME_UDP: u32 = 60_700;
/// The same where UDP is sealed: each datagram of the run has a head and a tag beside its part.
const SUPER_FRAME_SEALED: u32 = 59_500;

impl Attached {
    /// Opens it and sets it up; without a carrier until a peer is there.
    pub(super) fn open(config: &Config, segment: &Segment, clock: Clock) -> Result<Attached, DaemonError> {
        match segment.mode {
            Mode::Smoltcp => Attached::open_userspace(config, segment, clock),
            Mode::Tap | Mode::Plain | Mode::Tun => Ok(Attached::open_host(config, segment)?),
        }
    }

    /// Without an interface of the host.
    fn open_userspace(config: &Config, segment: &Segment, clock: Clock) -> Result<Attached, DaemonError> {
        let wanted = wanted(config, segment);
        let (own, queue) = Userspace::start(userspace::Parts {
            node: config.id,
            addresses: wanted.iter().map(|a| (a.ip, a.prefix)).collect(),
            frame: segment.mtu as usize + minet::Ethernet::LEN,
            clock,
            forwards: &segment.forwards,
            exposes: &segment.exposes,
        })?;
        let mac = Mac::of(config.id);
        log::info!("user-space network stack on segment {}: MAC {mac}, MTU {}", segment.name, segment.mtu);
        Ok(Attached {
            segment: SegmentId::from_name(&segment.name),
            config: segment.clone(),
            mac,
            vnet: true,
            tun: false,
            // It checks no sums, and takes long TCP segments.
            offloads: Offloads::CSUM.with(Offloads::TSO4).with(Offloads::TSO6).with(Offloads::SLICES),
            carrier: false,
            mtu: segment.mtu,
            queues: vec![queue],
            addresses: wanted.iter().map(|a| Address::new(a.ip, a.prefix)).collect(),
            side: Side::Own(own),
        })
    }

    fn open_host(config: &Config, segment: &Segment) -> Result<Attached, Error> {
        let name = segment.interface.as_str();
        let interface = match segment.mode {
            Mode::Tap => {
                let persist = segment.keep;
                tap::open(&TapConfig { name: name.into(), queues: config.queues, persist, ..TapConfig::default() })?
            }
            Mode::Plain => plain::open(name, netif::Mode::Tap)?,
            Mode::Tun | Mode::Smoltcp => plain::open(name, netif::Mode::Tun)?,
        };
        let mac = Mac::of(config.id);
        let tun = interface.mode() == netif::Mode::Tun;
        let mut control = Control::open(interface.name())?;
        let monitor = Monitor::open(control.index())?;
        if !tun {
            control.set_mac(mac.0)?;
        }
        control.set_mtu(segment.mtu)?;
        if config.udp.is_some()
            && segment.mode == Mode::Tap
            && let Err(e) =
                control.set_super_frame(if config.is_sealed() { SUPER_FRAME_SEALED } else { SUPER_FRAME_UDP })
        {
            log::debug!("super-frames keep their size: {}", text(&e));
        }
        control.set_up(true)?;
        control.set_carrier(false)?;
        let wanted = wanted(config, segment);
        for address in &wanted {
            match add(&mut control, address) {
                // An address nobody asked for, on a host without that family, is no reason not to start.
                Err(e) if segment.addresses.is_none() => log::warn!("{address} is not set: {}", text(&e)),
                other => other?,
            }
        }
        log::info!(
            "interface {} on segment {}: MAC {mac}, MTU {}, offloads: {}",
            interface.name(),
            segment.name,
            segment.mtu,
            interface.offloads()
        );
        let mut attached = Attached {
            segment: SegmentId::from_name(&segment.name),
            config: segment.clone(),
            mac,
            vnet: interface.has_vnet_header(),
            tun,
            offloads: offloads(&interface),
            carrier: false,
            mtu: segment.mtu,
            queues: Vec::new(),
            addresses: control.addresses()?,
            side: Side::Host(Host { up: true, gone: false, wanted, control, monitor }),
        };
        attached.queues = interface.into_queues();
        attached.queues.reverse();
        Ok(attached)
    }

    /// A queue for the next lane; plain interfaces have one only.
    pub(super) fn take_queue(&mut self) -> Option<OwnedFd> {
        match self.queues.len() {
            0 => None,
            1 if self.config.mode != Mode::Tap => self.queues.first()?.try_clone().ok(),
            _ => self.queues.pop(),
        }
    }

    /// Longest Ethernet frame it takes, in bytes, without VLAN tags.
    pub(super) fn largest_frame(&self) -> u32 {
        self.mtu + 14
    }

    /// What the fabric is told of it.
    pub(super) fn attachment(&self) -> Attachment {
        let usable = || self.addresses.iter().filter(|a| a.is_usable());
        Attachment {
            segment: self.segment,
            name: self.config.name.clone(),
            frame: self.largest_frame(),
            offloads: self.offloads.bits(),
            v4: usable().filter_map(|a| if let IpAddr::V4(ip) = a.ip { Some(ip.octets()) } else { None }).collect(),
            v6: usable().filter_map(|a| if let IpAddr::V6(ip) = a.ip { Some(ip.octets()) } else { None }).collect(),
        }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(|a| a.ip)
    }

    /// What the kernel counts of it. It alone knows what it dropped on the way from or to us.
    pub(super) fn kernel_counts(&self) -> LinkCounters {
        // An interface that was removed counts nothing more.
        netif::find(&self.config.interface).ok().flatten().map(|link| link.counters).unwrap_or_default()
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            learn: self.config.learn,
            broadcast_rate: self.config.broadcast_limit,
            broadcast_burst: self.config.broadcast_limit.saturating_mul(2),
            ..Policy::default()
        }
    }

    /// Turns the carrier on or off; tells whether it changed.
    pub(super) fn set_carrier(&mut self, on: bool) -> bool {
        if on == self.carrier {
            return false;
        }
        let set = match &mut self.side {
            Side::Host(host) => host.control.set_carrier(on),
            Side::Own(_) => Ok(()),
        };
        match set {
            Ok(()) => self.carrier = on,
            // An interface that is down keeps no carrier; it is set again when it comes up.
            Err(e) => {
                log::debug!("{e}: {}", std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default())
            }
        }
        self.carrier == on
    }

    /// Tells it where the members of its segment are.
    pub(super) fn tell_members(&self, node: &Node) {
        let Side::Own(own) = &self.side else { return };
        let mut directory = Directory::new();
        for record in node.members() {
            let Some(there) = record.attachments.iter().find(|a| a.segment == self.segment) else { continue };
            let v4 = there.v4.iter().map(|ip| IpAddr::from(*ip));
            let all: Vec<IpAddr> = v4.chain(there.v6.iter().map(|ip| IpAddr::from(*ip))).collect();
            directory.insert(record.node.to_string(), all.clone());
            directory.insert(record.name.to_string(), all);
        }
        own.set_directory(directory);
    }

    /// Reads what others changed; whether there was anything. After it, the carrier may have to be set again.
    pub(super) fn changed(&mut self) -> bool {
        let Side::Host(host) = &mut self.side else { return false };
        let changes = host.changes();
        if changes.is_empty() {
            return false;
        }
        for change in &changes {
            match change {
                Change::Gone => host.gone = true,
                Change::Link(link) => {
                    if link.up && !host.up {
                        host.restore(&self.addresses);
                    }
                    host.up = link.up;
                    self.carrier = link.carrier && link.up;
                    self.mtu = link.mtu;
                }
                Change::Address(_) | Change::NoAddress(_) | Change::Lost => {}
            }
        }
        if host.gone {
            return true;
        }
        match host.control.addresses() {
            Ok(addresses) => self.addresses = addresses,
            Err(e) => log::warn!("{}", text(&e)),
        }
        true
    }

    /// Somebody else removed it.
    pub(super) fn is_gone(&self) -> bool {
        matches!(&self.side, Side::Host(host) if host.gone)
    }

    /// Readable when [`Attached::changed`] is to be called; nobody changes what is in this process.
    pub(super) fn watched(&self) -> Option<BorrowedFd<'_>> {
        match &self.side {
            Side::Host(host) => Some(host.monitor.as_fd()),
            Side::Own(_) => None,
        }
    }
}

impl Host {
    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Err(e) = self.monitor.read(&mut changes) {
            log::warn!("{e}");
        }
        if changes.contains(&Change::Lost) {
            match self.control.link() {
                Ok(link) => changes.push(Change::Link(link)),
                Err(Error::NoInterface { .. }) => changes.push(Change::Gone),
                Err(e) => log::warn!("{}", text(&e)),
            }
        }
        changes
    }

    /// Puts back the addresses that the kernel took away while the interface was down.
    fn restore(&mut self, there: &[Address]) {
        for address in &self.wanted {
            if there.iter().all(|a| a.ip != address.ip || matches!(a.ip, IpAddr::V6(_)))
                && let Err(e) = add(&mut self.control, address)
            {
                log::warn!("{address} is not set again: {}", text(&e));
            }
        }
    }
}

/// The addresses that an interface is to have: only the first one has some that nobody asked for.
fn wanted(config: &Config, segment: &Segment) -> Vec<Cidr> {
    let first = config.segments.first().is_some_and(|s| s.name == segment.name);
    segment.addresses.clone().unwrap_or_else(|| if first { derived(config.id) } else { Vec::new() })
}

fn add(control: &mut Control, address: &Cidr) -> Result<(), Error> {
    control.add_address(&Address::new(address.ip, address.prefix).without_dad())
}

/// An error with the kernel's word.
fn text(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Addresses that a node's number gives: 10.77.0.0/16 and fd4d::/64.
/// The addresses of a node that was given none.
pub(super) fn derived(id: NodeId) -> Vec<Cidr> {
    let id = id.get();
    let host = (id - 1) % 65_534 + 1;
    let [_, _, c, d] = host.to_be_bytes();
    let [high, low] = [(id >> 16) as u16, id as u16];
    vec![
        Cidr { ip: Ipv4Addr::new(10, 77, c, d).into(), prefix: 16 },
        Cidr { ip: Ipv6Addr::new(0xfd4d, 0, 0, 0, 0, 0, high, low).into(), prefix: 64 },
    ]
}

fn offloads(interface: &Interface) -> Offloads {
    let netif::Offloads { csum, tso4, tso6, tso_ecn, uso } = interface.offloads();
    let all = [
        (csum, Offloads::CSUM),
        (tso4, Offloads::TSO4),
        (tso6, Offloads::TSO6),
        (tso_ecn, Offloads::TSO_ECN),
        (uso, Offloads::USO),
    ];
    all.iter().filter(|(on, _)| *on).fold(Offloads::SLICES, |sum, (_, o)| sum.with(*o))
}
