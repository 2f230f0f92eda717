//! How each metric is taken.

use super::{
    figures::Metric,
    rig::{Rig, Standing},
};
use minet_tests::{Error, Iperf, IperfReport, Netns, Ping, Result, SOON, eventually};
use std::{thread::available_parallelism, time::Duration};

/// Requests of a sparse ping and of a flood ping, for a second of measuring.
const SPARSE: u32 = 500;
const FLOOD: u32 = 5000;

/// Between two requests of a sparse ping.
const PAUSE: Duration = Duration::from_millis(1);

/// The same beside a stream.
const LOADED: u32 = 100;
const LOADED_PAUSE: Duration = Duration::from_millis(9);

/// The lowest rate that is tried for small datagrams and the factor between two, and how many there are.
const RATE: f64 = 20_000.0;
const STEP: f64 = 1.15;
const RATES: i32 = 22;

/// Bytes of a small datagram.
const BYTES: usize = 64;

/// How often a rate may fail, and the part that may be lost.
const TRIES: u32 = 3;
const LOST: f64 = 0.01;

/// Takes these metrics one after the other; a metric that fails does not keep the others from being taken.
pub fn take(
    rig: &Rig,
    standing: &Standing,
    metrics: &[Metric],
    seconds: u32,
    mut tell: impl FnMut(Metric, Result<f64>),
) {
    for metric in metrics.iter().copied().filter(|metric| *metric != Metric::Cost) {
        let spent = standing.spent();
        let value = value(rig, standing, metric, seconds);
        let gbits = value.as_ref().ok().copied().filter(|_| metric == Metric::Tcp && metrics.contains(&Metric::Cost));
        tell(metric, value);
        if let (Some(gbits), Ok(Some(before)), Ok(Some(after))) = (gbits, spent, standing.spent()) {
            // The second that iperf3 leaves out is taken to be like the others.
            let gigabytes = gbits * f64::from(seconds + 1) / 8.0;
            tell(Metric::Cost, Ok((after - before) / gigabytes));
        }
    }
}

fn value(rig: &Rig, standing: &Standing, metric: Metric, seconds: u32) -> Result<f64> {
    let Standing { left, right, .. } = standing;
    // The first second is not counted: connections have to grow.
    let tcp = |space, address| Iperf::new(space, address, seconds).with(&["-O", "1"]);
    let ping = |count| Ping::new(right, count);
    match metric {
        Metric::Tcp => Ok(tcp(&rig.right, right).run(&rig.left)?.gbits),
        Metric::Tcp4 => Ok(tcp(&rig.right, right).streams(4).run(&rig.left)?.gbits),
        Metric::Both => {
            let limit = Duration::from_secs(u64::from(seconds)) + 2 * SOON;
            let (_there, one) = tcp(&rig.right, right).start(&rig.left)?;
            let (_here, other) = tcp(&rig.left, left).start(&rig.right)?;
            let [one, other] = [one, other].map(|run| IperfReport::parse(&run.finish(limit)?.stdout));
            Ok(one?.gbits + other?.gbits)
        }
        Metric::Small => small(rig, right),
        Metric::Sparse => {
            let report = ping(SPARSE * seconds).every(PAUSE).run(&rig.left)?;
            report.median().ok_or_else(|| Error::unexpected("ping told no times"))
        }
        Metric::Loaded => {
            let (_there, stream) = tcp(&rig.right, right).start(&rig.left)?;
            // Only while the stream is at its speed: its first second is left out here too.
            let growing = ping(LOADED).every(LOADED_PAUSE).run(&rig.left)?;
            let report = ping(LOADED * seconds).every(LOADED_PAUSE).run(&rig.left)?;
            stream.finish(Duration::from_secs(u64::from(seconds)) + 2 * SOON)?;
            let told = report.percentile(0.99).filter(|_| growing.received > 0);
            told.ok_or_else(|| Error::unexpected("ping told no times"))
        }
        Metric::Flood => Ok(ping(FLOOD * seconds).with(&["-f", "-q", "-w", "5"]).run(&rig.left)?.avg),
        Metric::Socket => socket(rig, right, seconds),
        Metric::Cost => Err(Error::unexpected("it is taken with the TCP stream")),
    }
}

/// The highest of a ladder of rates that loses under 1 %, in thousands a second, found by halving. A rate has some tries:
/// a machine that is taken away for some milliseconds is no fault of who carries the frames.
fn small(rig: &Rig, address: &str) -> Result<f64> {
    let carries = |rung: i32| -> Result<Option<f64>> {
        let rate = RATE * STEP.powi(rung);
        let bits = format!("{:.0}", rate * 8.0 * BYTES as f64);
        for _ in 0..TRIES {
            let report = Iperf::new(&rig.right, address, 1).udp(BYTES, &bits).run(&rig.left)?;
            let sent = report.packets as f64 / (1.0 - report.lost).max(f64::EPSILON) / report.seconds;
            // A sender that does not get there itself says nothing about this rate.
            if report.lost < LOST && sent > 0.9 * rate {
                return Ok(Some(report.packets as f64 / report.seconds / 1000.0));
            }
        }
        Ok(None)
    };
    highest(RATES, carries)?.ok_or_else(|| Error::unexpected(format!("more than 1 % is lost at {RATE:.0} a second")))
}

/// The value of the last rung that has one, when those that have one come first.
fn highest<T>(rungs: i32, mut at: impl FnMut(i32) -> Result<Option<T>>) -> Result<Option<T>> {
    let (mut good, mut bad, mut best) = (-1, rungs, None);
    while bad - good > 1 {
        let middle = i32::midpoint(good, bad);
        match at(middle)? {
            Some(value) => (good, best) = (middle, Some(value)),
            None => bad = middle,
        }
    }
    Ok(best)
}

/// Client and server on a core each, so that what lies between them is woken as it would be by programs that work.
fn socket(rig: &Rig, address: &str, seconds: u32) -> Result<f64> {
    let other = available_parallelism().map_or(0, |cores| usize::from(cores.get() > 1)).to_string();
    let port = ["-i", address, "-p", "11111"];
    let on = |space: &Netns, core: &str, args: &[&str]| {
        space.spawn("taskset", &[&["-c", core, "sockperf"], args, port.as_slice()].concat())
    };
    let _server = on(&rig.right, &other, &["server"])?;
    eventually(SOON, "a sockperf server", || {
        let said = rig.right.run("ss", &["-Hlun", "sport = :11111"])?.stdout;
        Ok((!said.trim().is_empty()).then_some(()))
    })?;
    let client = on(&rig.left, "0", &["ping-pong", "-t", &seconds.to_string(), "-m", &BYTES.to_string()])?;
    let said = client.finish(Duration::from_secs(u64::from(seconds)) + SOON)?.stdout;
    round_trip(&said).ok_or_else(|| Error::unexpected(format!("sockperf said: {said}")))
}

/// The median that sockperf tells is of one way: half of the round trip.
fn round_trip(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains("percentile 50.000"))?;
    line.rsplit('=').next()?.trim().parse::<f64>().ok().map(|half| 2.0 * half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_finds_the_last_good_rung() {
        for last in -1..RATES {
            let found = highest(RATES, |rung| Ok((rung <= last).then_some(rung))).unwrap();
            assert_eq!(found, (last >= 0).then_some(last));
        }
    }

    #[test]
    fn sockperf_tells_half_a_round_trip() {
        let said = "sockperf: ---> <MAX> observation =  1.0\nsockperf: ---> percentile 50.000 =   31.505\n";
        assert_eq!(round_trip(said), Some(63.01));
        assert_eq!(round_trip("nothing"), None);
    }
}
