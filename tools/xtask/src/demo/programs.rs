//! Rows about programs that know nothing of MINET: ssh, scp, iperf3, DHCP.

use super::stage::{KINDS, Stage};
use minet_tests::{DhcpServer, Error, Iperf, Ping, Result, Sshd, run};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Bytes that scp copies.
const COPY: u64 = 64 << 20;

/// Rates of the runs over UDP, in Mbit/s, one after the other until one does not lose.
const UDP_RATES: [u32; 5] = [100, 100, 50, 50, 20];
/// More than this part lost is a failure.
const UDP_LOSS: f64 = 0.05;

/// A login with a key, over UDP.
pub fn ssh(stage: &mut Stage) -> Result<String> {
    let (a, d) = (stage.node(0)?, stage.node(3)?);
    let server = Sshd::start(&stage.net, d.space(), &d.config().ipv4())?;
    let begun = Instant::now();
    let said = server.run(a.space(), "echo $SSH_CONNECTION")?.stdout;
    if !said.starts_with(&a.config().ipv4()) {
        return Err(Error::unexpected(format!("the server saw {said}")));
    }
    Ok(format!("a to d in {} ms, seen from {}", begun.elapsed().as_millis(), a.config().ipv4()))
}

/// A file copied, over UDP, with its checksum compared.
pub fn scp(stage: &mut Stage) -> Result<String> {
    let (a, d) = (stage.node(0)?, stage.node(3)?);
    let server = Sshd::start(&stage.net, d.space(), &d.config().ipv4())?;
    let dir = stage.net.subdir("copy")?;
    let (from, to) = (dir.join("from"), dir.join("to"));
    random_file(&from, COPY)?;
    let begun = Instant::now();
    server.copy(a.space(), &from, &to)?;
    let rate = COPY as f64 / 1e6 / begun.elapsed().as_secs_f64();
    let (sent, received) = (checksum(&from)?, checksum(&to)?);
    if sent != received {
        return Err(Error::unexpected(format!("sent {sent}, received {received}")));
    }
    let start: String = sent.chars().take(12).collect();
    Ok(format!("{} MiB at {rate:.0} MB/s, sha256 {start}… on both sides", COPY >> 20))
}

/// TCP by each kind of way.
pub fn iperf_tcp(stage: &mut Stage) -> Result<String> {
    let mut figures = Vec::new();
    for kind in KINDS {
        let (from, to) = (stage.node(kind.from)?, stage.node(kind.to)?);
        let report = Iperf::new(to.space(), &to.config().ipv4(), 2).run(from.space())?;
        figures.push(format!("{} {:.2} Gbit/s", kind.by, report.gbits));
    }
    Ok(figures.join(", "))
}

/// UDP by each kind of way, at a rate that should not lose. On a machine that is busy with other things, or whose
/// hypervisor takes its processors away, the receiving program itself loses: it has several tries, at lower rates at last.
pub fn iperf_udp(stage: &mut Stage) -> Result<String> {
    let mut figures = Vec::new();
    for kind in KINDS {
        let (from, to) = (stage.node(kind.from)?, stage.node(kind.to)?);
        let mut tries = Vec::new();
        for rate in UDP_RATES {
            let address = to.config().ipv4();
            let run = Iperf::new(to.space(), &address, 2).udp(1400, &format!("{rate}M"));
            tries.push(run.run(from.space())?);
            if tries.last().is_some_and(|report| report.lost < UDP_LOSS) {
                break;
            }
        }
        let lossy = || Error::unexpected(format!("{} loses at every rate: {tries:?}", kind.by));
        let report = tries.last().filter(|report| report.lost < UDP_LOSS).ok_or_else(lossy)?;
        figures.push(format!("{} {:.0} Mbit/s, {:.2} % lost", kind.by, report.gbits * 1000.0, report.lost * 100.0));
    }
    Ok(figures.join(", "))
}

/// `b` serves an address to `e`, which then answers to it.
pub fn dhcp(stage: &mut Stage) -> Result<String> {
    let (b, e) = (stage.node(1)?, stage.node(4)?);
    let server = DhcpServer::start(&stage.net, b.space(), "minet0", "10.77.200.10", "10.77.200.20")?;
    let begun = Instant::now();
    let address = server.lease(e.space(), "minet0")?;
    let took = begun.elapsed();
    let report = Ping::new(&address, 3).every(Duration::from_millis(10)).run(b.space())?;
    e.space().ip(&["address", "delete", &format!("{address}/16"), "dev", "minet0"])?;
    if report.received == 0 {
        return Err(Error::unexpected(format!("{address} does not answer")));
    }
    Ok(format!("b gave e {address} in {} ms, it answers in {:.0} µs", took.as_millis(), report.avg))
}

fn random_file(path: &Path, bytes: u64) -> Result<()> {
    let what = || format!("write {}", path.display());
    let random = File::open("/dev/urandom").map_err(Error::io("open /dev/urandom"))?;
    let mut file = File::create(path).map_err(Error::io(what()))?;
    std::io::copy(&mut random.take(bytes), &mut file).and_then(|_| file.flush()).map_err(Error::io(what()))
}

fn checksum(path: &Path) -> Result<String> {
    let mut command = Command::new("sha256sum");
    command.arg(path);
    let said = run(command)?.stdout;
    Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
}
