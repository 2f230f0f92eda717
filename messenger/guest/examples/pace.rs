//! How fast messages of guests are: `pace RUN_DIR FABRIC NODE DAEMON_PID` prints a figure a line. `cargo xtask bench --messages` runs it.
//!
//! It starts itself again as the other process: `bell` gives back every byte, `sink` receives from the port `sink`.

use messenger::{Answer, Guest, Message, Path, PathSpec, Place, PortSpec, Take, Ticket, To, Wants};
use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

type Done<T = ()> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5_000;
const BATCH: usize = 512;
const PLAIN: usize = 250_000;
const CONFIRMED: usize = 100_000;
const LARGE: usize = 1 << 20;
const LARGE_COUNT: usize = 400;
const PORTS: usize = 10_000;
const TICKETS: usize = 100_000;
const ROOM: u32 = 64 << 20;

fn main() -> Done {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bell"] => bell(),
        [run_dir, fabric, node, "sink"] => sink(&join([run_dir, fabric, node])?),
        [run_dir, fabric, node, pid] => measure([run_dir, fabric, node], pid.parse()?),
        _ => Err("usage: pace RUN_DIR FABRIC NODE DAEMON_PID".into()),
    }
}

fn join([run_dir, fabric, node]: [&str; 3]) -> Done<Guest> {
    Ok(Guest::join(&Place { run_dir: run_dir.into(), fabric: fabric.into(), name: Some(node.into()) })?)
}

fn bell() -> Done {
    let (mut byte, mut input, mut output) = ([0], std::io::stdin(), std::io::stdout());
    while input.read_exact(&mut byte).is_ok() {
        output.write_all(&byte)?;
        output.flush()?;
    }
    Ok(())
}

/// Receives until it got as many as the last message's tag says, then tells it with a byte; answers who asks.
fn sink(guest: &Guest) -> Done {
    let port = guest.open(&PortSpec { room: Some(ROOM), ..PortSpec::named("sink") })?;
    let mut told = std::io::stdout();
    told.write_all(b"r")?;
    told.flush()?;
    let mut got = 0;
    loop {
        for message in guest.receive_many(port, Take::any(), 1024, None)? {
            if message.head.ask.is_some() {
                guest.respond(&message, &Answer::new(""))?;
                continue;
            }
            got += 1;
            if message.head.tag != 0 && message.head.tag == got {
                got = 0;
                told.write_all(b"d")?;
                told.flush()?;
            }
        }
    }
}

struct Other {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Other {
    fn start(args: &[&str]) -> Done<Other> {
        let mut command = Command::new(env::current_exe()?);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
        Ok(Other { child, to, from: BufReader::new(from) })
    }

