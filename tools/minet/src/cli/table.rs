//! Tables for people.

use crate::{
    Config,
    control::{
        self, EventReport, EventsReport, IopReport, IopsReport, LinksReport, NodesReport, PingReport, PortsReport,
        StatsReport, StatusReport,
    },
};
use std::fmt::Write;

/// Columns as wide as their longest cell; the first row is the heading.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|c| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(super) fn heading<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_uppercase).into()
}

pub(super) fn dash(text: Option<impl ToString>) -> String {
    text.map_or("-".into(), |t| t.to_string())
}

pub(super) fn micros(us: Option<f64>) -> String {
    dash(us.map(|us| format!("{us:.0}us")))
}

pub(super) fn version(json: bool) -> String {
    let (program, wire) = (env!("CARGO_PKG_VERSION"), messenger_core::wire::VERSION);
    if json {
        let value = serde_json::json!({"version": program, "wire": wire, "control": control::VERSION});
        return format!("{value}\n");
    }
    format!("minet {program} (wire format {wire}, control protocol {})\n", control::VERSION)
}

/// What a configuration says.
pub(super) fn config(c: &Config) -> String {
    let mut out = format!("the configuration is fine: node {} (id {}) of fabric {}\n", c.name, c.id, c.fabric);
    for s in &c.segments {
        let _ = writeln!(out, "interface {} on segment {}, MTU {}", s.interface, s.name, s.mtu);
    }
    out
}

pub(super) fn status(r: &StatusReport) -> String {
    let n = &r.node;
    let mut out = format!(
        "node {} (id {}, incarnation {}) of fabric {}, version {}\nprocess {}, up {:.1} s, {} members, {} of {} links up\n",
        n.name,
        n.id,
        n.incarnation,
        n.fabric,
        n.version,
        n.pid,
        n.uptime_ms as f64 / 1e3,
        r.members,
        r.links.up,
        r.links.total
    );
    if n.insecure {
        out.push_str("INSECURE: frames over UDP and raw Ethernet are in clear text\n");
    }
    if let Some(rival) = &n.gave_way_to {
        out.push_str(&format!(
            "DUPLICATE: {rival} has the id {} too, and this node gave way: give one of them another\n",
            n.id
        ));
    }
    let mut rows = vec![heading(["interface", "segment", "carrier", "mtu", "mac", "addresses"])];
    for i in &r.interfaces {
        let carrier = if i.carrier { "up" } else { "none" };
        rows.push(vec![
            i.name.clone(),
            i.segment.clone(),
            carrier.into(),
            i.mtu.to_string(),
            i.mac.clone(),
            i.addresses.join(" "),
        ]);
    }
    out + &columns(&rows)
}

pub(super) fn iops(r: &IopsReport) -> String {
    let mut rows = vec![heading(["name", "id", "kind", "state", "lives", "process", "reason", "last words"])];
    for i in &r.iops {
        rows.push(vec![
            i.name.clone(),
            i.id.to_string(),
            i.kind.clone(),
            i.state.clone(),
            i.lives.to_string(),
            dash(i.pid),
            i.reason.clone(),
            dash(i.last_words.as_ref()),
        ]);
    }
    columns(&rows)
}

pub(super) fn iop(i: &IopReport) -> String {
    let lines = [
        ("name", i.name.clone()),
        ("id", i.id.to_string()),
        ("kind", i.kind.clone()),
        ("state", format!("{} ({:#04x})", i.state, i.code)),
        ("reason", i.reason.clone()),
        ("traffic", i.traffic.clone()),
        ("lives", i.lives.to_string()),
        ("process", dash(i.pid)),
        ("turns", dash(i.turns)),
        ("table", i.table.to_string()),
        ("last words", dash(i.last_words.as_ref())),
    ];
    columns(&lines.map(|(key, value)| vec![key.to_owned(), value]))
}

pub(super) fn nodes(r: &NodesReport) -> String {
    let mut rows = vec![heading(["id", "name", "state", "hops", "via", "carrier", "rtt", "mtu", "mac", "addresses"])];
    for n in &r.nodes {
        rows.push(vec![
            n.id.to_string(),
            n.name.clone(),
            n.state.clone(),
            n.hops.to_string(),
            dash(n.via.as_ref()),
            dash(n.carrier.as_ref()),
            micros(n.rtt_us),
            n.mtu.to_string(),
            n.mac.clone(),
            n.addresses.join(" "),
        ]);
    }
    columns(&rows)
}

pub(super) fn links(r: &LinksReport) -> String {
    let mut rows = vec![heading(["id", "peer", "carrier", "address", "state", "prio", "rtt", "since", "reason"])];
    for l in &r.links {
        let state = if l.active { format!("{}*", l.state) } else { l.state.clone() };
        rows.push(vec![
            l.id.to_string(),
            dash(l.peer.as_ref()),
            l.carrier.clone(),
            l.address.clone(),
            state,
            l.priority.to_string(),
            micros(l.rtt_us),
            format!("{:.1}s", l.since_ms as f64 / 1e3),
            l.demoted.as_ref().map_or(l.reason.clone(), |why| format!("{}; demoted: {why}", l.reason)),
        ]);
    }
    columns(&rows) + "* carries its conduit's traffic\n"
}

