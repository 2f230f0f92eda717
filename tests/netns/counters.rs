//! Our counters and the kernel's.

use crate::topology::{mesh, udp_pair};
use minet_tests::{Error, Iperf, Net, Node, Ping, Result, SOON, eventually};
use std::time::Duration;

fn equal(node: &Node) -> Result<()> {
    eventually(SOON, &format!("equal counters at {}", node.name()), || {
        let (ours, kernel) = (node.traffic()?, node.space().traffic("minet0")?);
        let told = || Error::unexpected(format!("ours {ours:?}, kernel {kernel:?}"));
        if ours == kernel { Ok(Some(())) } else { Err(told()) }
    })
}

/// Super-frames and small ones, both ways, over both carriers.
///
/// Rows: MN-12.
#[test]
fn counters_equal_those_of_the_kernel() -> Result<()> {
    for udp in [false, true] {
        let net = Net::new()?;
        let nodes = if udp { udp_pair(&net, |config| config)? } else { mesh(&net, 2)? };
        let (a, b) = (&nodes[0], &nodes[1]);
        let target = b.config().ipv4();
        Ping::new(&target, 50).every(Duration::from_millis(2)).run(a.space())?;
        let run = Iperf::new(b.space(), &target, 1);
        run.run(a.space())?;
        run.clone().with(&["-R"]).run(a.space())?;
        run.udp(64, "10M").run(a.space())?;
        nodes.iter().try_for_each(equal)?;
        if udp {
            let (merged, foretold) = (b.count("counters/merged-parts")?, b.count("counters/foretold")?);
            assert!(foretold > merged / 2 && foretold < merged, "{foretold} of {merged} parts were not parsed");
        }
        let kernel = b.space().traffic("minet0")?;
        assert!(kernel.rx_packets > 1000 && kernel.tx_packets > 1000, "{kernel:?}");
    }
    Ok(())
}

/// What a link counts as sent at one end it counts as received at the other, frame for frame, and each echo of a run is there.
///
/// Rows: ST-1.
#[test]
fn counters_of_a_link_are_exact_at_both_ends() -> Result<()> {
    const ECHOES: u32 = 100;
    let link = |node: &Node, peer: &str| -> Result<(u64, u64)> {
        let stats = node.ask(&["stats"])?;
        let mut all = stats["links"].as_array().into_iter().flatten();
        let found = all.find(|link| link["peer"] == peer).ok_or_else(|| Error::unexpected(stats.to_string()))?;
        let of = |name: &str| found[name].as_u64().ok_or_else(|| Error::unexpected(found.to_string()));
        Ok((of("sent")?, of("received")?))
    };
    for udp in [false, true] {
        let net = Net::new()?;
        let nodes = if udp { udp_pair(&net, |config| config)? } else { mesh(&net, 2)? };
        let (a, b) = (&nodes[0], &nodes[1]);
        let settled = || {
            eventually(SOON, "both ends count the same", || {
                let ((sent, received), (back, there)) = (link(a, "b")?, link(b, "a")?);
                Ok(((sent, received) == (there, back)).then_some((sent, received)))
            })
        };
        let target = b.config().ipv4();
        // Addresses are found, and an interface has said what it says when it comes up.
        Ping::new(&target, 3).one_by_one(a.space())?;
        let before = settled()?;
        let report = Ping::new(&target, ECHOES).every(Duration::from_millis(2)).run(a.space())?;
        assert_eq!(report.received, ECHOES);
        let after = settled()?;
        // Whatever else the kernel says meanwhile, such as that it looks for routers, is counted like anything.
        for counted in [after.0 - before.0, after.1 - before.1] {
            assert!((u64::from(ECHOES)..u64::from(ECHOES) + 10).contains(&counted), "{counted} for {ECHOES} echoes");
        }
    }
    Ok(())
}
