//! What waits and what was counted, object by object, for people to see.

use super::reports::Reporter;
use crate::control::{
    DumpPath, DumpPort, DumpReport, DumpSlot, DumpStream, DumpTicket, LinkStats, PathStats, PortStats, TraceEntry,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use messenger_core::{
    Node, NodeId, Path, PathCounts, PathState, Port, PortCounts, PortId, Status, Ticket, TicketId, Time, Traced,
    wire::{Flags, Kind, Priority},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of each list of a dump.
const ROWS: usize = 2_000;
/// Slots that are told of one ticket.
const SLOTS: usize = 1_000;

impl Reporter<'_> {
    /// All objects and queues.
    pub(super) fn dump(&self) -> DumpReport {
        let exchange = self.node.exchange();
        let mut tickets: Vec<(TicketId, &Ticket)> = exchange.tickets().collect();
        tickets.sort_by_key(|(id, ticket)| (ticket.since(), *id));
        let (ports, paths) = (exchange.ports().count(), exchange.paths().count());
        let more = |count: usize| count.saturating_sub(ROWS) as u64;
        let slots = |(_, ticket): &&(TicketId, &Ticket)| ticket.slots().len();
        // Two tickets of many targets are enough for an answer.
        let mut room = 4 * SLOTS;
        let shown = tickets.iter().take(ROWS).take_while(|entry| {
            let fits = room > 0;
            room = room.saturating_sub(slots(entry).min(SLOTS));
            fits
        });
        let told: Vec<DumpTicket> = shown.map(|(id, ticket)| self.ticket(*id, ticket)).collect();
        DumpReport {
            node: self.node.name().to_string(),
            uptime_ms: self.now.as_nanos() / 1_000_000,
            ports: exchange.ports().take(ROWS).map(port).collect(),
            paths: exchange.paths().take(ROWS).map(|(id, path)| dump_path(id.to_string(), path)).collect(),
            left_out: [more(ports), more(paths), (tickets.len() - told.len()) as u64],
            tickets: told,
            streams: exchange.streams().map(|stream| self.stream(stream)).collect(),
            watches: exchange.watches() as u64,
            guests: self.guests.first().map_or(0, |(_, count)| *count),
        }
    }

    fn ticket(&self, id: TicketId, ticket: &Ticket) -> DumpTicket {
        let slot = |slot: &messenger_core::Slot| DumpSlot {
            node: called(self.node, slot.node),
            port: slot.port.map(|port| port.to_string()),
            stored: slot.receipted,
            status: slot.status.map(|status| status.to_string()),
        };
        DumpTicket {
            id: id.to_string(),
            path: ticket.path().to_string(),
            to: self.node.exchange().path(ticket.path()).map(|path| path.spec().to.text()),
            age_ms: self.now.since(ticket.since()).as_millis() as u64,
            left_ms: ticket.deadline().map(|at| at.since(self.now).as_millis() as u64),
            response: ticket.wants_response(),
            open: ticket.open(),
            slots: ticket.slots().iter().take(SLOTS).map(slot).collect(),
        }
    }

    fn stream(&self, stream: messenger_core::StreamView) -> DumpStream {
        DumpStream {
            node: called(self.node, stream.node),
            up: stream.up,
            waiting: stream.waiting,
            datagrams: stream.datagrams,
            slots: stream.slots,
            asks: stream.asks,
            rtt_us: stream.round_trip.map(|time| time.as_nanos() as f64 / 1e3),
        }
    }

    /// Counters of ports, those that are closed all together at the end.
    pub(super) fn port_stats(&self) -> Vec<PortStats> {
        let exchange = self.node.exchange();
        let counted = |id: String, name: Option<String>, c: PortCounts| PortStats {
            id,
            name,
            admitted: c.admitted,
            bytes: c.bytes,
            refused: c.refused,
            taken: c.taken,
            dropped: c.dropped,
            ..PortStats::default()
        };
        let port = |port: &Port| PortStats {
            depth: port.depth().iter().sum::<usize>() as u64,
            used: Priority::ALL.map(|priority| port.used(priority)).iter().sum::<usize>() as u64,
            ..counted(port.id().to_string(), port.name().map(ToString::to_string), port.counts())
        };
        let mut all: Vec<PortStats> = exchange.ports().take(ROWS).map(port).collect();
        // The sum over the list is the node's, whatever is left out.
        let mut rest = exchange.gone().ports;
        exchange.ports().skip(ROWS).for_each(|port| rest.add(port.counts()));
        all.push(counted(String::new(), None, rest));
        all
    }

    /// Counters of paths, those that are closed all together at the end.
    pub(super) fn path_stats(&self) -> Vec<PathStats> {
        let exchange = self.node.exchange();
        let counted = |id: String, to: Option<String>, c: PathCounts| PathStats {
            id,
            to,
            sends: c.sends,
            messages: c.messages,
            bytes: c.bytes,
            refused: c.refused,
            outstanding: 0,
        };
        let path = |(id, path): (messenger_core::PathId, &Path)| PathStats {
            outstanding: path.outstanding() as u64,
            ..counted(id.to_string(), Some(path.spec().to.text()), path.counts())
        };
        let mut all: Vec<PathStats> = exchange.paths().take(ROWS).map(path).collect();
        let mut rest = exchange.gone().paths;
        exchange.paths().skip(ROWS).for_each(|(_, path)| rest.add(path.counts()));
        all.push(counted(String::new(), None, rest));
        all
    }

    /// Counters of links.
    pub(super) fn link_stats(&self) -> Vec<LinkStats> {
        let links = self.links().links.into_iter();
        let stats = links.map(|link| LinkStats {
            id: link.id,
            peer: link.peer,
            carrier: link.carrier,
            sent: link.sent,
            received: link.received,
            changes: u64::from(link.changes),
        });
        stats.collect()
    }
}

fn port(port: &Port) -> DumpPort {
    DumpPort {
        id: port.id().to_string(),
        name: port.name().map(ToString::to_string),
        kind: port.spec().kind.as_ref().map(ToString::to_string),
        attached: port.is_attached(),
        depth: port.depth(),
        used: Priority::ALL.map(|priority| port.used(priority)),
        room: port.spec().areas,
        unanswered: port.unanswered(),
    }
}

fn dump_path(id: String, path: &Path) -> DumpPath {
    let state = match path.state() {
        PathState::Opening => "opening",
        PathState::Enabled => "enabled",
        PathState::Quiesced => "quiesced",
        PathState::Failed => "failed",
    };
    DumpPath {
        id,
        from: path.spec().from.to_string(),
        to: path.spec().to.text(),
        state: state.to_owned(),
        outstanding: path.outstanding(),
    }
}

/// A traced message for people; `now` is the node's time of this moment.
pub(super) fn traced(node: &Node, now: Time, t: &Traced) -> TraceEntry {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix = here.saturating_sub(now.since(t.at));
    let own = node.id();
    let (source, target) = if t.sent { (own, t.node) } else { (t.node, own) };
    let port = |on: NodeId, port: PortId| {
        let name = node.exchange().names().find(|(n, p, _)| (*n, *p) == (on, port)).map(|(_, _, e)| e.name.to_string());
        name.unwrap_or_else(|| if port == PortId::NODE { "node".into() } else { port.to_string() })
    };
    let kind = match t.kind {
        Kind::Receipt => "receipt",
        Kind::Response => "response",
        _ => "message",
    };
    TraceEntry {
        number: t.number,
        unix_ns: unix.as_nanos() as u64,
        way: if t.sent { "sent" } else { "received" }.to_owned(),
        kind: kind.to_owned(),
        node: called(node, t.node),
        from: port(source, t.from),
        to: port(target, t.to),
        path: t.path.clone(),
        opcode: t.sub.opcode,
        tag: t.sub.tag,
        priority: t.priority as u8,
        receipt: t.wants.has(Flags::RECEIPT),
        response: t.wants.has(Flags::RESPONSE),
        transaction: format!("{:x}", t.transaction),
        slot: t.slot,
        status: Status { code: messenger_core::Code::from_number(t.sub.status), detail: t.sub.detail }.to_string(),
        length: t.length,
        wire: STANDARD.encode(&t.wire),
    }
}

fn called(node: &Node, id: NodeId) -> String {
    let record = node.member(id).or_else(|| node.departed().find(|record| record.node == id));
    record.map_or_else(|| id.to_string(), |record| record.name.to_string())
}
