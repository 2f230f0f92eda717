//! Answers to what people and programs ask.

use super::{Lanes, interface::Attached, iops::Iops, wires::Wires};
use crate::{
    Config,
    control::{
        CarrierReport, InterfaceReport, IopReport, IopsReport, LinkCount, LinkReport, LinksReport, NodeReport,
        NodesReport, PortReport, PortsReport, SegmentReport, SelfReport, StatsReport, StatusReport,
    },
    lane::Inbox,
};
use messenger_core::{Mac, Node, Time, wire::Record};
use minet::Counters;
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Everything an answer is made from.
pub(super) struct Reporter<'a> {
    pub(super) config: &'a Config,
    pub(super) node: &'a Node,
    pub(super) wires: &'a Wires,
    pub(super) attached: &'a [Attached],
    pub(super) lanes: &'a Lanes,
    pub(super) inbox: &'a Inbox,
    pub(super) gate: Option<fabric_seal::Counts>,
    pub(super) guests: [(&'static str, u64); 9],
    pub(super) clients: [(&'static str, u64); 2],
    pub(super) now: Time,
}

/// The I/O processors.
pub(super) fn iops(iops: &Iops) -> IopsReport {
    let report = |(config, processor): (&crate::config::Iop, &iop::Processor)| {
        let (state, reason, lives) = processor.state();
        IopReport {
            id: config.id.get(),
            name: config.name.to_string(),
            kind: match config.kind {
                crate::config::IopKind::Qemu => "qemu",
                crate::config::IopKind::Process => "process",
            }
            .into(),
            state: state.to_string(),
            code: state.number(),
            traffic: match processor.traffic() {
                iop::Traffic::Enabled => "enabled",
                iop::Traffic::Quiesced => "quiesced",
                iop::Traffic::Draining => "draining",
            }
            .into(),
            table: processor.table_seen(),
            reason: reason.into(),
            lives,
            pid: processor.pid(),
            turns: processor.beats(),
            last_words: processor.last_words().map(Into::into),
        }
    };
    IopsReport { iops: iops.iter().map(report).collect() }
}

impl Reporter<'_> {
    pub(super) fn status(&self) -> StatusReport {
        let interface = |a: &Attached| InterfaceReport {
            name: a.config.interface.clone(),
            segment: a.config.name.to_string(),
            carrier: a.carrier,
            mtu: a.mtu,
            mac: a.mac.to_string(),
            addresses: a.addresses().map(|ip| ip.to_string()).collect(),
        };
        StatusReport {
            node: SelfReport {
                id: self.node.id().get(),
                name: self.node.name().to_string(),
                incarnation: self.node.incarnation().to_string(),
                fabric: self.config.fabric.to_string(),
                pid: std::process::id(),
                uptime_ms: self.now.as_nanos() / 1_000_000,
                version: env!("CARGO_PKG_VERSION").into(),
                insecure: self.config.is_in_clear(),
                gave_way_to: self.node.rival().map(|name| name.to_string()),
            },
            interfaces: self.attached.iter().map(interface).collect(),
            members: self.node.members().count(),
            links: LinkCount {
                up: self.node.links().filter(|l| l.is_live()).count(),
                total: self.node.links().count(),
            },
        }
    }

    pub(super) fn nodes(&self) -> NodesReport {
        let up = self.node.members().map(|r| self.member(r));
        let down = self.node.departed().map(|r| NodeReport { state: "down".into(), ..self.member(r) });
        NodesReport { nodes: up.chain(down).collect() }
    }

    fn member(&self, record: &Record) -> NodeReport {
        let own = record.node == self.node.id();
        let route = self.node.route(record.node);
        let link = route.and_then(|r| self.node.link(r.link));
        let name = |id| self.node.member(id).map(|r| r.name.to_string());
        let addresses = record
            .attachments
            .iter()
            .flat_map(|a| a.v4.iter().map(|ip| IpAddr::from(*ip)).chain(a.v6.iter().map(|ip| IpAddr::from(*ip))));
        NodeReport {
            id: record.node.get(),
            name: record.name.to_string(),
            state: if own { "self" } else { "up" }.into(),
            via: route.filter(|r| r.via != record.node).and_then(|r| name(r.via)),
            hops: route.map_or(0, |r| r.hops),
            carrier: link.map(|l| l.spec().carrier.to_owned()),
            mac: Mac::of(record.node).to_string(),
            addresses: addresses.map(|ip| ip.to_string()).collect(),
            incarnation: record.incarnation.to_string(),
            mtu: record.attachments.first().map_or(0, |a| a.frame.saturating_sub(14)),
            rtt_us: link.and_then(|l| l.round_trip()).map(micros),
        }
    }

    pub(super) fn links(&self) -> LinksReport {
        let links = self.node.links().map(|link| {
            let peer = link.peer();
            let wire = self.wires.get(link.id());
            let (sent, received) = wire.map_or((0, 0), |w| w.traffic());
            LinkReport {
                id: link.id().0,
                peer: peer.map(|p| p.name.to_string()),
                peer_id: peer.map(|p| p.node.get()),
                carrier: link.spec().carrier.into(),
                address: wire.map(|w| w.address.clone()).unwrap_or_default(),
                state: link.state().to_string(),
                active: peer.is_some_and(|p| self.node.active_link(p.node) == Some(link.id())),
                priority: link.spec().priority,
                rtt_us: link.round_trip().map(micros),
                reason: link.reason().to_string(),
                demoted: link.demotion().map(|why| why.to_string()),
                loss: link.loss(self.now).map(|thousandths| f64::from(thousandths) / 1e3),
                since_ms: self.now.since(link.since()).as_millis() as u64,
                changes: link.changes(),
                message: peer.map_or(link.spec().message, |p| p.message),
                sent,
                received,
            }
        });
        LinksReport { links: links.collect() }
    }

    pub(super) fn ports(&self) -> PortsReport {
        let ports = self.node.members().flat_map(|record| {
            let port = |port: String, frame| PortReport {
                node: record.name.to_string(),
                node_id: record.node.get(),
                port,
                frame,
            };
            let segments = record.attachments.iter().map(move |a| port(format!("minet/{}", a.name), Some(a.frame)));
            [PortReport { node: record.name.to_string(), node_id: record.node.get(), port: "node".into(), frame: None }]
                .into_iter()
                .chain(segments)
        });
        let named = self.node.exchange().names().filter_map(|(node, _, entry)| {
            let (record, port) = (self.node.member(node)?, entry.name.to_string());
            Some(PortReport { node: record.name.to_string(), node_id: node.get(), port, frame: None })
        });
        PortsReport { ports: ports.chain(named).collect() }
    }

    pub(super) fn stats(&self) -> StatsReport {
        let segments = self.attached.iter().enumerate().map(|(at, a)| self.segment(at, a)).collect();
        let carriers = self.lanes.kinds.iter().enumerate().map(|(at, kind)| self.carrier(at, kind)).collect();
        let c = self.node.counts();
        let core = [
            ("malformed", c.malformed),
            ("version", c.version),
            ("unknown-kind", c.unknown_kind),
            ("stale", c.stale),
            ("no-route", c.no_route),
            ("hop-limit", c.hop_limit),
            ("no-port", c.no_port),
            ("no-room", c.no_room),
            ("high-version", c.high_version),
            ("away", c.away),
            ("forged-source", c.forged),
            ("relayed", c.relayed),
            ("inbox-full", self.inbox.dropped()),
        ];
        let t = self.node.exchange().traffic();
        let traffic = [
            ("messages-sent", t.sent),
            ("message-bytes-sent", t.sent_bytes),
            ("message-bytes-admitted", t.admitted_bytes),
            ("receipts-sent", t.receipts_sent),
            ("receipts", t.receipts),
            ("responses-sent", t.responses_sent),
            ("responses", t.responses),
            ("no-such-port", t.no_port),
            ("tracing", u64::from(self.node.exchange().is_tracing())),
            ("messages-admitted", t.admitted),
            ("messages-refused", t.refused),
            ("messages-late", t.late),
            ("messages-known", t.known),
            ("messages-dropped", t.dropped),
            ("parts-resent", t.resent),
            ("slots-timed-out", t.timed_out),
            ("tickets", t.tickets),
        ];
        let gate = self.gate.map(|g| {
            [
                ("seal-cookies", g.cookies),
                ("seal-handshakes", g.handshakes),
                ("seal-ignored", g.ignored),
                ("seal-limited", g.limited),
                ("seal-turned-away", g.turned_away),
                ("seal-lost", g.lost),
            ]
        });
        let core =
            core.into_iter().chain(traffic).chain(self.guests).chain(self.clients).chain(gate.into_iter().flatten());
        let core = core.map(|(name, n)| (name.to_owned(), n)).collect();
        let (links, paths, ports) = (self.link_stats(), self.path_stats(), self.port_stats());
        StatsReport { segments, carriers, links, paths, ports, core }
    }

    /// Frames and messages passed on for others so far.
    pub(super) fn relayed(&self) -> u64 {
        let frames = |(at, attached)| self.segment(at, attached).counters.get("relayed").copied().unwrap_or(0);
        self.attached.iter().enumerate().map(frames).sum::<u64>() + self.node.counts().relayed
    }

    fn segment(&self, at: usize, attached: &Attached) -> SegmentReport {
        let mut sums: Vec<u64> = Vec::new();
        for mailbox in &self.lanes.mailboxes {
            let numbers = mailbox.port_numbers(at);
            sums.resize(sums.len().max(numbers.len()), 0);
            for (sum, n) in sums.iter_mut().zip(numbers) {
                *sum += n;
            }
        }
        let names = Counters::default();
        let mut numbers = sums.into_iter();
        let mut counters: BTreeMap<String, u64> =
            names.iter().map(|(name, _)| name.to_owned()).zip(numbers.by_ref()).collect();
        let drops = names.drops().map(|(reason, _)| reason.name().to_owned()).zip(numbers).filter(|(_, n)| *n > 0);
        let mut take = |name: &str| counters.remove(name).unwrap_or(0);
        let kernel = attached.kernel_counts();
        SegmentReport {
            name: attached.config.name.to_string(),
            interface: attached.config.interface.clone(),
            rx_packets: take("rx-packets"),
            rx_bytes: take("rx-bytes"),
            tx_packets: take("tx-packets"),
            tx_bytes: take("tx-bytes"),
            rx_dropped: kernel.rx_dropped,
            rx_errors: kernel.rx_errors,
            tx_dropped: kernel.tx_dropped,
            tx_errors: kernel.tx_errors,
            drops: drops.collect(),
            counters,
        }
    }

    fn carrier(&self, at: usize, kind: &str) -> CarrierReport {
        let mut report = CarrierReport { kind: kind.to_owned(), ..CarrierReport::default() };
        for mailbox in &self.lanes.mailboxes {
            let c = mailbox.carrier_counts(self.attached.len(), at);
            report.sent += c.sent;
            report.sent_bytes += c.sent_bytes;
            report.received += c.received;
            report.received_bytes += c.received_bytes;
            report.send_failed += c.send_failed;
            report.malformed += c.malformed;
            report.doorbells += c.doorbells;
            report.calls += c.calls;
        }
        report
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}