pub(super) fn events(r: &EventsReport) -> String {
    let mut rows = vec![heading(["utc", "event", "what"])];
    rows.extend(r.events.iter().map(|e| vec![clock(e.unix_ms), e.kind.clone(), e.text.clone()]));
    columns(&rows)
}

/// One of them, where more may follow.
pub(super) fn event(e: &EventReport) -> String {
    format!("{}  {:12}  {}\n", clock(e.unix_ms), e.kind, e.text)
}

/// The time of day in UTC.
fn clock(unix_ms: u64) -> String {
    let (s, ms) = (unix_ms / 1000 % 86_400, unix_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

pub(super) fn ports(r: &PortsReport) -> String {
    let mut rows = vec![heading(["node", "id", "port", "frame"])];
    for p in &r.ports {
        rows.push(vec![p.node.clone(), p.node_id.to_string(), p.port.clone(), dash(p.frame)]);
    }
    columns(&rows)
}

pub(super) fn stats(r: &StatsReport) -> String {
    let mut out = String::new();
    for s in &r.segments {
        let _ = writeln!(out, "segment {} on {}", s.name, s.interface);
        let _ = writeln!(out, "  received {} frames, {} bytes", s.rx_packets, s.rx_bytes);
        let _ = writeln!(out, "  sent     {} frames, {} bytes", s.tx_packets, s.tx_bytes);
        for (way, dropped, bad) in [("in", s.rx_dropped, s.rx_errors), ("out", s.tx_dropped, s.tx_errors)] {
            if dropped + bad > 0 {
                let _ = writeln!(out, "  dropped by the kernel on the way {way}: {dropped}, with errors: {bad}");
            }
        }
        for (name, n) in &s.drops {
            let _ = writeln!(out, "  dropped  {n}: {name}");
        }
        for (name, n) in s.counters.iter().filter(|(_, n)| **n > 0) {
            let _ = writeln!(out, "  {name}: {n}");
        }
    }
    let mut rows =
        vec![heading(["carrier", "sent", "bytes", "received", "bytes", "failed", "malformed", "doorbells", "calls"])];
    for c in &r.carriers {
        let numbers =
            [c.sent, c.sent_bytes, c.received, c.received_bytes, c.send_failed, c.malformed, c.doorbells, c.calls];
        rows.push([c.kind.clone()].into_iter().chain(numbers.map(|n| n.to_string())).collect());
    }
    out += &columns(&rows);
    let mut rows = vec![heading(["link", "peer", "carrier", "sent", "received", "changes"])];
    for l in &r.links {
        let numbers = [l.sent, l.received, l.changes].map(|n| n.to_string());
        let mut row = vec![l.id.to_string(), dash(l.peer.as_ref()), l.carrier.clone()];
        row.extend(numbers);
        rows.push(row);
    }
    out += &columns(&rows);
    let mut rows = vec![heading(["port", "name", "stored", "bytes", "refused", "taken", "dropped", "wait"])];
    for p in &r.ports {
        let id = if p.id.is_empty() { "closed" } else { &p.id };
        let numbers = [p.admitted, p.bytes, p.refused, p.taken, p.dropped, p.depth].map(|n| n.to_string());
        rows.push([id.to_owned(), dash(p.name.as_ref())].into_iter().chain(numbers).collect());
    }
    out += &columns(&rows);
    let mut rows = vec![heading(["path", "to", "sends", "messages", "bytes", "refused", "outstanding"])];
    for p in &r.paths {
        let id = if p.id.is_empty() { "closed" } else { &p.id };
        let numbers = [p.sends, p.messages, p.bytes, p.refused, p.outstanding].map(|n| n.to_string());
        rows.push([id.to_owned(), dash(p.to.as_ref())].into_iter().chain(numbers).collect());
    }
    out += &columns(&rows);
    for (name, n) in r.core.iter().filter(|(_, n)| **n > 0) {
        let _ = writeln!(out, "core {name}: {n}");
    }
    out
}

pub(super) fn ping(r: &PingReport) -> String {
    let lost = 100.0 * f64::from(r.sent - r.received) / f64::from(r.sent.max(1));
    let mut out = format!("{}: {} sent, {} received, {lost:.0}% lost", r.node, r.sent, r.received);
    if let (Some(min), Some(avg), Some(max)) = (r.min_us, r.avg_us, r.max_us) {
        let _ = write!(out, ", round trip min/avg/max = {min:.0}/{avg:.0}/{max:.0} us");
    }
    out + "\n"
}

/// A port that came or went; the first and the last one of a pattern are marked.
pub(super) fn change(c: &messenger::Change) -> String {
    let mut out = format!("{}  {} on {}", if c.up { "up  " } else { "down" }, c.name, c.node_name);
    let kind = c.kind.iter().map(|kind| ("kind", kind));
    for (key, value) in kind.chain(c.properties.iter().map(|(key, value)| (&**key, value))) {
        let _ = write!(out, " {key}={value}");
    }
    let edge = match (c.edge, c.up) {
        (false, _) => "",
        (true, true) => " (the first)",
        (true, false) => " (the last)",
    };
    out + edge + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [heading(["a", "long"]), vec!["value".into(), "x".into()]];
        assert_eq!(columns(&rows), "A      LONG\nvalue  x\n");
    }
}
