//! `cargo xtask demo --iop`: two I/O processors without an operating system on the Ethernet of a kernel node, and a node of a user
//! without an interface.
//!
//! ```text
//!   a 10.77.0.1, the kernel's stack === io1 10.77.0.9, io2 10.77.0.10: QEMU, no operating system
//!                                   === u 10.77.0.7: smoltcp in a process, ports 2222 and 8080 passed on
//! ```

use super::report::Report;
use crate::packages;
use minet_tests::{Config, Error, Net, Node, Ping, Result, SOON, Sshd, eventually};
use serde_json::Value;
use std::{
    io::Read,
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long bytes are counted for a throughput.
const STREAM: Duration = Duration::from_secs(3);
/// The addresses of the processors.
const IO1: &str = "10.77.0.9";
const IO2: &str = "10.77.0.10";

/// The nodes. Fields are dropped in this order: nodes first.
struct Stage {
    a: Node,
    u: Node,
    image: PathBuf,
    /// All machines that ran.
    pids: Vec<u64>,
    net: Net,
}

/// Something to show: its name and how to get its figure.
type Row = (&'static str, fn(&mut Stage) -> Result<String>);

const ROWS: &[Row] = &[
    ("two bare machines, operational", operational),
    ("ping IPv4 and IPv6", ping),
    ("curl of the status pages", pages),
    ("curl through a node without an interface", page_through),
    ("ssh through a node without an interface", ssh_through),
    ("TCP from a bare machine", throughput),
    ("killed, and back", kill),
    ("reset in order", reset),
    ("hot swap", swap),
    ("shutdown takes the machines along", shutdown),
];

/// Shows all rows with these binaries.
pub fn show(minet: PathBuf, image: &Path) -> Result<Report> {
    packages::ensure(&[packages::NETWORK, packages::MACHINE].concat())?;
    let before = super::interfaces()?;
    let mut stage = Stage::set(minet, image)?;
    let mut report = Report::new();
    for (name, show) in ROWS {
        report.add(name, || show(&mut stage));
    }
    drop(stage);
    report.add(super::NOTHING_LEFT, || super::nothing_left(&before));
    Ok(report)
}

impl Stage {
    fn set(minet: PathBuf, image: &Path) -> Result<Self> {
        let net = Net::with_binary(minet)?;
        let (a, u) = (net.space("a")?, net.space("u")?);
        let config = Config::new("a", 1).iop("io1", 9, image).iop("io2", 10, image);
        let a = Node::start(&net, &a, config)?;
        let forwards = "forward = [\"2222:a:22\", \"8080:io1:80\"]";
        let u = Node::start(&net, &u, Config::new("u", 7).userspace(forwards))?;
        Ok(Self { a, u, image: image.into(), pids: Vec::new(), net })
    }

    /// How a processor is, in its n-th life or later, as soon as it is operational.
    fn life(&mut self, name: &str, life: u64) -> Result<Value> {
        let seen = eventually(SOON, &format!("{name} operational"), || {
            let iop = self.a.ask(&["iop", "show", name])?;
            let right = iop["state"] == "operational" && iop["lives"].as_u64() >= Some(life);
            if right { Ok(Some(iop)) } else { Err(Error::unexpected(iop.to_string())) }
        })
        .map_err(|error| self.a.with_log(error.to_string()))?;
        self.pids.extend(seen["pid"].as_u64());
        Ok(seen)
    }

    fn get(&self, node: &Node, url: &str) -> Result<String> {
        let args = ["--silent", "--show-error", "--globoff", "--max-time", "10", url];
        Ok(node.space().run("curl", &args)?.stdout)
    }

    /// A page that says that it is this processor's.
    fn page(&self, node: &Node, url: &str, name: &str) -> Result<usize> {
        let page = self.get(node, url)?;
        let right = page.contains(&format!("node {name} ")) && page.contains("no operating system");
        if right { Ok(page.len()) } else { Err(Error::unexpected(format!("{url}: {page}"))) }
    }
}

fn operational(stage: &mut Stage) -> Result<String> {
    for name in ["io1", "io2"] {
        stage.life(name, 1)?;
    }
    stage.a.wait_members(4, SOON)?;
    stage.u.wait_members(4, SOON)?;
    Ok("io1 and io2 beside a and u: 4 members everywhere".to_owned())
}

fn ping(stage: &mut Stage) -> Result<String> {
    let mut times = Vec::new();
    for address in [IO1, IO2, "fd4d::9", "fd4d::a"] {
        let report = Ping::new(address, 50).every(Duration::from_millis(10)).run(stage.a.space())?;
        if report.received != report.sent {
            return Err(Error::unexpected(format!("{address}: {} of {}", report.received, report.sent)));
        }
        times.extend(report.times);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(format!("200 of 200 answered, p50 {median:.0} µs (software emulation)"))
}

fn pages(stage: &mut Stage) -> Result<String> {
    let mut bytes = 0;
    for (address, name) in [(IO1, "io1"), (IO2, "io2"), ("[fd4d::9]", "io1")] {
        bytes += stage.page(&stage.a, &format!("http://{address}/"), name)?;
    }
    Ok(format!("3 pages, {bytes} bytes"))
}

fn page_through(stage: &mut Stage) -> Result<String> {
    let bytes = stage.page(&stage.u, "http://127.0.0.1:8080/", "io1")?;
    Ok(format!("{bytes} bytes of io1, through smoltcp in a process"))
}

fn ssh_through(stage: &mut Stage) -> Result<String> {
    let server = Sshd::start(&stage.net, stage.a.space(), "10.77.0.1")?;
    let said = server.run_through(stage.u.space(), ("127.0.0.1", 2222), "echo $SSH_CONNECTION")?.stdout;
    match said.starts_with("10.77.0.7 ") {
        true => Ok(format!("key login on a, from {}", said.split(' ').next().unwrap_or_default())),
        false => Err(Error::unexpected(said)),
    }
}

fn throughput(stage: &mut Stage) -> Result<String> {
    // Its source: port 19.
    let mut stream = stage.a.space().inside(|| TcpStream::connect((IO1, 19)))?;
    let failed = || Error::io("read from io1");
    stream.set_read_timeout(Some(SOON)).map_err(failed())?;
    let (begun, mut bytes, mut part) = (Instant::now(), 0_u64, vec![0; 256 << 10]);
    while begun.elapsed() < STREAM {
        match stream.read(&mut part).map_err(failed())? {
            0 => return Err(Error::unexpected("io1 ended the stream")),
            read => bytes += read as u64,
        }
    }
    Ok(format!("{:.0} Mbit/s over {} s", bytes as f64 * 8e-6 / begun.elapsed().as_secs_f64(), STREAM.as_secs()))
}

fn kill(stage: &mut Stage) -> Result<String> {
    let before = stage.life("io1", 1)?;
    let others = Ping::new(IO2, 100).every(Duration::from_millis(20)).start(stage.a.space())?;
    let begun = Instant::now();
    stage.a.space().run("kill", &["-KILL", &before["pid"].to_string()])?;
    stage.life("io1", before["lives"].as_u64().unwrap_or(1) + 1)?;
    let back = begun.elapsed();
    Ping::new(IO1, 3).run(stage.a.space())?;
    let others = others.finish(SOON)?;
    match others.received == others.sent {
        true => Ok(format!(
            "operational {} ms after, io2 answered {} of {}",
            back.as_millis(),
            others.received,
            others.sent
        )),
        false => Err(Error::unexpected(format!("io2 answered {} of {}", others.received, others.sent))),
    }
}

fn reset(stage: &mut Stage) -> Result<String> {
    let lives = stage.life("io2", 1)?["lives"].as_u64().unwrap_or(1);
    let begun = Instant::now();
    stage.a.ask(&["iop", "reset", "io2"])?;
    stage.life("io2", lives + 1)?;
    Ok(format!("quiesced, reset, operational after {} ms", begun.elapsed().as_millis()))
}

fn swap(stage: &mut Stage) -> Result<String> {
    stage.a.ask(&["iop", "remove", "io2"])?;
    let begun = Instant::now();
    let image = stage.image.display().to_string();
    stage.a.ask(&["iop", "add", "io3", "--id", "10", "--image", &image])?;
    stage.life("io3", 1)?;
    eventually(SOON, "io3 answering", || stage.page(&stage.a, &format!("http://{IO2}/"), "io3").map(Some))?;
    Ok(format!("io2 taken out, io3 at its address after {} ms", begun.elapsed().as_millis()))
}

fn shutdown(stage: &mut Stage) -> Result<String> {
    stage.u.stop()?;
    stage.a.stop()?;
    let alive = |pid: &&u64| Path::new(&format!("/proc/{pid}")).exists();
    eventually(SOON, "the end of all machines", || Ok(stage.pids.iter().all(|pid| !alive(&pid)).then_some(())))?;
    Ok(format!("none of {} processes of QEMU is left", stage.pids.len()))
}
