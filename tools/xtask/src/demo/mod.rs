//! `cargo xtask demo`: five nodes on one Ethernet, shown with ordinary tools, and nothing left behind.
//!
//! ```text
//!   host 1 (shared memory)           underlay 10.99.0.0/24        host 2 (shared memory)
//!   +---+    +---+    +---+                                       +---+    +---+
//!   | a |----| b |----| c |        UDP: d-a d-b d-c  e-a e-b      | d |----| e |
//!   +---+    +---+    +---+             (none c-e: relayed)       +---+    +---+
//!     +-----------------+
//! ```

pub mod iop;
mod programs;
mod reach;
mod report;
mod stage;
mod upkeep;

use crate::{bare, packages, workspace::Workspace};
use minet_tests::{Error, Result, SOON, clean_leftovers, clean_up_on_signals, eventually, left_behind};
use report::Report;
use stage::Stage;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Leave the nodes running until Ctrl-C, with a line for each namespace to type into
    #[arg(long)]
    keep: bool,
    /// The table as JSON; with --keep the lines to type, too
    #[arg(long)]
    json: bool,
    /// Two I/O processors without an operating system beside a kernel node instead (needs QEMU)
    #[arg(long, conflicts_with_all = ["keep", "only"])]
    iop: bool,
    /// Only rows whose name has one of these in it, such as `relay,ping IPv4`
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    only: Vec<String>,
    /// Show this binary of the command `minet` instead of building one
    #[arg(long, value_name = "FILE")]
    minet: Option<PathBuf>,
}

/// Something to show: its name and how to get its figure.
type Row = (&'static str, fn(&mut Stage) -> Result<String>);

/// In this order: later rows change more.
const ROWS: &[Row] = &[
    ("five members, each knows all", stage::members),
    ("relay where there is no direct link", reach::relay),
    ("ping IPv4, all pairs", reach::ping_ipv4),
    ("ping IPv6, all pairs", reach::ping_ipv6),
    ("arping", reach::arping),
    ("multicast group", reach::multicast),
    ("tcpdump sees ordinary frames", reach::tcpdump),
    ("ssh, key login", programs::ssh),
    ("scp, checksum compared", programs::scp),
    ("iperf3 TCP", programs::iperf_tcp),
    ("iperf3 UDP", programs::iperf_udp),
    ("DHCP, dnsmasq serving two other nodes", programs::dhcp),
    ("counters equal to `ip -s link`", upkeep::counters),
    ("interface down and up", upkeep::down_and_up),
    ("node killed and started under load", upkeep::crash),
    ("clean shutdown", upkeep::shutdown),
    ("started in the reverse order", upkeep::reverse_order),
    ("MTU 9000", upkeep::large_mtu),
];

/// The last row, after the end.
const NOTHING_LEFT: &str = "nothing left behind";

/// Runs it; whether every row was shown.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    // Before anything is begun that would have to be ended.
    clean_up_on_signals()?;
    let rows = chosen(&args.only)?;
    packages::ensure(packages::NETWORK)?;
    need_tun()?;
    clean_leftovers()?;
    let minet = match &args.minet {
        Some(minet) => fs::canonicalize(minet).map_err(Error::io(format!("find {}", minet.display())))?,
        None => workspace.build_minet(true)?,
    };
    if args.iop {
        if let Some(why) = bare::images_lack() {
            return Err(Error::unexpected(why));
        }
        let report = iop::show(minet, &bare::build_images(workspace)?)?;
        print!("{}", if args.json { report.json(&[], None) } else { report.table() });
        return Ok(report.is_good());
    }
    let before = interfaces()?;
    let mut stage = Stage::set(minet)?;
    let mut report = Report::new();
    for (name, show) in rows {
        report.add(name, || show(&mut stage));
    }
    if args.keep {
        print!("{}", if args.json { report.json(&stage.doors(), stage.question()) } else { kept(&report, &stage) });
        // The end comes as a signal, which cleans up.
        loop {
            std::thread::park();
        }
    }
    drop(stage);
    report.add(NOTHING_LEFT, || nothing_left(&before));
    print!("{}", if args.json { report.json(&[], None) } else { report.table() });
    Ok(report.is_good())
}

/// The rows whose name has one of these words in it; all without words.
fn chosen(only: &[String]) -> Result<Vec<&'static Row>> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|words| name.contains(words.as_str()));
    let rows: Vec<&Row> = ROWS.iter().filter(|(name, _)| wanted(name)).collect();
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
        return Err(Error::unexpected(format!("no row has {only:?} in its name; there are: {}", names.join(", "))));
    }
    Ok(rows)
}

/// What a person reads while the nodes run on.
fn kept(report: &Report, stage: &Stage) -> String {
    let mut text = report.table() + "\nThe nodes run on. Type into them; Ctrl-C ends it all:\n";
    for door in stage.doors() {
        text += &format!("  {}   # node {}, {}, {} on {}\n", door.line, door.node, door.ipv4, door.ipv6, door.host);
    }
    text + &stage.question().map(|line| format!("  {line}\n")).unwrap_or_default()
}

/// `/dev/net/tun` must be there; loading its module is tried.
fn need_tun() -> Result<()> {
    let device = Path::new("/dev/net/tun");
    if !device.exists() {
        // Where there is no modprobe, the device is still missing and that is what counts.
        let _ = Command::new("modprobe").arg("tun").status();
    }
    if device.exists() {
        return Ok(());
    }
    Err(Error::unexpected(
        "this system has no /dev/net/tun: the kernel needs the tun driver (CONFIG_TUN), a container needs the device \
         passed in (`--device /dev/net/tun --cap-add NET_ADMIN`)",
    ))
}

/// The interfaces of this machine that are called as those of the demonstration are.
fn interfaces() -> Result<BTreeSet<String>> {
    let ours = |name: &String| {
        ["minet0", "u0", "br0"].contains(&name.as_str()) || name.starts_with("to-") || name.starts_with("mn")
    };
    let names = fs::read_dir("/sys/class/net").map_err(Error::io("list the interfaces"))?.flatten();
    Ok(names.filter_map(|entry| entry.file_name().into_string().ok()).filter(ours).collect())
}

/// No namespace, file, process or interface of this run.
fn nothing_left(before: &BTreeSet<String>) -> Result<String> {
    // Processes that were killed need a moment.
    eventually(SOON, "nothing left behind", || {
        let mut left = left_behind()?;
        left.extend(interfaces()?.difference(before).map(|name| format!("interface {name}")));
        if left.is_empty() { Ok(Some(())) } else { Err(Error::unexpected(left.join(", "))) }
    })?;
    Ok("0 namespaces, 0 processes, 0 run-time directories, 0 interfaces".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_words_of_their_names() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|word| (*word).to_owned()).collect();
            chosen(&only).map(|rows| rows.iter().map(|(name, _)| *name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), ROWS.len());
        assert_eq!(names(&["MTU", "IPv6"]).unwrap(), ["ping IPv6, all pairs", "MTU 9000"]);
        assert!(names(&["telex"]).unwrap_err().to_string().contains("clean shutdown"));
    }
}
