//! `minet iop`: the node's I/O processors, asked and told.

use super::{
    args::{AddIop, At, IopCommand, OneIop},
    ask::{Answer, connect, json, show},
    print, table,
};
use crate::control::{Ask, Client, ConsoleReport, EventReport, EventsReport, IopReport, IopWish, IopsReport};
use iop::ports::requests;
use messenger::{Guest, Message, To};
use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// The kind of event that is the end of a processor.
const REMOVED: &str = "iop-removed";
/// How long one that is to go may take: longer than it is allowed to drain.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(command: &IopCommand) -> Answer {
    match command {
        IopCommand::List(at) => show::<IopsReport>(at, Ask::Iops, table::iops),
        IopCommand::Show(one) => show_one(one),
        IopCommand::Add(add) => insert(add),
        IopCommand::Remove(one) => until(one, IopWish::Remove, |iop| iop.is_none()),
        IopCommand::Boot(one) => tell(one, IopWish::Boot),
        IopCommand::Reset(one) => tell(one, IopWish::Reset),
        IopCommand::Hold(one) => until(one, IopWish::Hold, |iop| iop.is_none_or(|iop| iop.state == "hold")),
        IopCommand::Quiesce(one) => tell(one, IopWish::Quiesce),
        IopCommand::Enable(one) => tell(one, IopWish::Enable),
        IopCommand::Console(one) => show::<ConsoleReport>(&one.at, Ask::Console { iop: one.iop.clone() }, |report| {
            report.lines.iter().map(|line| format!("{line}\n")).collect()
        }),
        IopCommand::Log(one) => log(one),
        IopCommand::Watch(one) => watch(one),
        IopCommand::Stats(one) => stats(one),
    }
}

fn tell(one: &OneIop, wish: IopWish) -> Answer {
    show::<IopsReport>(&one.at, Ask::Iop { iop: one.iop.clone(), wish }, table::iops)
}

fn insert(AddIop { id, process, image, qemu, one }: &AddIop) -> Answer {
    let image = image.clone().or_else(|| std::env::var_os("MINET_IOP_IMAGE").filter(|_| !process).map(PathBuf::from));
    let ask = Ask::IopAdd { iop: one.iop.clone(), id: *id, process: *process, image, qemu: qemu.clone() };
    show::<IopsReport>(&one.at, ask, table::iops)
}

/// The row of one, if there is one of this name.
fn find<'r>(report: &'r IopsReport, name: &str) -> Option<&'r IopReport> {
    report.iops.iter().find(|iop| iop.name == name)
}

fn missing(name: &str) -> String {
    format!("no I/O processor has the name `{name}` (`minet iop list` lists them)")
}

/// Tells one what is wanted and waits until it is so.
fn until(one: &OneIop, wish: IopWish, done: impl Fn(Option<&IopReport>) -> bool) -> Answer {
    let mut client = connect(&one.at)?;
    let mut report: IopsReport = client.ask(Ask::Iop { iop: one.iop.clone(), wish })?;
    let (begun, mut next) = (Instant::now(), 0);
    while let (false, Some(peer)) = (done(find(&report, &one.iop)), find(&report, &one.iop).map(|iop| iop.id)) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("iop {}: it is not done after {PATIENCE:?}", one.iop).into());
        }
        let news: EventsReport = client.ask(Ask::Next { peer, since: next })?;
        next = news.events.last().map_or(next, |event| event.number + 1);
        report = client.ask(Ask::Iops)?;
    }
    print(&if one.at.json { json(&report)? } else { table::iops(&report) })?;
    Ok(ExitCode::SUCCESS)
}

fn show_one(one: &OneIop) -> Answer {
    let report: IopsReport = connect(&one.at)?.ask(Ask::Iops)?;
    let iop = find(&report, &one.iop).ok_or_else(|| missing(&one.iop))?;
    print(&if one.at.json { json(iop)? } else { table::iop(iop) })?;
    Ok(ExitCode::SUCCESS)
}

/// The events of one, by its number.
fn events(client: &mut Client, name: &str) -> Result<Vec<EventReport>, Box<dyn std::error::Error>> {
    let iops: IopsReport = client.ask(Ask::Iops)?;
    let id = find(&iops, name).map(|iop| iop.id).ok_or_else(|| missing(name))?;
    let report: EventsReport = client.ask(Ask::Events)?;
    Ok(report.events.into_iter().filter(|event| event.peer == Some(id)).collect())
}

fn log(one: &OneIop) -> Answer {
    let report = EventsReport { events: events(&mut connect(&one.at)?, &one.iop)? };
    print(&if one.at.json { json(&report)? } else { table::events(&report) })?;
    Ok(ExitCode::SUCCESS)
}

/// Ends well when the processor is taken out, and when nobody reads any more; a daemon that is gone is an error.
fn watch(one: &OneIop) -> Answer {
    let mut client = connect(&one.at)?;
    let mut next = events(&mut client, &one.iop)?.last().map_or(0, |event| event.number + 1);
    let iops: IopsReport = client.ask(Ask::Iops)?;
    let peer = find(&iops, &one.iop).map(|iop| iop.id).ok_or_else(|| missing(&one.iop))?;
    loop {
        let news: EventsReport = client.ask(Ask::Next { peer, since: next })?;
        for event in news.events {
            next = event.number + 1;
            let removed = event.kind == REMOVED;
            let text = if one.at.json { serde_json::to_string(&event)? } else { event.text };
            match std::io::stdout().write_all(format!("{text}\n").as_bytes()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                other => other?,
            }
            if removed {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

fn stats(one: &OneIop) -> Answer {
    let At { json: as_json, .. } = one.at;
    let port = To::Name(format!("iop/{}/requests", one.iop));
    let message = Message { opcode: requests::COUNTERS, ..Message::new("") };
    let outcome = ask(&mut Guest::join(&one.at.place())?, &port, &message)?;
    let text = String::from_utf8(outcome).map_err(|_| "its counters are no text")?;
    let pairs = text.lines().filter_map(|line| line.split_once(' ')).filter_map(|(k, v)| Some((k, v.parse().ok()?)));
    let counters: serde_json::Map<String, serde_json::Value> =
        pairs.map(|(name, count): (&str, u64)| (name.to_owned(), count.into())).collect();
    print(&if as_json { json(&counters)? } else { text })?;
    Ok(ExitCode::SUCCESS)
}

fn ask(guest: &mut Guest, port: &To, message: &Message) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut outcome = guest.call(port, message, PATIENCE)?;
    match (outcome.status(), outcome.answers.pop()) {
        (status, Some(answer)) if status.is_good() => Ok(answer.payload),
        (status, _) => Err(status.to_string().into()),
    }
}
