//! Killed nodes: what they leave is taken over, others do not notice, nothing leaks.

use crate::topology::mesh;
use minet_tests::{Iperf, IperfReport, Net, Node, Ping, Result, SOON, eventually};
use std::{fs, time::Duration};

const STEP: Duration = Duration::from_millis(10);

#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_killed_node_comes_back_and_others_do_not_notice() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 3)?;
    let [a, b, c] = nodes.as_mut_slice() else { panic!("three nodes") };
    let (to_b, to_c) = (b.config().ipv4(), c.config().ipv4());
    let (_server, load) = Iperf::new(b.space(), &to_b, 4).with(&["-i", "0.5"]).start(a.space())?;
    let victim = Ping::new(&to_c, 300).every(STEP).start(a.space())?;
    eventually(SOON, "replies of c", || Ok(victim.output()?.stdout.contains("icmp_seq=30 ").then_some(())))?;
    c.kill();
    assert!(c.control().exists(), "a killed node leaves its socket");
    c.relaunch()?;
    let victim = victim.finish(SOON)?;
    assert!(victim.received > 100 && victim.longest_gap() < Duration::from_secs(2), "{:?}", victim.longest_gap());
    let load = IperfReport::parse(&load.finish(SOON)?.stdout)?;
    assert_eq!(load.idle_intervals, 0, "{load:?}");
    nodes.iter().try_for_each(|node| node.wait_members(3, SOON))
}

fn descriptors(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count()
}

fn mapped_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// `b` ends, killed or asked, and starts again, so many times.
fn lives(a: &Node, b: &mut Node, count: usize) -> Result<()> {
    for turn in 0..count {
        if turn % 2 == 0 {
            b.kill()
        } else {
            b.stop()?
        }
        b.relaunch()?;
        b.wait_ready()?;
        b.wait_members(2, SOON)?;
        a.wait_members(2, SOON)?;
    }
    Ok(())
}

#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn fifty_lives_of_a_peer_leak_nothing() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 2)?;
    let [a, b] = nodes.as_mut_slice() else { panic!("two nodes") };
    // The first lives fill tables and caches.
    lives(a, b, 5)?;
    let (files, memory) = (descriptors(a), mapped_kib(a));
    lives(a, b, 50)?;
    let told = |node: &Node| node.with_log(format!("{files} descriptors grew to {}", descriptors(node)));
    eventually(SOON, "the descriptors of before", || Ok((descriptors(a) <= files).then_some(())))
        .map_err(|_| told(a))?;
    assert!(mapped_kib(a) < memory + 8 * 1024, "{memory} KiB grew to {} KiB", mapped_kib(a));
    Ok(())
}
