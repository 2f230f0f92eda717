//! `minet trace`: messages as they go through.

use super::{message_args::TraceArgs, messages::write};
use crate::control::{Ask, Client, TraceEntry, TraceReport, TraceWish};
use base64::{Engine, engine::general_purpose::STANDARD};
use fabric::middleware::{LINKTYPE_USER0, PSEUDO_HEADER};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// Between two questions; the daemon keeps what goes through meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Good when as many went through as were wanted.
pub(super) fn trace(args: &TraceArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut capture = args.pcap.as_deref().map(Capture::create).transpose()?;
    let mut client = Client::find(&args.at.place())?;
    let (node, port, path) = (args.node.clone(), args.port.clone(), args.path.clone());
    let filter = TraceWish { node, port, path, opcode: args.opcode, snap: usize::from(args.snap) };
    let mut report: TraceReport = client.ask(Ask::Trace { filter: Some(filter) })?;
    let (mut count, mut next, mut last) = (0, 0, Instant::now());
    let wanted = |count: u64| args.count.is_none_or(|most| count < most);
    'all: loop {
        for entry in &report.entries {
            if entry.number > next && !args.at.json {
                write(format!("{} messages are missing\n", entry.number - next).as_bytes())?;
            }
            (next, last) = (entry.number + 1, Instant::now());
            if let Some(capture) = &mut capture {
                capture.write(entry)?;
            }
            let text = if args.at.json { serde_json::to_string(entry)? + "\n" } else { line(entry) };
            count += 1;
            if !write(text.as_bytes())? || !wanted(count) {
                break 'all;
            }
        }
        if args.timeout.is_some_and(|limit| last.elapsed() >= limit) || !wanted(count) {
            break;
        }
        if report.entries.is_empty() {
            if let Some(capture) = &mut capture {
                capture.file.flush()?;
            }
            thread::sleep(PAUSE);
        }
        report = client.ask(Ask::Trace { filter: None })?;
    }
    if let Some(mut capture) = capture {
        capture.file.flush()?;
    }
    Ok(if args.count.is_none_or(|most| count >= most) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(e: &TraceEntry) -> String {
    let (s, us) = (e.unix_ns / 1_000_000_000, e.unix_ns / 1000 % 1_000_000);
    let time = format!("{:02}:{:02}:{:02}.{us:06}", s / 3600 % 24, s / 60 % 60, s % 60);
    let arrow = if e.way == "sent" { "to  " } else { "from" };
    let mut out = format!("{time} {:8} {arrow} {}  {} > {}", e.kind, e.node, e.from, e.to);
    out += &format!("  {}:{} opcode {} tag {} {} bytes", e.transaction, e.slot, e.opcode, e.tag, e.length);
    for (flag, word) in [(e.receipt, " +receipt"), (e.response, " +response")] {
        out += if flag { word } else { "" };
    }
    if e.kind != "message" {
        out += &format!(" {}", e.status);
    }
    out + "\n"
}

/// A capture file, as `minet run --pcap` writes it.
struct Capture {
    file: BufWriter<File>,
}

impl Capture {
    fn create(path: &Path) -> io::Result<Capture> {
        let mut file = BufWriter::new(File::create(path)?);
        // Nanoseconds, version 2.4, no zone, no accuracy, the longest record, the link type.
        for word in [0xa1b2_3c4d, 2 | 4 << 16, 0, 0, 1 << 17, LINKTYPE_USER0] {
            file.write_all(&u32::to_le_bytes(word))?;
        }
        Ok(Capture { file })
    }

    fn write(&mut self, e: &TraceEntry) -> Result<(), Box<dyn std::error::Error>> {
        let bytes = STANDARD.decode(&e.wire)?;
        let kept = PSEUDO_HEADER + bytes.len();
        let (s, ns) = (e.unix_ns / 1_000_000_000, e.unix_ns % 1_000_000_000);
        for word in [s as u32, ns as u32, kept as u32, kept as u32] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        // The way, and no channel: it may take any.
        self.file.write_all(&[u8::from(e.way == "sent"), 0, 0, 0, 0xff, 0xff, 0xff, 0xff])?;
        Ok(self.file.write_all(&bytes)?)
    }
}
