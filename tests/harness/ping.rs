//! `ping` and what it measured.

use crate::{Error, Netns, Process, Result, eventually};
use rustix::process::Signal;
use std::{collections::HashSet, ops::Deref, str::FromStr, time::Duration};

/// A run of `ping`.
#[derive(Clone, Debug)]
pub struct Ping<'a> {
    target: &'a str,
    count: u32,
    pause: Duration,
    args: Vec<String>,
}

/// A `ping` that runs.
pub struct Pinging {
    process: Process,
    count: u32,
}

/// What `ping` says of the requests that count. Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PingReport {
    /// Requests sent.
    pub sent: u32,
    /// Requests sent, with those that only kept `ping` listening.
    pub sent_in_all: u32,
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
}

impl<'a> Ping<'a> {
    /// `count` requests to an IPv4 or IPv6 address.
    pub fn new(target: &'a str, count: u32) -> Self {
        Self { target, count, pause: Duration::from_secs(1), args: Vec::new() }
    }

    /// Time between two requests.
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
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
        self.start(space)?.finish(LIMIT)
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
            report.sent_in_all += sent;
            report.received += received;
            report.min = report.min.min(min);
            report.avg += avg / f64::from(self.count);
            report.max = report.max.max(max);
            report.times.extend(times);
        }
        Ok(report)
    }

    /// Starts it.
    ///
    /// `ping` waits for the last replies no longer than the pause between two requests, or twice the longest round trip, and a
    /// machine may be kept from running for longer. So it is to send more, for two seconds, and is ended as soon as the replies that
    /// count are there; the requests beyond them are in no report.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, space: &Netns) -> Result<Pinging> {
        // A single one has the time that `-W` says.
        let more = if self.count == 1 { 0.0 } else { (TAIL.as_secs_f64() / self.pause.as_secs_f64()).ceil() };
        let sent = self.count.saturating_add(more as u32).to_string();
        let mut args = vec!["-n", "-D", "-c", &sent, "-W", "2"];
        args.extend(self.args.iter().map(String::as_str));
        args.push(self.target);
        Ok(Pinging { process: space.spawn("ping", &args)?, count: self.count })
    }
}

impl Pinging {
    /// Waits until each request that counts has its reply, or for its end.
    ///
    /// # Errors
    /// No reply at all, or it hangs.
    pub fn finish(mut self, limit: Duration) -> Result<PingReport> {
        let count = self.count;
        let last = format!("icmp_seq={count} ");
        let complete = eventually(limit, "all replies", || {
            let runs = self.process.is_running();
            let said = self.process.output()?.stdout;
            let all = said.contains(&last) && PingReport::first(&said, count).received == count;
            Ok((all || !runs).then_some(()))
        });
        if complete.is_ok() && self.process.is_running() {
            self.process.signal(Signal::INT);
        }
        PingReport::parse(&self.process.finish(LIMIT)?.stdout, count)
    }
}

impl Deref for Pinging {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// How long requests go on that only keep `ping` listening.
const TAIL: Duration = Duration::from_secs(2);

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(120);

impl PingReport {
    /// Reads what `ping -D` said of its first `count` requests.
    ///
    /// # Errors
    /// It did not come to its end.
    fn parse(said: &str, count: u32) -> Result<Self> {
        let wrong = || Error::unexpected(format!("ping said: {said}"));
        let line = said.lines().find(|line| line.contains("packets transmitted")).ok_or_else(wrong)?;
        let sent = line.split(' ').next().and_then(|word| word.parse::<u32>().ok()).ok_or_else(wrong)?;
        Ok(Self { sent: sent.min(count), sent_in_all: sent, ..Self::first(said, count) })
    }

    /// The replies to the first `count` requests; what comes twice counts once.
    fn first(said: &str, count: u32) -> Self {
        let mut answered = HashSet::new();
        let mut report = Self::default();
        for line in said.lines().filter(|line| line.contains("bytes from")) {
            let Some(number) = value::<u32>(line, "icmp_seq=") else { continue };
            if number > count || !answered.insert(number) {
                continue;
            }
            report.received += 1;
            report.times.extend(value::<f64>(line, "time=").map(|ms| ms * 1000.0));
            let arrival = |line: &str| line.strip_prefix('[')?.split(']').next()?.parse().ok();
            report.arrivals.extend::<Option<f64>>(arrival(line));
        }
        report.min = report.times.iter().copied().fold(f64::INFINITY, f64::min);
        report.max = report.times.iter().copied().fold(0.0, f64::max);
        report.avg = report.times.iter().sum::<f64>() / report.times.len().max(1) as f64;
        report
    }

    /// The longest time without a reply between two replies.
    pub fn longest_gap(&self) -> Duration {
        let gaps = self.arrivals.iter().zip(self.arrivals.iter().skip(1)).map(|(one, next)| next - one);
        Duration::from_secs_f64(gaps.fold(0.0, f64::max))
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

/// What stands behind `name` in a line.
fn value<T: FromStr>(line: &str, name: &str) -> Option<T> {
    line.split(name).nth(1)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ping_says() {
        let said = "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n\
                    [100.25] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.045 ms\n\
                    [101.5] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.055 ms\n\
                    [101.6] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.155 ms (DUP!)\n\
                    [103.5] 64 bytes from 10.0.0.1: icmp_seq=4 ttl=64 time=0.065 ms\n\n--- 10.0.0.1 ping statistics ---\n\
                    4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 3000ms\n\
                    rtt min/avg/max/mdev = 0.045/0.050/0.155/0.005 ms\n";
        let report = PingReport::parse(said, 3).unwrap();
        assert_eq!((report.sent, report.received), (3, 2));
        assert_eq!((report.min, report.avg, report.max), (45.0, 50.0, 55.0));
        assert_eq!(report.median(), Some(55.0));
        assert_eq!(report.longest_gap(), Duration::from_millis(1250));
        assert_eq!(PingReport::parse(said, 9).unwrap().sent, 4);
        assert_eq!(PingReport::parse(said, 9).unwrap().received, 3);
        assert!(PingReport::parse("ping: unknown host", 1).is_err());
    }
}
