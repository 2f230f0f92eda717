//! Objects and queues for people.

use super::table::{columns, dash, heading, micros};
use crate::control::DumpReport;
use std::fmt::Write;

pub(super) fn dump(r: &DumpReport) -> String {
    let mut out =
        format!("node {}, up {:.1}s, {} guests, {} watches\n", r.node, r.uptime_ms as f64 / 1e3, r.guests, r.watches);
    let mut rows = vec![heading(["ticket", "age", "left", "wants", "open", "to", "slots"])];
    for t in &r.tickets {
        let state = |s: &crate::control::DumpSlot| match (&s.status, s.stored) {
            (Some(status), _) => format!("{}: {status}", s.node),
            (None, true) => format!("{}: stored", s.node),
            (None, false) => format!("{}: open", s.node),
        };
        rows.push(vec![
            t.id.clone(),
            format!("{:.1}s", t.age_ms as f64 / 1e3),
            t.left_ms.map_or("-".to_owned(), |ms| format!("{:.1}s", ms as f64 / 1e3)),
            if t.response { "answers" } else { "receipts" }.to_owned(),
            format!("{}/{}", t.open, t.slots.len()),
            dash(t.to.as_ref()),
            t.slots.iter().map(state).collect::<Vec<_>>().join(", "),
        ]);
    }
    out += &columns(&rows);
    let each = |numbers: &[usize; 4]| numbers.map(|n| n.to_string()).join("/");
    let mut rows = vec![heading(["port", "name", "kind", "receiver", "messages", "bytes", "unanswered"])];
    for p in &r.ports {
        rows.push(vec![
            p.id.clone(),
            dash(p.name.as_ref()),
            dash(p.kind.as_ref()),
            if p.attached { "yes" } else { "no" }.to_owned(),
            each(&p.depth),
            each(&p.used),
            p.unanswered.to_string(),
        ]);
    }
    out += &columns(&rows);
    let mut rows = vec![heading(["path", "from", "to", "state", "outstanding"])];
    for p in &r.paths {
        rows.push(vec![p.id.clone(), p.from.clone(), p.to.clone(), p.state.clone(), p.outstanding.to_string()]);
    }
    out += &columns(&rows);
    let mut rows = vec![heading(["stream", "there", "waiting", "datagrams", "slots", "asks", "rtt"])];
    for s in &r.streams {
        rows.push(vec![
            s.node.clone(),
            if s.up { "yes" } else { "no" }.to_owned(),
            each(&s.waiting),
            s.datagrams.to_string(),
            s.slots.to_string(),
            s.asks.to_string(),
            micros(s.rtt_us),
        ]);
    }
    out += &columns(&rows);
    let [ports, paths, tickets] = r.left_out;
    if ports + paths + tickets > 0 {
        let _ = writeln!(out, "not shown: {ports} ports, {paths} paths, {tickets} tickets");
    }
    out
}
