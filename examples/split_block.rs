//! A block driver in two halves that talk by messages, wherever each of them runs.
//!
//! ```text
//! split_block SOCKET back PORT            serves a disk of 1 MiB at a port
//! split_block SOCKET front PORT ROUNDS    writes, reads and verifies a disk, wherever its back half runs
//! ```
//!
//! SOCKET is the guests' door of this host's daemon, such as `/run/minet/default/a.guest`. The back half is a process of any host, or
//! an I/O processor: the port `iop/NAME/disk`. When it dies, the front half waits for the next one and does the round over.

use iop_node::ports::disk::{self, Disk};
use messenger::{Answer, Code, Guest, Message, PortSpec, Status, Tier, To, Watch};
use std::{
    error::Error,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// How long an answer may take, and how long a back half that died is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
const RECOVERY: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [socket, "back", port] => back(&mut Guest::join_at(Path::new(socket))?, port),
        [socket, "front", port, rounds] => front(&mut Guest::join_at(Path::new(socket))?, port, rounds.parse()?),
        _ => Err("usage: split_block SOCKET back PORT | front PORT ROUNDS".into()),
    }
}

/// Tells what was done, at once.
fn say(words: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{words}")?;
    out.flush()
}

fn back(guest: &mut Guest, name: &str) -> Result<(), Box<dyn Error>> {
    let mut disk = Disk::new(2048);
    let port = guest.open(&PortSpec { kind: Some("disk".into()), ..PortSpec::named(name) })?;
    say(format_args!("serving {name}"))?;
    loop {
        let Some(asked) = guest.receive(port, None)? else { continue };
        let answer = disk.answer(asked.head.opcode, &asked.payload);
        guest.respond(&asked, &Answer { status: answer.status, ..Answer::new(answer.payload.to_vec()) })?;
    }
}

fn front(guest: &mut Guest, name: &str, rounds: u64) -> Result<(), Box<dyn Error>> {
    let watch = guest.watch(name)?;
    let size = over_deaths(guest, watch, |guest| ask(guest, name, disk::SIZE, &[]))?;
    let blocks = u64::from_le_bytes(*size.first_chunk().ok_or("the disk did not say its size")?);
    over_deaths(guest, watch, |guest| match ask(guest, name, disk::READ, &disk::read_request(blocks, 1)) {
        Err(Fault::Refused(why)) => say(format_args!("block {blocks} is refused: {why}")).map_err(|_| Fault::Wrong),
        Err(other) => Err(other),
        Ok(_) => Err(Fault::Wrong),
    })?;
    for round in 0..rounds {
        over_deaths(guest, watch, |guest| run(guest, name, round, blocks))?;
        say(format_args!("round {round} verified"))?;
    }
    Ok(())
}

/// Writes some blocks, reads them back and compares.
fn run(guest: &mut Guest, name: &str, round: u64, blocks: u64) -> Result<(), Fault> {
    let count = u64::from(disk::BLOCKS_MOST).min(blocks);
    let first = round * 31 % (blocks - count + 1);
    let written: Vec<u8> = (0..count * disk::BLOCK as u64).map(|n| (n / 3 + round * 7) as u8).collect();
    ask(guest, name, disk::WRITE, &disk::write_request(first, &written))?;
    ask(guest, name, disk::FLUSH, &[])?;
    let read = ask(guest, name, disk::READ, &disk::read_request(first, count as u32))?;
    if read == written { Ok(()) } else { Err(Fault::Wrong) }
}

/// Why a request came to nothing: the back half said no, is not there or died, or did the wrong thing.
enum Fault {
    Refused(Status),
    Gone(String),
    Wrong,
}

fn ask(guest: &mut Guest, name: &str, opcode: u16, request: &[u8]) -> Result<Vec<u8>, Fault> {
    let message = Message { opcode, ..Message::new(request) };
    let called = guest.call(&To::Name(name.into()), &message, PATIENCE);
    let mut outcome = called.map_err(|error| Fault::Gone(error.to_string()))?;
    match (outcome.status(), outcome.answers.pop()) {
        (status, Some(answer)) if status.is_good() => Ok(answer.payload),
        (status, _) if matches!(status.code, Code::PortClosed | Code::NoPort) => Err(Fault::Gone(status.to_string())),
        (status, _) if status.tier() == Tier::Service => Err(Fault::Refused(status)),
        (status, _) => Err(Fault::Gone(status.to_string())),
    }
}

/// Tries until there is a back half that does it.
fn over_deaths<T>(
    guest: &mut Guest,
    watch: Watch,
    mut what: impl FnMut(&mut Guest) -> Result<T, Fault>,
) -> Result<T, Box<dyn Error>> {
    let (begun, mut lost) = (Instant::now(), None);
    loop {
        match what(guest) {
            Ok(done) => {
                let said = lost.map(|why: String| say(format_args!("recovered in {:?}: {why}", begun.elapsed())));
                return said.transpose().map(|_| done).map_err(Into::into);
            }
            Err(Fault::Gone(why)) if begun.elapsed() < RECOVERY => lost = lost.or(Some(why)),
            Err(Fault::Gone(why)) => return Err(why.into()),
            Err(Fault::Refused(status)) => return Err(status.to_string().into()),
            Err(Fault::Wrong) => return Err("the disk did the wrong thing".into()),
        }
        // The next one is told by its name; it may be there already.
        guest.change(watch, Some(Duration::from_millis(50)))?;
    }
}
