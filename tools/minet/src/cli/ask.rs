//! The sub-commands that ask a daemon.

use super::{
    args::{At, EventsArgs, InviteArgs, Look, PingArgs, RevokeArgs, StatsArgs},
    inspect,
    messages::write,
    print, table,
};
use crate::control::{
    Ask, Client, DumpReport, EventsReport, Failure, InviteReport, LinksReport, NodesReport, PingReport, PortsReport,
    Request, RevokeReport, StatsReport, StatusReport, VERSION,
};
use messenger::{Code, Guest, GuestError, Message, Status, To};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

/// How long another node has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions for what happened; another node is asked by messages that travel.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_FAR: Duration = Duration::from_secs(1);

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

pub(super) fn events(args: &EventsArgs) -> Answer {
    if args.follow { follow(&args.look) } else { look_at::<EventsReport>(&args.look, Ask::Events, table::events) }
}

/// What is remembered, and then what happens, until nobody reads any more.
fn follow(look: &Look) -> Answer {
    let mut asker = Asker::new(look)?;
    let mut next = 0;
    loop {
        let report: EventsReport = asker.ask(Ask::Events)?;
        for event in &report.events {
            if event.number < next {
                continue;
            }
            if event.number > next && next > 0 {
                let _ = writeln!(io::stderr(), "minet: {} events are missing", event.number - next);
            }
            next = event.number + 1;
            let text = if look.at.json { json(event)? } else { table::event(event) };
            if !write(text.as_bytes())? {
                return Ok(ExitCode::SUCCESS);
            }
        }
        thread::sleep(if look.on.is_some() { PAUSE_FAR } else { PAUSE });
    }
}

pub(super) fn ports(look: &Look) -> Answer {
    look_at::<PortsReport>(look, Ask::Ports, table::ports)
}

pub(super) fn stats(args: &StatsArgs) -> Answer {
    let Some(pause) = args.watch else {
        return look_at::<StatsReport>(&args.look, Ask::Stats { reset: args.reset }, table::stats);
    };
    let mut asker = Asker::new(&args.look)?;
    loop {
        let report: StatsReport = asker.ask(Ask::Stats { reset: false })?;
        let text = match args.look.at.json {
            true => json(&report)?,
            // On a terminal in place of what was there before.
            false if io::stdout().is_terminal() => format!("\x1b[H\x1b[2J{}", table::stats(&report)),
            false => table::stats(&report) + "\n",
        };
        if !write(text.as_bytes())? {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(pause);
    }
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

/// Asks again and again: the own daemon over one connection, or another node by messages of one guest.
enum Asker<'a> {
    Own(Client),
    Far(Guest, &'a str),
}

impl<'a> Asker<'a> {
    fn new(look: &'a Look) -> Result<Asker<'a>, Box<dyn std::error::Error>> {
        Ok(match &look.on {
            None => Asker::Own(connect(&look.at)?),
            Some(node) => Asker::Far(Guest::join(&look.at.place())?, node),
        })
    }

    fn ask<T: DeserializeOwned>(&mut self, ask: Ask) -> Result<T, Box<dyn std::error::Error>> {
        match self {
            Asker::Own(client) => Ok(client.ask(ask)?),
            Asker::Far(guest, node) => ask_through(guest, node, ask),
        }
    }
}

/// Asks the own daemon, or another node by a message.
fn look_at<T: DeserializeOwned + Serialize>(look: &Look, ask: Ask, human: impl Fn(&T) -> String) -> Answer {
    let Some(node) = &look.on else { return show(&look.at, ask, human) };
    let report: T = ask_node(&look.at, node, ask)?;
    print(&if look.at.json { json(&report)? } else { human(&report) })?;
    Ok(ExitCode::SUCCESS)
}

fn ask_node<T: DeserializeOwned>(at: &At, node: &str, ask: Ask) -> Result<T, Box<dyn std::error::Error>> {
    ask_through(&Guest::join(&at.place())?, node, ask)
}

fn ask_through<T: DeserializeOwned>(guest: &Guest, node: &str, ask: Ask) -> Result<T, Box<dyn std::error::Error>> {
    let to = To::On { node: node.to_owned(), name: "minet/ask".to_owned() };
    let message = Message::new(serde_json::to_vec(&Request { v: VERSION, ask })?);
    let outcome = guest.call(&to, &message, PATIENCE).map_err(|error| match error {
        GuestError::Refused(Status { code: Code::NotFound, .. }) => {
            format!("nothing matches: no member has the name or number `{node}`, or it does not answer yet (`minet nodes` lists them)")
                .into()
        }
        other => Box::<dyn std::error::Error>::from(other),
    })?;
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
    client.be_patient(args.timeout)?;
    let timeout_ms = Some(args.timeout.as_millis().max(1) as u64);
    for n in 0..args.count {
        if n > 0 {
            thread::sleep(args.interval);
        }
        let one: PingReport =
            client.ask(Ask::Ping { node: args.node.clone(), size: args.size as usize, timeout_ms })?;
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
