//! TCP/IP on a station, and the services on it.

use crate::{
    Frames, Station,
    ends::Bell,
    inet::Inet,
    ports::{Ports, requests::Fault},
    probe::Probe,
    services::{Facts, Services},
};
use alloc::string::String;
use fabric_ring::Memory;
use messenger_core::{Mac, Time};

/// Broadcasts of a turn, when somebody wants it to fail by them.
const FLOOD: usize = 64;

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
    inet: Inet,
    services: Services,
    ports: Ports,
    probe: Probe,
    started: Time,
}

impl<M: Memory + 'static, B: Bell + 'static> Stack<M, B> {
    /// Puts the stack on a station.
    pub fn new(mut station: Station<M, B>, now: Time) -> Stack<M, B> {
        let (id, seed) = (station.config().id, station.config().seed);
        let addresses = station.config().addresses.clone();
        let mut inet = Inet::new(&mut station, id, seed, addresses, now);
        let services = Services::new(inet.sockets());
        let ports = Ports::open(&mut station, now);
        let probe = Probe::new(inet.sockets());
        Stack { station, inet, services, ports, probe, started: now }
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
        worked |= self.inet.poll(now, &mut self.station);
        let facts = Facts { now, started: self.started, machine: &machine };
        let fault = self.fault();
        if fault == Some(Fault::Broadcasts) {
            worked = true;
            self.flood(now);
        }
        if fault != Some(Fault::Mute) && self.ports.handle(&mut self.station, now, &facts, &mut self.probe) {
            worked = true;
            self.station.follow_up();
        }
        if self.probe.handle(now, &mut self.station, self.inet.sockets()) {
            worked = true;
            self.station.follow_up();
            self.inet.poll(now, &mut self.station);
        }
        if self.services.handle(self.inet.sockets(), &self.station, &facts) {
            worked = true;
            self.inet.poll(now, &mut self.station);
        }
        self.station.flush();
        worked
    }

    /// Broadcasts: requests for an address that nobody has.
    fn flood(&mut self, now: Time) {
        let own = Mac::of(self.station.config().id).0;
        let mut frame = [0; 60];
        let head = [[0xff; 6], own].concat();
        // Of a protocol for experiments, so that nobody answers.
        let head = head.iter().chain(&[0x88, 0xb6]);
        frame.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
        for _ in 0..FLOOD {
            self.station.send_frame(now, &mut frame);
        }
    }

    /// Asks peers to ring; `false` when there is something to do already.
    pub fn arm(&mut self) -> bool {
        self.station.arm()
    }

    /// When [`Stack::handle`] is to be called though nobody rings.
    pub fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        [self.inet.poll_timeout(now), self.station.poll_timeout(), self.probe.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}
