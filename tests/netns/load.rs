//! Under load: nobody starves, nothing is lost over shared memory, and a ping still gets through.

use crate::topology::mesh;
use minet_tests::{Iperf, IperfReport, Net, Node, Ping, Result, SOON, eventually};
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

/// Whether a stream stood still, neither end dropped anything, and what was sent again had come before: the sender's kernel
/// probes for losses when it waits long for an answer, and the receiver's tells which of these were none.
fn is_whole(seconds: u32) -> Result<bool> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let report = stream(&nodes[0], &nodes[1], seconds)?;
    let mut dropped = Vec::new();
    for node in &nodes {
        let counters = node.space().ip_json(&["-s", "link", "show", "dev", "minet0"])?;
        let kernel = |way: &str| counters[0]["stats64"][way]["dropped"].as_u64().unwrap_or(u64::MAX >> 2);
        dropped.extend([kernel("rx"), kernel("tx"), node.count("drops/carrier-full")?]);
    }
    let needless = nodes[0].space().kernel_count("TcpExt", "TCPDSACKRecv")?;
    println!(
        "{seconds} s over shared memory: {:.2} Gbit/s, {} sent again, {needless} of them needlessly, {} times idle; \
         dropped at each end on the way in, on the way out, by the ring: {dropped:?}",
        report.gbits, report.retransmits, report.idle_intervals
    );
    Ok(report.retransmits <= needless && report.idle_intervals == 0 && dropped.iter().all(|n| *n == 0))
}

/// A machine that others use can stop a node for longer than TCP waits: three tries, one of them whole.
fn is_whole_once(seconds: u32) -> Result<()> {
    for _ in 0..3 {
        if is_whole(seconds)? {
            return Ok(());
        }
    }
    panic!("each of three streams lost something or stood still");
}

/// A full ring holds up the sender's interface; nothing is dropped.
#[test]
fn a_stream_over_shared_memory_loses_no_segment() -> Result<()> {
    is_whole_once(10)
}

/// The same for longer; in the full run only.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_long_stream_over_shared_memory_loses_no_segment() -> Result<()> {
    is_whole_once(30)
}

/// What stands in front of a ping in queues is bounded, since rings are: the bytes that the stream carries in the time of a typical
/// ping, whatever the machine is busy with besides. `cargo xtask bench` has the times.
#[test]
fn a_ping_gets_through_beside_a_stream() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let target = b.config().ipv4();
    let (_server, load) = Iperf::new(b.space(), &target, 4).start(a.space())?;
    let pings = Ping::new(&target, 300).every(Duration::from_millis(10)).run(a.space())?;
    let report = IperfReport::parse(&load.finish(SOON)?.stdout)?;
    let (median, p99) = (pings.median().unwrap(), pings.percentile(0.99).unwrap());
    let standing = median * 1e-6 * report.gbits * 1e9 / 8.0;
    println!("ping beside {:.2} Gbit/s: p50 {median} µs, p99 {p99} µs, {standing} bytes", report.gbits);
    assert!(pings.received >= 297, "{pings:?}");
    // A ring has 1 MiB, and so much more may be in the kernel's queues.
    assert!(standing < 4e6, "{standing} bytes stand before a ping of {median} µs");
    Ok(())
}
