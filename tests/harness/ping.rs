//! `ping` and what it measured.

use crate::{Error, Netns, Process, Result};
use std::time::Duration;

/// A run of `ping`.
#[derive(Clone, Debug)]
pub struct Ping<'a> {
    target: &'a str,
    count: u32,
    args: Vec<String>,
}

/// What `ping` says at its end. Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PingReport {
    /// Requests sent.
    pub sent: u32,
    /// Replies received.
    pub received: u32,
    /// The shortest round trip.
    pub min: f64,
    /// The mean round trip.
    pub avg: f64,
    /// The longest round trip.
    pub max: f64,
    /// Each round trip, in order, where the output has them.
    pub times: Vec<f64>,
    /// When each reply came, in seconds, in order.
    arrivals: Vec<f64>,
    /// The number of each request that has a reply, from 1.
    answered: Vec<u32>,
}

impl<'a> Ping<'a> {
    /// `count` requests to an IPv4 or IPv6 address.
    pub fn new(target: &'a str, count: u32) -> Self {
        Self { target, count, args: Vec::new() }
    }

    /// Time between two requests.
    pub fn every(self, pause: Duration) -> Self {
        self.with(&["-i", &format!("{:.3}", pause.as_secs_f64())])
    }

    /// Bytes of data in a request.
    pub fn size(self, bytes: usize) -> Self {
        self.with(&["-s", &bytes.to_string()])
    }

    /// More options.
    pub fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Runs it in a namespace. Losing some is no error, losing all is.
    ///
    /// # Errors
    /// No reply at all.
    pub fn run(&self, space: &Netns) -> Result<PingReport> {
        PingReport::parse(&self.start(space)?.finish(LIMIT)?.stdout)
    }

    /// Each request by itself, the next after the reply, so that each has its two seconds: `ping` waits for the last ones
    /// of a series no longer than for those before.
    ///
    /// # Errors
    /// One has no reply.
    pub fn one_by_one(&self, space: &Netns) -> Result<PingReport> {
        let one = Self { count: 1, ..self.clone() };
        let mut report = PingReport { min: f64::INFINITY, ..PingReport::default() };
        for _ in 0..self.count {
            let PingReport { sent, received, min, avg, max, times, .. } = one.run(space)?;
            report.sent += sent;
            report.received += received;
            report.min = report.min.min(min);
            report.avg += avg / f64::from(self.count);
            report.max = report.max.max(max);
            report.times.extend(times);
        }
        Ok(report)
    }

    /// Starts it; [`PingReport::parse`] reads what it says.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, space: &Netns) -> Result<Process> {
        let count = self.count.to_string();
        let mut args = vec!["-n", "-D", "-c", &count, "-W", "2"];
        args.extend(self.args.iter().map(String::as_str));
        args.push(self.target);
        space.spawn("ping", &args)
    }
}

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(120);

impl PingReport {
    /// Reads what `ping -D` said.
    ///
    /// # Errors
    /// It did not come to its end.
    pub fn parse(said: &str) -> Result<Self> {
        parse(said)
    }

    /// The longest time without a reply between two replies.
    pub fn longest_gap(&self) -> Duration {
        let gaps = self.arrivals.iter().zip(self.arrivals.iter().skip(1)).map(|(one, next)| next - one);
        Duration::from_secs_f64(gaps.fold(0.0, f64::max))
    }

    /// Whether each of the first `count` requests has its reply. More are to be sent than are judged: `ping` waits for the last ones no
    /// longer than the pause between two, or twice the longest round trip, and a machine may be kept from running for longer.
    pub fn has_first(&self, count: u32) -> bool {
        (1..=count).all(|number| self.answered.contains(&number))
    }

    /// The middle of the round trips.
    pub fn median(&self) -> Option<f64> {
        self.percentile(0.5)
    }

    /// The round trip that this part of all, from 0 to 1, do not exceed, in microseconds.
    pub fn percentile(&self, part: f64) -> Option<f64> {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        times.get((part * times.len() as f64) as usize).copied()
    }
}

fn parse(said: &str) -> Result<PingReport> {
    let wrong = || Error::unexpected(format!("ping said: {said}"));
    let line = said.lines().find(|line| line.contains("packets transmitted")).ok_or_else(wrong)?;
    let numbers: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[sent, received, ..] = numbers.as_slice() else { return Err(wrong()) };
    let millis = |text: &str| text.parse::<f64>().ok().map(|ms| ms * 1000.0);
    let times =
        said.lines().filter_map(|line| millis(line.split("time=").nth(1)?.split_whitespace().next()?)).collect();
    let arrival = |line: &str| line.strip_prefix('[')?.split(']').next()?.parse().ok();
    let arrivals = said.lines().filter(|line| line.contains("time=")).filter_map(arrival).collect();
    let number = |line: &str| line.split("icmp_seq=").nth(1)?.split_whitespace().next()?.parse().ok();
    let answered = said.lines().filter(|line| line.contains("time=")).filter_map(number).collect();
    let mut report = PingReport { sent, received, times, arrivals, answered, ..PingReport::default() };
    if let Some(summary) = said.lines().find_map(|line| line.strip_prefix("rtt ")?.split(" = ").nth(1)) {
        let mut parts = summary.split(['/', ' ']).map_while(millis);
        report.min = parts.next().ok_or_else(wrong)?;
        report.avg = parts.next().ok_or_else(wrong)?;
        report.max = parts.next().ok_or_else(wrong)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ping_says() {
        let said = "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n\
                    [100.25] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.045 ms\n\
                    [101.5] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.055 ms\n\n--- 10.0.0.1 ping statistics ---\n\
                    3 packets transmitted, 2 received, +1 duplicates, 33% packet loss, time 2000ms\n\
                    rtt min/avg/max/mdev = 0.045/0.050/0.055/0.005 ms\n";
        let report = parse(said).unwrap();
        assert_eq!((report.sent, report.received), (3, 2));
        assert_eq!((report.min, report.avg, report.max), (45.0, 50.0, 55.0));
        assert_eq!(report.median(), Some(55.0));
        assert_eq!(report.longest_gap(), Duration::from_millis(1250));
        assert!(report.has_first(2) && !report.has_first(3));
        assert!(parse("ping: unknown host").is_err());
    }
}
