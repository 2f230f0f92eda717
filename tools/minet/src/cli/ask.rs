//! The sub-commands that ask a daemon.

use super::{
    args::{At, InviteArgs, Look, PingArgs, RevokeArgs, StatsArgs},
    inspect, print, table,
};
use crate::control::{
    Ask, Client, DumpReport, EventsReport, Failure, InviteReport, LinksReport, NodesReport, PingReport, PortsReport,
    Request, RevokeReport, StatsReport, StatusReport, VERSION,
};
use messenger::{Guest, Message, To};
use serde::{Serialize, de::DeserializeOwned};
use std::{process::ExitCode, thread, time::Duration};

/// How long another node has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) type Answer = Result<ExitCode, Box<dyn std::error::Error>>;

pub(super) fn status(look: &Look) -> Answer {
    look_at::<StatusReport>(look, Ask::Status, table::status)
}

pub(super) fn nodes(look: &Look) -> Answer {
    look_at::<NodesReport>(look, Ask::Nodes, table::nodes)
}

pub(super) fn links(look: &Look) -> Answer {
    look_at::<LinksReport>(look, Ask::Links, table::links)
}

pub(super) fn events(look: &Look) -> Answer {
    look_at::<EventsReport>(look, Ask::Events, table::events)
}

pub(super) fn ports(look: &Look) -> Answer {
    look_at::<PortsReport>(look, Ask::Ports, table::ports)
}

pub(super) fn stats(args: &StatsArgs) -> Answer {
    look_at::<StatsReport>(&args.look, Ask::Stats { reset: args.reset }, table::stats)
}

pub(super) fn dump(look: &Look) -> Answer {
    look_at::<DumpReport>(look, Ask::Dump, inspect::dump)
}

pub(super) fn connect(at: &At) -> Result<Client, Box<dyn std::error::Error>> {
    Ok(Client::find(&at.place())?)
}

pub(super) fn show<T: DeserializeOwned + Serialize>(at: &At, ask: Ask, human: impl Fn(&T) -> String) -> Answer {
    let report: T = connect(at)?.ask(ask)?;
    print(&if at.json { json(&report)? } else { human(&report) })?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the own daemon, or another node by a message.
fn look_at<T: DeserializeOwned + Serialize>(look: &Look, ask: Ask, human: impl Fn(&T) -> String) -> Answer {
    let Some(node) = &look.on else { return show(&look.at, ask, human) };
    let report: T = ask_node(&look.at, node, ask)?;
    print(&if look.at.json { json(&report)? } else { human(&report) })?;
    Ok(ExitCode::SUCCESS)
}

fn ask_node<T: DeserializeOwned>(at: &At, node: &str, ask: Ask) -> Result<T, Box<dyn std::error::Error>> {
    let guest = Guest::join(&at.place())?;
    let to = To::On { node: node.to_owned(), name: "minet/ask".to_owned() };
    let message = Message::new(serde_json::to_vec(&Request { v: VERSION, ask })?);
    let outcome = guest.call(&to, &message, PATIENCE)?;
    let answer = outcome.answers.first().ok_or_else(|| format!("{node}: {}", outcome.status()))?;
    match serde_json::from_slice(&answer.payload) {
        Ok(Failure { error }) => Err(error.into()),
        Err(_) => Ok(serde_json::from_slice(&answer.payload)?),
    }
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
