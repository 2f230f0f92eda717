//! Rows about programs that know nothing of MINET: ssh, scp, iperf3, DHCP.

use super::stage::{KINDS, Stage};
use minet_tests::{DhcpServer, Error, Iperf, IperfReport, Node, Ping, Result, Sshd, run};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Bytes that scp copies.
const COPY: u64 = 64 << 20;

/// Rates of the runs over UDP, in Mbit/s: the highest that loses little is shown.
const UDP_RATES: [u32; 11] = [1000, 800, 500, 300, 200, 100, 50, 20, 10, 5, 2];
/// Less than this part may be lost.
const UDP_LOSS: f64 = 0.01;
/// A loss at these rates, in Mbit/s, and below may be that of a moment: each has a second try.
const UDP_AGAIN: u32 = 300;

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

/// UDP by each kind of way: the highest rate at which less than one in a hundred is lost. On a machine that is busy with other
/// things, or whose hypervisor takes its processors away, the receiving program itself loses, and the rate is low.
pub fn iperf_udp(stage: &mut Stage) -> Result<String> {
    let mut figures = Vec::new();
    for kind in KINDS {
        let (from, to) = (stage.node(kind.from)?, stage.node(kind.to)?);
        let address = to.config().ipv4();
        let (rate, report) = highest_rate(|rate| {
            let run = Iperf::new(to.space(), &address, 1).udp(1400, &format!("{rate}M"));
            run.run(from.space())
        })
        .map_err(|error| Error::unexpected(format!("{}: {error}", kind.by)))?;
        let (got, lost) = (report.gbits * 1000.0, report.lost * 100.0);
        figures.push(format!("{} {got:.0} of {rate} Mbit/s, {lost:.2} % lost", kind.by));
    }
    Ok(figures.join(", "))
}

/// The highest of the rates, in Mbit/s, at which little is lost, and what was measured at it.
fn highest_rate(mut measure: impl FnMut(u32) -> Result<IperfReport>) -> Result<(u32, IperfReport)> {
    let mut losses = Vec::new();
    for rate in UDP_RATES {
        for _ in 0..if rate > UDP_AGAIN { 1 } else { 2 } {
            let report = measure(rate)?;
            // What could not be sent at that rate was not tried at it.
            let sent = report.gbits * 1000.0 / (1.0 - report.lost).max(f64::EPSILON);
            if report.lost < UDP_LOSS && sent > f64::from(rate) * 0.9 {
                return Ok((rate, report));
            }
            losses.push(format!("{:.1} % of {sent:.0} Mbit/s at {rate}", report.lost * 100.0));
        }
    }
    Err(Error::unexpected(format!("every rate loses too much: {}", losses.join(", "))))
}

/// `b` serves addresses to `c` and to `e`, which then answer to them, each other too.
pub fn dhcp(stage: &mut Stage) -> Result<String> {
    let (b, clients) = (stage.node(1)?, [stage.node(2)?, stage.node(4)?]);
    let server = DhcpServer::start(&stage.net, b.space(), "minet0", "10.77.200.10", "10.77.200.20")?;
    let mut told = Vec::new();
    let mut addresses = Vec::new();
    for client in clients {
        let begun = Instant::now();
        let address = server.lease(client.space(), "minet0")?;
        told.push(format!("{} {address} in {} ms", client.name(), begun.elapsed().as_millis()));
        addresses.push(address);
    }
    let [c, e] = addresses.as_slice() else { return Err(Error::unexpected("there are two clients")) };
    if c == e {
        return Err(Error::unexpected(format!("both have {c}")));
    }
    let [at_c, at_e] = clients.map(Node::space);
    for (from, to) in [(b.space(), c), (b.space(), e), (at_c, e), (at_e, c)] {
        Ping::new(to, 3).every(Duration::from_millis(10)).run(from)?;
    }
    for (client, address) in clients.iter().zip(&addresses) {
        client.space().ip(&["address", "delete", &format!("{address}/16"), "dev", "minet0"])?;
    }
    Ok(format!("b gave {}; they answer it and each other", told.join(", ")))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rate: u32, lost: f64) -> IperfReport {
        let gbits = f64::from(rate) / 1000.0 * (1.0 - lost);
        IperfReport { gbits, packets: 1, lost, retransmits: 0, seconds: 1.0, idle_intervals: 0 }
    }

    #[test]
    fn the_highest_rate_without_loss_is_found() {
        let takes = |most: u32| move |rate: u32| Ok(report(rate, if rate > most { 0.3 } else { 0.002 }));
        for (most, found) in [(5000, 1000), (450, 300), (50, 50), (2, 2)] {
            assert_eq!(highest_rate(takes(most)).unwrap().0, found);
        }
        let said = highest_rate(takes(1)).unwrap_err().to_string();
        assert!(said.contains("30.0 % of 2 Mbit/s at 2"), "{said}");
    }

    #[test]
    fn a_sender_that_is_too_slow_has_not_shown_the_rate() {
        let found = highest_rate(|rate| Ok(report(rate.min(400), 0.0))).unwrap();
        assert_eq!(found.0, 300);
    }

    #[test]
    fn low_rates_have_a_second_try() {
        let mut tries = 0;
        let found = highest_rate(|rate| {
            tries += 1;
            Ok(report(rate, if rate == 20 && tries == 13 { 0.0 } else { 0.5 }))
        });
        // Three rates once, four twice, and 20 at the second try.
        assert_eq!((found.unwrap().0, tries), (20, 13));
    }
}
