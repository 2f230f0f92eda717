//! TCP/IP on a station, and the services on it.

use crate::{
    Station,
    device::Port,
    ends::Bell,
    ports::{Ports, requests::Fault},
    probe::Probe,
    services::{Facts, Services},
};
use alloc::{string::String, vec::Vec};
use core::net::IpAddr;
use fabric_ring::Memory;
use messenger_core::{Mac, Time};
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv6Address},
};

/// What a station runs on, for people.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// What it is.
    pub kind: String,
    /// Bytes of memory used and bytes there are.
    pub memory: (usize, usize),
}

/// A station with its network stack.
pub struct Stack<M, B> {
    station: Station<M, B>,
    interface: Interface,
    sockets: SocketSet<'static>,
    services: Services,
    ports: Ports,
    probe: Probe,
    started: Time,
}

impl<M: Memory + 'static, B: Bell + 'static> Stack<M, B> {
    /// Puts the stack on a station.
    pub fn new(mut station: Station<M, B>, now: Time) -> Stack<M, B> {
        let mac = Mac::of(station.config().id);
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        config.random_seed = station.config().seed;
        let addresses = station.config().addresses.clone();
        let mut interface = Interface::new(config, &mut Port { station: &mut station, now }, instant(now));
        interface.update_ip_addrs(|own| {
            let wanted = addresses.into_iter().chain([(IpAddr::V6(link_local(mac)), 64)]);
            for (ip, prefix) in wanted {
                // There is room for more addresses than a configuration can have.
                let _ = own.push(IpCidr::new(ip.into(), prefix));
            }
        });
        let mut sockets = SocketSet::new(Vec::new());
        let services = Services::new(&mut sockets);
        let ports = Ports::open(&mut station, now);
        let probe = Probe::new(&mut sockets);
        Stack { station, interface, sockets, services, ports, probe, started: now }
    }

    /// The station.
    pub const fn station(&self) -> &Station<M, B> {
        &self.station
    }

    /// The station, to have it meet others.
    pub const fn station_mut(&mut self) -> &mut Station<M, B> {
        &mut self.station
    }

    /// What the probe counted: echo requests by frames that were answered, and requests by messages.
    pub const fn pulse(&self) -> [u32; 2] {
        self.probe.answered()
    }

    /// How it is to fail now, if somebody wanted that.
    pub const fn fault(&self) -> Option<Fault> {
        self.ports.fault()
    }

    /// Takes no new messages any more. Whether none are under way either.
    pub fn finish(&mut self, now: Time) -> bool {
        let done = self.ports.finish(&mut self.station, now);
        self.station.follow_up();
        done
    }

    /// Does what there is to do; whether there may be more at once.
    pub fn handle(&mut self, now: Time, machine: impl Fn() -> Machine) -> bool {
        self.station.disarm();
        let mut worked = self.station.handle(now);
        let mut port = Port { station: &mut self.station, now };
        worked |= self.interface.poll(instant(now), &mut port, &mut self.sockets)
            == smoltcp::iface::PollResult::SocketStateChanged;
        let facts = Facts { now, started: self.started, machine: &machine };
        if self.ports.handle(&mut self.station, now, &facts, &mut self.probe) {
            worked = true;
            self.station.follow_up();
        }
        if self.probe.handle(now, &mut self.station, &mut self.sockets) {
            worked = true;
            self.station.follow_up();
            let mut port = Port { station: &mut self.station, now };
            self.interface.poll(instant(now), &mut port, &mut self.sockets);
        }
        if self.services.handle(&mut self.sockets, &self.station, &facts) {
            worked = true;
            let mut port = Port { station: &mut self.station, now };
            self.interface.poll(instant(now), &mut port, &mut self.sockets);
        }
        self.station.flush();
        worked
    }

    /// Asks peers to ring; `false` when there is something to do already.
    pub fn arm(&mut self) -> bool {
        self.station.arm()
    }

    /// When [`Stack::handle`] is to be called though nobody rings.
    pub fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        let stack = self.interface.poll_at(instant(now), &self.sockets);
        let stack =
            stack.map(|at| Time::from_nanos(u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000)));
        [stack, self.station.poll_timeout(), self.probe.poll_timeout()].into_iter().flatten().min()
    }
}

fn instant(time: Time) -> Instant {
    Instant::from_micros((time.as_nanos() / 1000) as i64)
}

/// The address that every IPv6 interface has: made from its MAC address.
fn link_local(mac: Mac) -> Ipv6Address {
    let [a, b, c, d, e, f] = mac.0;
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Address::new(0xfe80, 0, 0, 0, word(a ^ 2, b), word(c, 0xff), word(0xfe, d), word(e, f))
}
