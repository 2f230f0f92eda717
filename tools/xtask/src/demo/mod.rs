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
use minet_tests::{Error, Result, clean_leftovers};
use report::Report;
use stage::Stage;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Leave the nodes running until Ctrl-C, with a line for each namespace to type into
    #[arg(long)]
    keep: bool,
    /// The table as JSON
    #[arg(long)]
    json: bool,
    /// Two I/O processors without an operating system beside a kernel node instead (needs QEMU)
    #[arg(long, conflicts_with = "keep")]
    iop: bool,
    /// Show this binary of `minet` instead of building one
    #[arg(long)]
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
    ("DHCP, dnsmasq serving another node", programs::dhcp),
    ("counters equal to `ip -s link`", upkeep::counters),
    ("interface down and up", upkeep::down_and_up),
    ("node killed and started under load", upkeep::crash),
    ("clean shutdown", upkeep::shutdown),
    ("started in the reverse order", upkeep::reverse_order),
    ("MTU 9000", upkeep::large_mtu),
];

/// Runs it; whether every row was shown.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    packages::ensure(packages::NETWORK)?;
    need_tun()?;
    clean_leftovers()?;
    let minet = args.minet.clone().map_or_else(|| workspace.build_minet(true), Ok)?;
    if args.iop {
        if let Some(why) = bare::images_lack() {
            return Err(Error::unexpected(why));
        }
        let report = iop::show(minet, &bare::build_images(workspace)?)?;
        print!("{}", if args.json { report.json() } else { report.table() });
        return Ok(report.is_good());
    }
    let mut stage = Stage::set(minet)?;
    let mut report = Report::new();
    for (name, show) in ROWS {
        report.add(name, || show(&mut stage));
    }
    if args.keep {
        print!("{}", report.table());
        println!("\nThe nodes run on. Type into them; Ctrl-C ends it all:");
        for line in stage.doors() {
            println!("  {line}");
        }
        // The end comes as a signal, which cleans up.
        loop {
            std::thread::park();
        }
    }
    drop(stage);
    report.add("nothing left behind", nothing_left);
    print!("{}", if args.json { report.json() } else { report.table() });
    Ok(report.is_good())
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

/// No namespace and no process of this run.
fn nothing_left() -> Result<String> {
    let mine = format!("mn{}-", std::process::id());
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(&mine)).collect();
    let children = minet_tests::children()?;
    if names.is_empty() && children.is_empty() {
        return Ok("0 namespaces, 0 processes".to_owned());
    }
    Err(Error::unexpected(format!("namespaces {names:?}, processes {children:?}")))
}
