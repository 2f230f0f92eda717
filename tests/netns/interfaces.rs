//! Interfaces of every kind, and with several queues: what a lane each carries, added up.

use crate::{
    counters::equal,
    topology::{mesh_of, udp_pair},
};
use minet_tests::{Config, Iperf, Net, Node, Ping, Result};
use std::time::Duration;

/// Every pair answers pings of both families, and carries streams both ways; then all counters are the kernel's.
fn works(nodes: &[Node], streams: u32) -> Result<()> {
    for a in nodes {
        for b in nodes.iter().filter(|b| b.name() != a.name()) {
            for target in [b.config().ipv4(), b.config().ipv6()] {
                let report = Ping::new(&target, 20).every(Duration::from_millis(5)).run(a.space())?;
                assert_eq!(report.received, 20, "{} to {target}", a.name());
            }
            let report = Iperf::new(b.space(), &b.config().ipv4(), 1).streams(streams).run(a.space())?;
            assert!(report.gbits > 0.0, "{} to {}", a.name(), b.name());
        }
    }
    nodes.iter().try_for_each(|node| equal(node).map(drop))
}

/// One lane a queue, and a node of one queue beside one of two.
///
/// Rows: MN-12.
#[test]
fn several_queues_carry_as_one_does() -> Result<()> {
    let with = |queues: [u32; 2]| {
        move |config: Config| {
            let queues = queues[config.id as usize - 1];
            Config { extra: format!("queues = {queues}"), ..config }
        }
    };
    for queues in [[2, 2], [2, 1]] {
        for udp in [false, true] {
            let net = Net::new()?;
            let nodes = if udp { udp_pair(&net, with(queues))? } else { mesh_of(&net, 2, with(queues))? };
            works(&nodes, 4)?;
        }
    }
    Ok(())
}

/// A TAP with offloads, one without, and a TUN device: checksums are completed and super-frames cut for those that take none.
#[test]
fn interfaces_of_every_kind_are_on_one_ethernet() -> Result<()> {
    let mode = |config: Config| {
        let mode = ["tap", "plain", "tun"][config.id as usize - 1].to_owned();
        Config { mode, ..config }
    };
    let net = Net::new()?;
    works(&mesh_of(&net, 3, mode)?, 1)
}
