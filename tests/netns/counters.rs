//! Our counters and the kernel's.

use crate::topology::{joined, mesh, udp_pair};
use minet_tests::{Error, Iperf, Net, Node, Ping, Result, SOON, Traffic, eventually};
use rustix::process::Signal;
use std::{net::UdpSocket, time::Duration};

/// Packets, bytes, drops and errors of both ways, equal once nothing is under way.
pub fn equal(node: &Node) -> Result<Traffic> {
    eventually(SOON, &format!("equal counters at {}", node.name()), || {
        let (ours, kernel) = (node.traffic()?, node.space().traffic("minet0")?);
        let told = || Error::unexpected(format!("ours {ours:?}, kernel {kernel:?}"));
        if ours == kernel { Ok(Some(ours)) } else { Err(told()) }
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
        nodes.iter().try_for_each(|node| equal(node).map(drop))?;
        if udp {
            let (merged, foretold) = (b.count("counters/merged-parts")?, b.count("counters/foretold")?);
            // How many depends on how many come at once; a lane's own test has the rate.
            assert!(foretold > 0 && foretold < merged, "{foretold} of {merged} parts were not parsed");
        }
        let kernel = b.space().traffic("minet0")?;
        assert!(kernel.rx_packets > 1000 && kernel.tx_packets > 1000, "{kernel:?}");
    }
    Ok(())
}

/// Frames that the kernel drops before it gives them to us, the daemon being stopped, and frames that it does not take from us,
/// its interface being down: both are told as the kernel counts them. What it did not take we counted ourselves, too.
///
/// Rows: MN-12.
#[test]
fn drops_equal_those_of_the_kernel() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let (at_a, at_b) = (equal(a)?, equal(b)?);
    let target = format!("{}:9", b.config().ipv4());

    // The kernel knows the neighbour: nobody answers for it in a moment.
    Ping::new(&b.config().ipv4(), 1).one_by_one(a.space())?;
    a.signal(Signal::STOP);
    let sent = a.space().inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        // More than its queue holds; one that finds no room is no error of the socket's.
        (0..20_000).try_for_each(|_| socket.send_to(&[0; 100], &target).map(drop))
    });
    a.signal(Signal::CONT);
    sent?;
    let after = equal(a)?;
    assert!(after.tx_dropped > at_a.tx_dropped + 1000, "{after:?}");
    assert_eq!((after.tx_errors, after.rx_errors, after.rx_dropped), (0, 0, at_a.rx_dropped), "{after:?}");

    let nodes = joined(nodes)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let refused = b.count("drops/interface")?;
    b.space().ip(&["link", "set", "minet0", "down"])?;
    // They know its address without asking, and it does not answer.
    let neighbour = ["neigh", "replace", &b.config().ipv4(), "lladdr", &b.config().mac(), "dev", "minet0"];
    a.space().ip(&neighbour)?;
    assert!(
        Ping::new(&b.config().ipv4(), 50).every(Duration::from_millis(5)).with(&["-W", "1"]).run(a.space()).is_err()
    );
    let after = eventually(SOON, "frames that were not taken", || {
        let (now, refused) = (equal(b)?, b.count("drops/interface")? - refused);
        let told = || Error::unexpected(format!("{now:?}, and {refused} that we counted"));
        if now.rx_dropped - at_b.rx_dropped == refused && refused >= 50 { Ok(Some(now)) } else { Err(told()) }
    })?;
    assert_eq!((after.rx_errors, after.tx_errors), (0, 0), "{after:?}");
    let shown = minet_tests::run(b.command(&["stats"]))?.stdout;
    assert!(
        shown.contains(&format!("dropped by the kernel on the way in: {}, with errors: 0", after.rx_dropped)),
        "{shown}"
    );
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
        let echoes = u64::from(report.sent_in_all);
        let after = settled()?;
        // Whatever else the kernel says meanwhile, such as that it looks for routers, is counted like anything.
        for counted in [after.0 - before.0, after.1 - before.1] {
            assert!((echoes..echoes + 10).contains(&counted), "{counted} for {echoes} echoes");
        }
    }
    Ok(())
}
