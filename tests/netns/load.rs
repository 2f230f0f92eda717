//! Under load: nobody starves, nothing is lost over shared memory, and a ping still gets through.

use crate::topology::mesh;
use minet_tests::{Iperf, IperfReport, Net, Node, Ping, PingReport, Result, SOON, eventually};
use rustix::process::Signal;
use std::time::Duration;

/// A stream between two nodes.
fn stream(from: &Node, to: &Node, seconds: u32) -> Result<IperfReport> {
    Iperf::new(to.space(), &to.config().ipv4(), seconds).with(&["-i", "0.5"]).run(from.space())
}

/// Lets a stopped node go on, also when the test fails.
struct Stopped<'a>(&'a Node);

impl<'a> Stopped<'a> {
    fn new(node: &'a Node) -> Self {
        node.signal(Signal::STOP);
        Self(node)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

/// A peer that takes nothing fills its own ring and no other. What a stopped process costs is seen only in ratios, and a
/// machine that others use makes those noisy: three tries, the best one counts, and it must be near.
#[test]
fn a_stopped_peer_does_not_starve_another_pair() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = nodes.as_slice() else { panic!("three nodes") };
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let alone = stream(a, b, 1)?;
        let stopped = Stopped::new(c);
        // What `a` sends to it goes on all the time; the ring fills, and it is seen as stalled.
        let flood = Ping::new(&c.config().ipv4(), 100_000).with(&["-f", "-q", "-s", "1400"]).start(a.space())?;
        let beside = stream(a, b, 1)?;
        drop(flood);
        drop(stopped);
        assert_eq!(beside.idle_intervals, 0, "{beside:?}");
        ratios.push(beside.gbits / alone.gbits);
        c.wait_members(3, SOON)?;
        a.wait_members(3, SOON)?;
        eventually(SOON, "c answering again", || Ping::new(&c.config().ipv4(), 1).run(a.space()).map(Some))?;
    }
    println!("beside a stopped peer: {ratios:.2?} of the throughput without");
    let best = ratios.iter().copied().fold(0.0, f64::max);
    assert!(best > 0.7, "{ratios:?}");
    Ok(())
}

/// What the two ends of a stream dropped.
fn dropped(seconds: u32) -> Result<u64> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let report = stream(&nodes[0], &nodes[1], seconds)?;
    let mut sum = 0;
    for node in &nodes {
        let counters = node.space().ip_json(&["-s", "link", "show", "dev", "minet0"])?;
        let kernel = |way: &str| counters[0]["stats64"][way]["dropped"].as_u64().unwrap_or(u64::MAX >> 2);
        sum += kernel("rx") + kernel("tx") + node.count("drops/carrier-full")?;
    }
    println!(
        "{seconds} s over shared memory: {:.2} Gbit/s, {} sent again, {sum} dropped",
        report.gbits, report.retransmits
    );
    Ok(sum)
}

/// A full ring holds up the sender's interface; nothing is dropped.
#[test]
fn a_stream_over_shared_memory_loses_no_segment() -> Result<()> {
    // A machine that others use can stop a node for longer than a queue holds: three tries.
    for _ in 0..3 {
        if dropped(10)? == 0 {
            return Ok(());
        }
    }
    panic!("something was dropped in each of three streams");
}

/// What waits in front of a ping in queues is bounded, since rings are.
#[test]
fn a_ping_gets_through_beside_a_stream() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let target = b.config().ipv4();
    let (_server, load) = Iperf::new(b.space(), &target, 4).start(a.space())?;
    let pings = Ping::new(&target, 300).every(Duration::from_millis(10)).run(a.space())?;
    let report = IperfReport::parse(&load.finish(SOON)?.stdout)?;
    let p99 = percentile(&pings, 0.99).unwrap();
    println!("ping beside {:.2} Gbit/s: p50 {:?} µs, p99 {p99} µs", report.gbits, pings.median());
    assert!(pings.received >= 297, "{pings:?}");
    assert!(p99 < 100_000.0, "{p99} µs");
    Ok(())
}

fn percentile(report: &PingReport, part: f64) -> Option<f64> {
    let mut times = report.times.clone();
    times.sort_by(f64::total_cmp);
    times.get((part * times.len() as f64) as usize).copied()
}
