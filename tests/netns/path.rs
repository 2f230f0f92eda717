//! Paths of UDP links: they become narrower and wider while the link runs, and lead to one of many addresses.

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
    let report = pings.finish(Duration::from_secs(60))?;
    assert!(report.received >= 30, "{report:?}");
    assert_eq!(changes(&nodes)?, before, "the link never went down");
    Ok(())
}

/// ```text
///   a ~~~ 10.99.0.2 -- 10.99.0.1 router 10.98.0.1 -- 10.98.0.2 ~~~ b
///                                  1500 -> 1400
/// ```
///
/// The router answers what is too large, as routers do; only the kernel hears that. Both ends of the path stay as they
/// were: nothing else tells.
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
    // What is too large goes on until the router's answer comes: then it fits.
    eventually(SOON, "pings of full size", || {
        let address = nodes[1].config().ipv4();
        let ping = Ping::new(&address, 1).size(1472).with(&["-M", "do", "-W", "1"]);
        ping.run(nodes[0].space()).map(Some)
    })?;
    both_fit(&nodes, 1400)?;
    carries(&nodes)?;
    assert_eq!(changes(&nodes)?, before, "the link never went down");
    Ok(())
}

/// ```text
///   a 10.99.0.1 ~~~ u0 -- u0 ~~~ b, which listens everywhere: 10.99.0.2, 10.99.0.3; fd99::2, fd99::3
/// ```
///
/// Whichever address of `b` is called, the answers come from that one.
#[test]
fn a_host_with_many_addresses_answers_from_the_one_that_was_called() -> Result<()> {
    let cases = [
        ("0.0.0.0:7400", "10.99.0.1:7400", "10.99.0.2:7400"),
        ("0.0.0.0:7400", "10.99.0.1:7400", "10.99.0.3:7400"),
        ("[::]:7400", "10.99.0.1:7400", "10.99.0.3:7400"),
        ("[::]:7400", "[fd99::1]:7400", "[fd99::2]:7400"),
        ("[::]:7400", "[fd99::1]:7400", "[fd99::3]:7400"),
    ];
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    let many = ["10.99.0.2/24", "10.99.0.3/24", "fd99::2/64", "fd99::3/64"];
    cable((&left, "u0", &["10.99.0.1/24", "fd99::1/64"]), (&right, "u0", &many))?;
    for (listen, own, called) in cases {
        let b = Node::start(&net, &right, Config::new("b", 2).udp(listen, &[]).without_shm())?;
        let a = Node::start(&net, &left, Config::new("a", 1).udp(own, &[called]).without_shm())?;
        println!("{listen} called at {called}");
        let mut nodes = joined(vec![a, b])?;
        carries(&nodes)?;
        for node in &nodes {
            let links = node.ask(&["links"])?["links"].as_array().map_or(0, Vec::len);
            assert_eq!(links, 1, "no second link for a stranger");
        }
        nodes.iter_mut().try_for_each(Node::stop)?;
    }
    Ok(())
}
