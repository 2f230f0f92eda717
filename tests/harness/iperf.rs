//! `iperf3` and what it measured.

use crate::{Error, Netns, Process, Result, SOON, eventually};
use serde_json::Value;
use std::time::Duration;

/// A run of `iperf3` between two namespaces.
#[derive(Clone)]
pub struct Iperf<'a> {
    server: &'a Netns,
    address: &'a str,
    seconds: u32,
    args: Vec<String>,
}

/// What `iperf3` says at its end, as the receiver saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IperfReport {
    /// Received, in Gbit/s.
    pub gbits: f64,
    /// Datagrams received (UDP only).
    pub packets: u64,
    /// The part of the datagrams that was lost, 0 to 1 (UDP only).
    pub lost: f64,
    /// Segments sent again (TCP only).
    pub retransmits: u64,
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// Intervals (`-i`) in which nothing was sent.
    pub idle_intervals: usize,
}

impl<'a> Iperf<'a> {
    /// A TCP stream of `seconds` to a server in a namespace.
    pub fn new(server: &'a Netns, address: &'a str, seconds: u32) -> Self {
        Self { server, address, seconds, args: Vec::new() }
    }

    /// As UDP, `bytes` a datagram at `rate` (`100M`, `0` for as fast as it goes).
    pub fn udp(self, bytes: usize, rate: &str) -> Self {
        self.with(&["-u", "-l", &bytes.to_string(), "-b", rate])
    }

    /// Several streams at once.
    pub fn streams(self, count: u32) -> Self {
        self.with(&["-P", &count.to_string()])
    }

    /// More options for the client.
    pub fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Runs server and client to their end.
    ///
    /// # Errors
    /// One of them fails.
    pub fn run(&self, client: &Netns) -> Result<IperfReport> {
        let (server, running) = self.start(client)?;
        let limit = Duration::from_secs(u64::from(self.seconds)) + 2 * SOON;
        let said = running.finish(limit)?.stdout;
        drop(server);
        IperfReport::parse(&said)
    }

    /// Starts server and client; both run until they are dropped or end.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn start(&self, client: &Netns) -> Result<(Process, Process)> {
        let server = self.server.spawn("iperf3", &["-s", "-1", "-B", self.address])?;
        self.wait_listening()?;
        let seconds = self.seconds.to_string();
        let mut args = vec!["-J", "-c", self.address, "-t", &seconds];
        args.extend(self.args.iter().map(String::as_str));
        let client = client.spawn("iperf3", &args)?;
        Ok((server, client))
    }

    fn wait_listening(&self) -> Result<()> {
        eventually(SOON, &format!("an iperf3 server at {}", self.address), || {
            let said = self.server.run("ss", &["-Hltn", "sport = :5201"])?.stdout;
            Ok((!said.trim().is_empty()).then_some(()))
        })
    }
}

impl IperfReport {
    /// Reads what `iperf3 -J` said.
    ///
    /// # Errors
    /// It did not come to its end.
    pub fn parse(said: &str) -> Result<Self> {
        parse(said)
    }
}

fn parse(said: &str) -> Result<IperfReport> {
    let report: Value = serde_json::from_str(said)
        .map_err(|error| Error::unexpected(format!("iperf3 said no JSON ({error}): {said}")))?;
    let end = &report["end"];
    let intervals = report["intervals"].as_array().map(Vec::as_slice).unwrap_or_default();
    let idle = |interval: &&Value| interval["sum"]["bytes"].as_u64() == Some(0);
    // UDP has one sum; as the receiver counts it in `lost_packets`, but its rate is the sender's.
    let udp = end["sum"]["packets"].as_u64();
    let sum = if udp.is_some() { &end["sum"] } else { &end["sum_received"] };
    let rate = sum["bits_per_second"].as_f64();
    let rate = rate.ok_or_else(|| Error::unexpected(format!("iperf3 said no rate: {said}")))?;
    let lost = sum["lost_packets"].as_u64().unwrap_or(0);
    let part = udp.map_or(0.0, |packets| if packets == 0 { 1.0 } else { lost as f64 / packets as f64 });
    Ok(IperfReport {
        gbits: rate * (1.0 - part) / 1e9,
        packets: udp.unwrap_or(0).saturating_sub(lost),
        lost: part,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
        seconds: sum["seconds"].as_f64().unwrap_or(0.0),
        idle_intervals: intervals.iter().filter(idle).count(),
    })
}
