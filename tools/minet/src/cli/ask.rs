//! The sub-commands that ask a daemon.

use super::{
    args::{At, InviteArgs, PingArgs, RevokeArgs},
    print, table,
};
use crate::control::{
    Ask, Client, EventsReport, InviteReport, LinksReport, NodesReport, PingReport, PortsReport, RevokeReport,
    StatsReport, StatusReport,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{process::ExitCode, thread, time::Duration};

pub(super) type Answer = Result<ExitCode, Box<dyn std::error::Error>>;

pub(super) fn status(at: &At) -> Answer {
    show::<StatusReport>(at, Ask::Status, table::status)
}

pub(super) fn nodes(at: &At) -> Answer {
    show::<NodesReport>(at, Ask::Nodes, table::nodes)
}

pub(super) fn links(at: &At) -> Answer {
    show::<LinksReport>(at, Ask::Links, table::links)
}

pub(super) fn events(at: &At) -> Answer {
    show::<EventsReport>(at, Ask::Events, table::events)
}

pub(super) fn ports(at: &At) -> Answer {
    show::<PortsReport>(at, Ask::Ports, table::ports)
}

pub(super) fn stats(at: &At) -> Answer {
    show::<StatsReport>(at, Ask::Stats, table::stats)
}

pub(super) fn connect(at: &At) -> Result<Client, Box<dyn std::error::Error>> {
    Ok(Client::find(&at.place())?)
}

pub(super) fn show<T: DeserializeOwned + Serialize>(at: &At, ask: Ask, human: impl Fn(&T) -> String) -> Answer {
    let report: T = connect(at)?.ask(ask)?;
    print(&if at.json { json(&report)? } else { human(&report) })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn json(report: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(report).map(|text| text + "\n")
}

pub(super) fn invite(args: &InviteArgs) -> Answer {
    let (name, id, contact, minutes) = (args.new_node.clone(), args.id, args.contact, args.minutes);
    show::<InviteReport>(&args.at, Ask::Invite { name, id, contact, minutes }, |report| {
        format!("minet join {}\n", report.invitation)
    })
}

pub(super) fn revoke(args: &RevokeArgs) -> Answer {
    let member = args.member.clone();
    show::<RevokeReport>(&args.at, Ask::Revoke { member }, |report| match &report.keys[..] {
        [] => "the invitation is withdrawn\n".to_owned(),
        keys => keys.iter().map(|key| format!("revoked {key}\n")).collect(),
    })
}

/// Exit code 1 when no request was answered, as `ping` has it.
pub(super) fn ping(args: &PingArgs) -> Answer {
    let mut client = connect(&args.at)?;
    let (mut times, mut name) = (Vec::new(), args.node.clone());
    let interval = Duration::try_from_secs_f64(args.interval).map_err(|e| format!("--interval: {e}"))?;
    for n in 0..args.count {
        if n > 0 {
            thread::sleep(interval);
        }
        let one: PingReport = client.ask(Ask::Ping { node: args.node.clone(), size: args.size as usize })?;
        name = one.node;
        match one.min_us {
            Some(us) => times.push(us),
            None if !args.at.json => print(&format!("no answer from {name}: n={n}\n"))?,
            None => {}
        }
        if let (Some(us), false) = (one.min_us, args.at.json) {
            print(&format!("{} bytes from {name}: n={n} time={us:.0} us\n", args.size))?;
        }
    }
    let fold = |f: fn(f64, f64) -> f64| times.iter().copied().reduce(f);
    let report = PingReport {
        node: name,
        sent: args.count,
        received: times.len() as u32,
        min_us: fold(f64::min),
        avg_us: fold(|a, b| a + b).map(|sum| sum / times.len() as f64),
        max_us: fold(f64::max),
    };
    print(&if args.at.json { json(&report)? } else { table::ping(&report) })?;
    Ok(if report.received > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
