//! `minet drain`.

use super::{
    args::DrainArgs,
    ask::{Answer, connect, json},
    print,
};
use crate::control::{Ask, ClientError, DrainReport, DrainState};
use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// Between two questions how far it is.
const STEP: Duration = Duration::from_millis(50);

pub(super) fn drain(args: &DrainArgs) -> Answer {
    let mut client = connect(&args.at)?;
    let say = |report: &DrainReport| -> Result<(), Box<dyn std::error::Error>> {
        Ok(print(&if args.at.json { json(report)? } else { told(report) })?)
    };
    if args.undo {
        say(&client.ask(Ask::Drain { undo: true })?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let end = Instant::now() + Duration::from_secs(args.timeout);
    let mut last: Option<DrainReport> = None;
    loop {
        let asked: Result<DrainReport, ClientError> = client.ask(Ask::Drain { undo: false });
        let report = match (asked, last.take()) {
            (Ok(report), last) => {
                let same = last.is_some_and(|last| DrainReport { relayed_ms: report.relayed_ms, ..last } == report);
                if !same {
                    say(&report)?;
                }
                report
            }
            // Who told that it leaves and then is not there any more has left.
            (Err(ClientError::Io(_)), Some(last)) if last.state == DrainState::Drained => {
                say(&DrainReport { state: DrainState::Left, ..last })?;
                return Ok(ExitCode::SUCCESS);
            }
            (Err(error), _) => return Err(error.into()),
        };
        if Instant::now() >= end {
            let what = told(&report);
            return Err(format!(
                "not done after {} s ({}); the node leaves when it is, `minet drain --undo` takes it back",
                args.timeout,
                what.trim_end()
            )
            .into());
        }
        last = Some(report);
        thread::sleep(STEP);
    }
}

/// For people.
fn told(report: &DrainReport) -> String {
    let DrainReport { told, nodes, waiting, requests, stored, .. } = report;
    match report.state {
        DrainState::Serving => "the node stays\n".to_owned(),
        DrainState::Stopping => "draining: its I/O processors are being stopped\n".to_owned(),
        DrainState::Draining if !told => "draining: the others are being told\n".to_owned(),
        DrainState::Draining if *nodes + waiting + requests + stored > 0 => format!(
            "draining: messages under way with {nodes} nodes, {waiting} of this node's wait, {requests} requests are to be \
             answered, {stored} bytes in ports\n"
        ),
        DrainState::Draining => "draining: waiting until nothing comes to be passed on\n".to_owned(),
        DrainState::Drained => "drained: nothing is under way\n".to_owned(),
        DrainState::Left => "left\n".to_owned(),
    }
}
