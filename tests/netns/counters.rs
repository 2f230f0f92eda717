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
