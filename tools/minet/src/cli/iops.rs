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
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// How often a daemon is asked whether something has happened.
const LOOK: Duration = Duration::from_millis(20);
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

fn insert(AddIop { id, image, qemu, one }: &AddIop) -> Answer {
    let ask = Ask::IopAdd { iop: one.iop.clone(), id: *id, image: image.clone(), qemu: qemu.clone() };
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
    let begun = Instant::now();
    while !done(find(&report, &one.iop)) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("iop {}: it is not done after {PATIENCE:?}", one.iop).into());
        }
        thread::sleep(LOOK);
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

/// Ends well when the processor is taken out; and when nobody reads any more.
fn watch(one: &OneIop) -> Answer {
    let mut client = connect(&one.at)?;
    let mut next = events(&mut client, &one.iop)?.last().map_or(0, |event| event.number + 1);
    loop {
        let Ok(all) = events(&mut client, &one.iop) else { return Ok(ExitCode::SUCCESS) };
        for event in all {
            if event.number < next {
                continue;
            }
            next = event.number + 1;
            let text = if one.at.json { serde_json::to_string(&event)? } else { event.text };
            print(&format!("{text}\n"))?;
        }
        thread::sleep(LOOK);
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
