//! An interface of the node, from opening to what is told to the fabric of it.

use crate::{Cidr, Config, Mode, Segment};
use messenger_core::{Mac, NodeId, SegmentId, wire::Attachment};
use minet::{Offloads, Policy};
use netif::{Address, Change, Control, Error, Interface, Monitor, TapConfig, plain, tap};
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
    up: bool,
    gone: bool,
    wanted: Vec<Cidr>,
    queues: Vec<OwnedFd>,
    control: Control,
    monitor: Monitor,
    addresses: Vec<Address>,
}

/// Super-frames of a node with a UDP carrier are no larger, in bytes: in parts of an Ethernet's size they still are one
/// run, which the system sends in one go. A little longer, and it would be two.
const SUPER_FRAME_UDP: u32 = 60_700;
/// The same where UDP is sealed: each datagram of the run has a head and a tag beside its part.
const SUPER_FRAME_SEALED: u32 = 59_500;

impl Attached {
    /// Opens it and sets it up; without a carrier until a peer is there.
    pub(super) fn open(config: &Config, segment: &Segment) -> Result<Attached, Error> {
        let name = segment.interface.as_str();
        let interface = match segment.mode {
            Mode::Tap => {
                let persist = segment.keep;
                tap::open(&TapConfig { name: name.into(), queues: config.queues, persist, ..TapConfig::default() })?
            }
            Mode::Plain => plain::open(name, netif::Mode::Tap)?,
            Mode::Tun => plain::open(name, netif::Mode::Tun)?,
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
        let first = config.segments.first().is_some_and(|s| s.name == segment.name);
        let wanted = segment.addresses.clone().unwrap_or_else(|| if first { derived(config.id) } else { Vec::new() });
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
            up: true,
            gone: false,
            mtu: segment.mtu,
            wanted,
            queues: Vec::new(),
            control,
            monitor,
            addresses: Vec::new(),
        };
        attached.queues = interface.into_queues();
        attached.queues.reverse();
        attached.look()?;
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
        match self.control.set_carrier(on) {
            Ok(()) => self.carrier = on,
            // An interface that is down keeps no carrier; it is set again when it comes up.
            Err(e) => {
                log::debug!("{e}: {}", std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default())
            }
        }
        self.carrier == on
    }

    /// Reads what others changed; whether there was anything. After it, the carrier may have to be set again.
    pub(super) fn changed(&mut self) -> bool {
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
        for change in &changes {
            match change {
                Change::Gone => self.gone = true,
                Change::Link(link) => {
                    if link.up && !self.up {
                        self.restore();
                    }
                    self.up = link.up;
                    self.carrier = link.carrier && link.up;
                    self.mtu = link.mtu;
                }
                Change::Address(_) | Change::NoAddress(_) | Change::Lost => {}
            }
        }
        if changes.is_empty() {
            return false;
        }
        if self.gone {
            return true;
        }
        if let Err(e) = self.look() {
            log::warn!("{}", text(&e));
        }
        true
    }

    /// Somebody else removed it.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Puts back the addresses that the kernel took away while the interface was down.
    fn restore(&mut self) {
        for address in &self.wanted {
            if self.addresses.iter().all(|a| a.ip != address.ip || matches!(a.ip, IpAddr::V6(_)))
                && let Err(e) = add(&mut self.control, address)
            {
                log::warn!("{address} is not set again: {}", text(&e));
            }
        }
    }

    fn look(&mut self) -> Result<(), Error> {
        self.addresses = self.control.addresses()?;
        Ok(())
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }
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
