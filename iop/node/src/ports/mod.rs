//! The ports that a station serves: one that runs requests, and a block device.

pub mod disk;
pub mod requests;

use crate::{
    Bell, Station,
    probe::{self, Probe},
    services::Facts,
};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use disk::Disk;
use fabric_ring::Memory;
use messenger_core::{Answer, Ask, Code, Delivery, Message, Name, PortSpec, Received, Status, Target, TicketId, Time};
use requests::Fault;

/// Blocks of the device: 1 MiB.
const BLOCKS: usize = 2048;
/// What each area of a port holds, in bytes: some requests of the largest kind.
const AREA: usize = 256 << 10;
/// How long a port may take to confirm what it was said.
const PATIENCE: core::time::Duration = core::time::Duration::from_secs(5);

/// The client's own numbers of the ports.
const REQUESTS: u64 = 1;
const DISK: u64 = 2;

/// All of them.
pub(crate) struct Ports {
    disk: Disk,
    /// Who is to be told when what they had said is confirmed.
    said: BTreeMap<TicketId, Ask>,
    fault: Option<Fault>,
    finished: bool,
}

impl Ports {
    /// Opens the ports. One whose name would be too long is not there.
    pub(crate) fn open<M: Memory, B: Bell>(station: &mut Station<M, B>, now: Time) -> Ports {
        let name = station.config().name.clone();
        for (kind, context) in [("requests", REQUESTS), ("disk", DISK)] {
            let Ok(own) = Name::new(&format!("iop/{name}/{kind}")) else { continue };
            let kind = Name::new(kind).ok();
            let spec = PortSpec { kind, context, areas: [AREA; 4], ..PortSpec::named(own) };
            // The node is new: there is room, and no other port has the name.
            let _ = station.exchange().open_port(now, spec);
        }
        Ports { disk: Disk::new(BLOCKS), said: BTreeMap::new(), fault: None, finished: false }
    }

    /// Serves what came; whether there was anything.
    pub(crate) fn handle<M: Memory, B: Bell>(
        &mut self,
        station: &mut Station<M, B>,
        now: Time,
        facts: &Facts<'_>,
        probe: &mut Probe,
    ) -> bool {
        let mut worked = false;
        while let Some(delivery) = station.exchange().poll_deliver() {
            worked = true;
            match delivery {
                Delivery::Message { context: DISK, message } => {
                    let answer = self.disk.answer(message.opcode, &message.payload.to_vec());
                    respond(station, now, message.ask, answer);
                }
                Delivery::Message { message, .. } => self.request(station, now, message, facts, probe),
                Delivery::Settled(outcome) => {
                    let ask = self.said.remove(&outcome.ticket);
                    respond(station, now, ask, Answer::refusal(requests::failed(outcome.status())));
                }
                Delivery::Response { context: probe::CONTEXT, message, .. } if message.status.is_good() => {
                    probe.heard()
                }
                Delivery::Confirmed { .. }
                | Delivery::Ready { .. }
                | Delivery::Response { .. }
                | Delivery::Path { .. }
                | Delivery::Watch { .. }
                | Delivery::NameLost { .. }
                | Delivery::PathClosed { .. }
                | Delivery::PortClosed { .. }
                | Delivery::NodeClosed => {}
            }
        }
        worked
    }

    fn request<M: Memory, B: Bell>(
        &mut self,
        station: &mut Station<M, B>,
        now: Time,
        message: Received,
        facts: &Facts<'_>,
        probe: &mut Probe,
    ) {
        let answer = match message.opcode {
            requests::ECHO => Answer::new(message.payload),
            requests::STATUS => Answer::new(facts.page(station).into_bytes()),
            requests::COUNTERS => Answer::new(self.counters(station, probe.answered()).into_bytes()),
            requests::MEMORY => {
                let (used, all) = (facts.machine)().memory;
                Answer::new([used, all].map(|n| (n as u64).to_le_bytes()).concat())
            }
            requests::SAY => match say(station, now, &message) {
                Ok(ticket) => {
                    // Who wants no answer is not told.
                    self.said.extend(message.ask.map(|ask| (ticket, ask)));
                    return;
                }
                Err(status) => Answer::refusal(status),
            },
            requests::PROBE => {
                let wanted = requests::probe(&message.payload.to_vec());
                let begun = wanted.and_then(|wanted| probe.start(now, station, wanted));
                Answer::refusal(begun.err().unwrap_or(Status::GOOD))
            }
            requests::FAULT if !station.config().faults => Answer::refusal(Status::new(Code::NotAllowed)),
            requests::FAULT => {
                let fault = Fault::parse(&message.payload.to_vec());
                self.fault = fault.ok();
                Answer::refusal(fault.err().unwrap_or(Status::GOOD))
            }
            _ => Answer::refusal(Status::new(Code::NotSupported)),
        };
        respond(station, now, message.ask, answer);
    }

    /// How it is to fail now, if somebody wanted it.
    pub(crate) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Takes nothing new any more. Whether nothing is under way either.
    pub(crate) fn finish<M: Memory, B: Bell>(&mut self, station: &mut Station<M, B>, now: Time) -> bool {
        if self.said.is_empty() && !self.finished {
            self.finished = true;
            let exchange = station.exchange();
            let ports: Vec<_> = exchange.ports().map(messenger_core::Port::id).collect();
            for port in ports {
                // It is there.
                let _ = exchange.finish_port(now, port);
            }
        }
        let members: Vec<_> = station.node().members().map(|member| member.node).collect();
        self.finished && members.into_iter().all(|member| station.exchange().is_idle(member))
    }

    /// All that was counted, a line each.
    fn counters<M: Memory, B: Bell>(&self, station: &mut Station<M, B>, probe: [u32; 2]) -> String {
        let traffic = station.exchange().traffic();
        let (reads, writes) = self.disk.counts();
        let own = [
            ("messages-admitted", traffic.admitted),
            ("messages-refused", traffic.refused),
            ("messages-resent", traffic.resent),
            ("tickets", traffic.tickets),
            ("blocks-read", reads),
            ("blocks-written", writes),
            ("probe-frames", u64::from(probe[0])),
            ("probe-messages", u64::from(probe[1])),
        ];
        let counters = station.counters();
        let drops = counters.drops().map(|(reason, count)| (reason.name(), count)).filter(|(_, count)| *count > 0);
        let lines = own.into_iter().chain(counters.iter()).chain(drops);
        lines.map(|(name, count)| format!("{name} {count}\n")).collect()
    }
}

fn say<M: Memory, B: Bell>(station: &mut Station<M, B>, now: Time, message: &Received) -> Result<TicketId, Status> {
    let payload: Vec<u8> = message.payload.to_vec();
    let (name, what) = requests::say(&payload)?;
    let confirmed = Message { deadline: Some(PATIENCE), tag: message.tag, ..Message::confirmed(what) };
    let sent = station.exchange().send_to(now, Target::Name(name), &confirmed).map_err(requests::failed)?;
    // A confirmed message that was taken has a ticket.
    sent.ticket.ok_or(Status::new(Code::Failed))
}

/// Answers, if an answer is wanted. Who asked may be gone by now.
fn respond<M: Memory, B: Bell>(station: &mut Station<M, B>, now: Time, ask: Option<Ask>, answer: Answer) {
    if let Some(ask) = ask {
        let answer = match answer.payload.len() > station.exchange().limits().message {
            true => Answer::refusal(Status::new(Code::NoSpace)),
            false => answer,
        };
        let _ = station.exchange().respond(now, &ask, answer);
    }
}

#[cfg(test)]
mod tests;
