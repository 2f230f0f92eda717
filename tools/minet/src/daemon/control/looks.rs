//! Who looks on: traces, and questions that other nodes ask.

use super::Control;
use crate::{
    control::{Ask, Failure, Requests, TraceReport, TraceWish},
    daemon::inspect,
};
use messenger_core::{Answer, Name, NodeId, PortSpec, Received, TraceFilter};
use mio::{Registry, Token};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A trace ends when nobody asked for so long.
const LEASE: Duration = Duration::from_secs(5);
/// Messages in one answer.
const ENTRIES: usize = 500;
/// Where other nodes ask.
pub(in crate::daemon) const ASK: &str = "minet/ask";

/// Who traces, and until when if it does not ask again.
pub(super) struct Tracing {
    client: Token,
    until: Instant,
}

impl Control {
    /// Opens the port where others ask.
    pub(super) fn open_ask_port(&mut self) {
        let Ok(name) = Name::new(ASK) else { return };
        if let Err(status) = self.node.exchange_mut().open_port(self.clock.now(), PortSpec::named(name)) {
            log::warn!("other nodes cannot ask this one: {status}");
        }
    }

    /// Begins a trace, or tells what went through since.
    pub(super) fn trace(&mut self, client: Token, wish: Option<TraceWish>, registry: &Registry) {
        let others = self.tracing.as_ref().is_some_and(|tracing| tracing.client != client);
        if others && self.tracing.as_ref().is_some_and(|tracing| tracing.until > Instant::now()) {
            return self.server.refuse(client, registry, "somebody else traces this node");
        }
        match wish.map(|wish| self.filter(wish)) {
            Some(Ok(filter)) => self.node.exchange_mut().set_trace(Some(filter)),
            Some(Err(error)) => return self.server.refuse(client, registry, error),
            None if others || self.tracing.is_none() => {
                return self.server.refuse(client, registry, "no trace was begun, or it ended");
            }
            None => {}
        }
        self.tracing = Some(Tracing { client, until: Instant::now() + LEASE });
        let now = self.clock.now();
        let taken = self.node.exchange_mut().take_traced(ENTRIES);
        let entries = taken.iter().map(|traced| inspect::traced(&self.node, now, traced)).collect();
        self.server.answer(client, registry, &TraceReport { entries });
    }

    /// When [`Control::end_trace`] wants to be called.
    pub(super) fn trace_timeout(&self) -> Option<Duration> {
        self.tracing.as_ref().map(|tracing| tracing.until.saturating_duration_since(Instant::now()))
    }

    /// Ends a trace that nobody reads.
    pub(super) fn end_trace(&mut self) {
        if self.trace_timeout() == Some(Duration::ZERO) {
            self.tracing = None;
            self.node.exchange_mut().set_trace(None);
        }
    }

    fn filter(&self, wish: TraceWish) -> Result<TraceFilter, String> {
        let node = wish.node.map(|text| self.find_member(&text).ok_or(format!("no member is `{text}`"))).transpose()?;
        let port = wish.port.map(|text| Name::new(&text).map_err(|error| format!("`{text}`: {error}"))).transpose()?;
        Ok(TraceFilter { node, port, path: wish.path, opcode: wish.opcode, snap: wish.snap })
    }

    fn find_member(&self, text: &str) -> Option<NodeId> {
        let number: Option<u32> = text.parse().ok();
        let found = self.node.members().find(|r| &*r.name == text || number == Some(r.node.get()));
        found.map(|record| record.node)
    }

    /// Answers what other nodes asked, and what guests of this one asked the same way.
    pub(super) fn answer_nodes(&mut self) {
        while let Some(received) = self.guests.next_asked() {
            let Some(ask) = received.ask else { continue };
            let answer = self.answer_node(&received);
            // Who asked may be gone.
            let _ = self.node.exchange_mut().respond(self.clock.now(), &ask, Answer::new(answer));
            self.guests.deliver(&mut self.node, self.clock.now());
        }
    }

    fn answer_node(&self, received: &Received) -> Vec<u8> {
        let mut line = received.payload.slice(0..received.payload.len().min(Requests::LINE)).to_vec();
        line.push(b'\n');
        let asked = Requests::default().take(&line).into_iter().next();
        let reporter = self.reporter();
        match asked {
            Some(Ok(Ask::Status)) => json(&reporter.status()),
            Some(Ok(Ask::Nodes)) => json(&reporter.nodes()),
            Some(Ok(Ask::Links)) => json(&reporter.links()),
            Some(Ok(Ask::Ports)) => json(&reporter.ports()),
            Some(Ok(Ask::Events)) => json(&self.journal.report()),
            Some(Ok(Ask::Stats { reset: false })) => json(&self.stats()),
            Some(Ok(Ask::Dump)) => json(&reporter.dump()),
            Some(Ok(_)) => json(&Failure { error: "that is not told to other nodes".to_owned() }),
            Some(Err(error)) => json(&Failure { error }),
            None => json(&Failure { error: "nothing is asked".to_owned() }),
        }
    }
}

fn json(report: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(report).unwrap_or_default()
}