    fn hear(&mut self) -> Done {
        let heard = self.from.fill_buf()?.len().min(1);
        self.from.consume(heard);
        if heard == 1 { Ok(()) } else { Err("the other process ended".into()) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // One that ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Each of `count` rounds in microseconds; the middle.
fn rounds(count: usize, mut round: impl FnMut() -> Done) -> Done<f64> {
    let mut all = Vec::with_capacity(count);
    for n in 0..count + count / 10 {
        let begun = Instant::now();
        round()?;
        if n >= count / 10 {
            all.push(micros(begun));
        }
    }
    Ok(median(all))
}

fn confirm(guest: &Guest, to: &To) -> Done {
    let ticket = guest.send(to, &Message::confirmed([7; 64]))?.ticket.ok_or("no ticket")?;
    let outcome = guest.settle(ticket, None)?.ok_or("not settled")?;
    if outcome.status().is_good() { Ok(()) } else { Err(outcome.status().to_string().into()) }
}

/// Messages a second, until the other process has them all. The last one carries their number.
fn rate(guest: &Guest, path: Path, sink: &mut Other, count: usize, wants: Wants) -> Done<f64> {
    let payloads = [[7; 64]; BATCH];
    let (to, message) = (To::Path(path), Message { wants, ..Message::new("") });
    let begun = Instant::now();
    let (mut left, mut tickets) = (count - 1, std::collections::VecDeque::<Ticket>::new());
    let settle = |ticket| -> Done {
        let outcome = guest.settle(ticket, None)?.ok_or("not settled")?;
        if outcome.status().is_good() { Ok(()) } else { Err(outcome.status().to_string().into()) }
    };
    while left > 0 {
        let batch = payloads.get(..left.min(BATCH)).unwrap_or(&payloads);
        let many = guest.send_many(&to, &message, batch)?;
        if !many.refused.is_good() {
            return Err(many.refused.to_string().into());
        }
        left -= many.sent.len();
        tickets.extend(many.sent.iter().filter_map(|sent| sent.ticket));
        while tickets.len() > 8 * BATCH {
            tickets.pop_front().map_or(Ok(()), settle)?;
        }
    }
    tickets.into_iter().try_for_each(settle)?;
    guest.send(&to, &Message { tag: u32::try_from(count)?, ..Message::new([7; 64]) })?;
    sink.hear()?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Bytes a second of large messages, four under way, each answered when it was received.
fn large(guest: &Guest, path: Path) -> Done<f64> {
    let (to, mut tickets) = (To::Path(path), std::collections::VecDeque::new());
    let message = Message { wants: Wants::Answer, ..Message::new(vec![7; LARGE]) };
    let begun = Instant::now();
    for n in 0..LARGE_COUNT + 4 {
        if n >= 4 {
            let ticket = tickets.pop_front().ok_or("no ticket")?;
            guest.settle(ticket, None)?.filter(|outcome| outcome.status().is_good()).ok_or("no answer")?;
        }
        if n < LARGE_COUNT {
            tickets.push_back(guest.send(&to, &message)?.ticket.ok_or("no ticket")?);
        }
    }
    Ok((LARGE * LARGE_COUNT) as f64 / begun.elapsed().as_secs_f64())
}

fn copy() -> Done<f64> {
    let (from, mut to) = (vec![7u8; LARGE], vec![1u8; LARGE]);
    let us = rounds(400, || {
        black_box(&mut to).copy_from_slice(black_box(&from));
        Ok(())
    })?;
    Ok(LARGE as f64 / us * 1e6)
}

/// Memory of a process in bytes.
fn memory(pid: u32) -> Done<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

fn tell(name: &str, value: f64) {
    println!("{name} {value}");
}

fn measure(place: [&str; 3], daemon: u32) -> Done {
    let mut bell = Other::start(&["bell"])?;
    tell(
        "wake µs",
        rounds(ROUNDS, || {
            bell.to.write_all(b"x")?;
            bell.to.flush()?;
            bell.hear()
        })?,
    );
    drop(bell);
    tell("memcpy B/s", copy()?);

    let [run_dir, fabric, node] = place;
    let mut sink = Other::start(&[run_dir, fabric, node, "sink"])?;
    sink.hear()?;
    let guest = join(place)?;
    // A port whose process does not look: only the daemon takes part.
    let own = guest.open(&PortSpec { room: Some(ROOM), ..PortSpec::named("own") })?;
    let quiet = To::Path(guest.open_path(&PathSpec::to(To::Name("own".into())))?);
    let path = guest.open_path(&PathSpec::to(To::Name("sink".into())))?;
    let drain = || -> Done {
        while !guest.receive_many(own, Take::any(), 4096, Some(Duration::ZERO))?.is_empty() {}
        Ok(())
    };
    tell("receipt µs", rounds(ROUNDS, || confirm(&guest, &quiet))?);
    drain()?;
    guest.set_look(Duration::from_micros(100));
    tell("receipt, both look, µs", rounds(ROUNDS, || confirm(&guest, &quiet))?);
    guest.set_look(Duration::ZERO);
    drain()?;
    let asked = Message { tag: 0, ..Message::new([7; 64]) };
    tell(
        "answer µs",
        rounds(ROUNDS, || {
            let outcome = guest.call(&To::Path(path), &asked, Duration::from_secs(5))?;
            if outcome.status().is_good() { Ok(()) } else { Err("no answer".into()) }
        })?,
    );
    for (name, count, wants) in [("plain /s", PLAIN, Wants::Nothing), ("confirmed /s", CONFIRMED, Wants::Receipt)] {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(rate(&guest, path, &mut sink, count, wants)?);
        }
        tell(name, median(all));
    }
    tell("large B/s", large(&guest, path)?);

    let (before, mut crowd) = (memory(daemon)?, Vec::new());
    for n in 0..PORTS {
        crowd.push(guest.open(&PortSpec::named(format!("crowd/{n}")))?);
    }
    let ports = memory(daemon)?;
    tell("port B", (ports - before) / PORTS as f64);
    let askers = [join(place)?, join(place)?];
    let ask = Message { wants: Wants::Answer, ..Message::new([7; 64]) };
    for (n, asker) in askers.iter().cycle().take(TICKETS / 100).enumerate() {
        let to = To::Port(guest.node(), crowd.get(n * 10 % PORTS).copied().ok_or("no port")?);
        let many = asker.send_many(&to, &ask, &[[7; 64]; 100])?;
        if many.sent.len() != 100 {
            return Err(many.refused.to_string().into());
        }
    }
    tell("ticket B", (memory(daemon)? - ports) / TICKETS as f64);
    tell("receipt in a crowd µs", rounds(ROUNDS, || confirm(&guest, &quiet))?);
    drain()?;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(rate(&guest, path, &mut sink, PLAIN, Wants::Nothing)?);
    }
    tell("plain in a crowd /s", median(all));
    Ok(())
}
