//! The path under a running UDP link becomes narrower, and wider again.

use crate::topology::{joined, udp_pair};
use minet_tests::{Config, Iperf, Net, Netns, Node, Ping, Result, SOON, cable, eventually};
use std::time::Duration;

/// The largest message of a node's only link.
fn message(node: &Node) -> Result<u64> {
    let said = node.ask(&["links"])?;
    Ok(said["links"][0]["message"].as_u64().unwrap_or_default())
}

/// Waits until both ends send messages that fit this MTU, headers of IP and UDP taken off, and use it.
fn both_fit(nodes: &[Node], mtu: u64) -> Result<()> {
    for node in nodes {
        eventually(SOON, "the link's new size", || {
            let size = message(node)?;
            let fits = size + 28 <= mtu && size + 128 > mtu;
            fits.then_some(Some(())).ok_or_else(|| minet_tests::Error::unexpected(format!("{size} bytes, MTU {mtu}")))
        })
        .map_err(|error| node.with_log(error.to_string()))?;
    }
    Ok(())
}

/// What large frames do now: pings of full size, both ways, and TCP, both ways.
fn carries(nodes: &[Node]) -> Result<()> {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (&nodes[from], &nodes[to]);
        let ping = Ping::new(&to.config().ipv4(), 3).size(1472).with(&["-M", "do"]).one_by_one(from.space());
        assert_eq!(ping.map_err(|error| from.with_log(error.to_string()))?.received, 3);
        assert!(Iperf::new(to.space(), &to.config().ipv4(), 1).run(from.space())?.gbits > 0.005);
    }
    Ok(())
}

/// How often links of these nodes went down.
fn changes(nodes: &[Node]) -> Result<u64> {
    nodes.iter().map(|node| Ok(node.ask(&["links"])?["links"][0]["changes"].as_u64().unwrap_or_default())).sum()
}

/// ```text
///   a ~~~ u0, 1500 -> 1300 -> 1500 -- u0, 1500 ~~~ b
/// ```
///
/// Only the end `a` knows: it tells `b`, whose full-size datagrams would die in the cable otherwise.
#[test]
fn a_narrower_interface_is_told_to_the_peer() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    carries(&nodes)?;
    let before = changes(&nodes)?;
    let (a, b) = (nodes[0].space(), nodes[1].config().ipv4());
    let pings = Ping::new(&b, 40).every(Duration::from_millis(100)).size(1472).start(a)?;
    a.ip(&["link", "set", "u0", "mtu", "1300"])?;
    both_fit(&nodes, 1300)?;
    carries(&nodes)?;
    a.ip(&["link", "set", "u0", "mtu", "1500"])?;
    both_fit(&nodes, 1500)?;
    carries(&nodes)?;
    let mut pings = pings;
    let report = minet_tests::PingReport::parse(&pings.finish(Duration::from_secs(60))?.stdout)?;
    assert!(report.received >= 30, "{report:?}");
    assert_eq!(changes(&nodes)?, before, "the link never went down");
    Ok(())
}

/// ```text
///   a ~~~ 10.99.0.2 -- 10.99.0.1 router 10.98.0.1 -- 10.98.0.2 ~~~ b
///                                  1500 -> 1400
/// ```
///
/// The router answers what is too large, as routers do; only the kernel hears that.
#[test]
fn a_narrower_hop_behind_a_router_is_found() -> Result<()> {
    let net = Net::new()?;
    let (router, left, right) = (net.space("router")?, net.space("a")?, net.space("b")?);
    cable((&router, "p0", &["10.99.0.1/24"]), (&left, "u0", &["10.99.0.2/24"]))?;
    cable((&router, "p1", &["10.98.0.1/24"]), (&right, "u0", &["10.98.0.2/24"]))?;
    router.run("sysctl", &["-q", "-w", "net.ipv4.ip_forward=1"])?;
    left.ip(&["route", "add", "default", "via", "10.99.0.1"])?;
    right.ip(&["route", "add", "default", "via", "10.98.0.1"])?;
    let start = |space: &Netns, name, id, own: &str, peer: &str| {
        let listen = format!("{own}:7400");
        Node::start(&net, space, Config::new(name, id).udp(&listen, &[&format!("{peer}:7400")]).without_shm())
    };
    let (a, b) = (start(&left, "a", 1, "10.99.0.2", "10.98.0.2")?, start(&right, "b", 2, "10.98.0.2", "10.99.0.2")?);
    let nodes = joined(vec![a, b])?;
    carries(&nodes)?;
    let before = changes(&nodes)?;
    router.ip(&["link", "set", "p1", "mtu", "1400"])?;
    right.ip(&["link", "set", "u0", "mtu", "1400"])?;
    // What is too large goes on until the router's answer comes: then it fits.
    eventually(SOON, "pings of full size", || {
        let ping = Ping::new(&nodes[1].config().ipv4(), 1).size(1472).with(&["-M", "do", "-W", "1"]);
        ping.run(nodes[0].space()).map(Some)
    })?;
    both_fit(&nodes, 1400)?;
    carries(&nodes)?;
    assert_eq!(changes(&nodes)?, before, "the link never went down");
    Ok(())
}
