//! The topologies that several tests use.

use minet_tests::{Config, Net, Netns, Node, Result, SOON, bridge, cable};

/// Nodes `a`, `b`, … on one host: shared memory between all.
///
/// ```text
///   a 10.77.0.1 === b 10.77.0.2 === c 10.77.0.3 …
/// ```
pub fn mesh(net: &Net, count: u32) -> Result<Vec<Node>> {
    mesh_of(net, count, |config| config)
}

/// As [`mesh`], each configuration changed by `with`.
pub fn mesh_of(net: &Net, count: u32, with: impl Fn(Config) -> Config) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for (id, name) in (1..=count).zip(["a", "b", "c", "d", "e", "f"]) {
        nodes.push(Node::start(net, &net.space(name)?, with(Config::new(name, id)))?);
    }
    joined(nodes)
}

/// Two nodes, over UDP alone.
///
/// ```text
///   a 10.77.0.1 ~~~ UDP through u0 10.99.0.1 -- 10.99.0.2 u0 ~~~ b 10.77.0.2
/// ```
pub fn udp_pair(net: &Net, with: impl Fn(Config) -> Config) -> Result<Vec<Node>> {
    let (left, right) = udp_spaces(net)?;
    let [a, b] = udp_configs(with);
    joined(vec![Node::start(net, &left, a)?, Node::start(net, &right, b)?])
}

/// The two namespaces of [`udp_pair`].
pub fn udp_spaces(net: &Net) -> Result<(Netns, Netns)> {
    let (left, right) = (net.space("a")?, net.space("b")?);
    cable((&left, "u0", &["10.99.0.1/24"]), (&right, "u0", &["10.99.0.2/24"]))?;
    Ok((left, right))
}

/// The two configurations of [`udp_pair`].
pub fn udp_configs(with: impl Fn(Config) -> Config) -> [Config; 2] {
    let a = Config::new("a", 1).udp("10.99.0.1:7400", &["10.99.0.2:7400"]).without_shm();
    let b = Config::new("b", 2).udp("10.99.0.2:7400", &["10.99.0.1:7400"]).without_shm();
    [with(a), with(b)]
}

/// Three on one host, two on another, `c` and `e` without a direct link.
///
/// ```text
///   host 1: a === b === c      UDP: d-a d-b d-c, e-a e-b      host 2: d === e
/// ```
pub fn five(net: &Net) -> Result<Vec<Node>> {
    let underlay = net.space("net")?;
    let calls: [&[u32]; 5] = [&[], &[], &[], &[1, 2, 3], &[1, 2]];
    let names = ["a", "b", "c", "d", "e"];
    let mut spaces = Vec::new();
    for (id, name) in (1..).zip(names) {
        let space = net.space(name)?;
        cable((&underlay, &format!("p{id}"), &[]), (&space, "u0", &[&format!("10.99.0.{id}/24")]))?;
        spaces.push(space);
    }
    bridge(&underlay, "br0", &["p1", "p2", "p3", "p4", "p5"])?;
    let mut nodes = Vec::new();
    for (id, ((name, space), calls)) in (1..).zip(names.into_iter().zip(&spaces).zip(calls)) {
        let host = if id <= 3 { "host1" } else { "host2" };
        let peers: Vec<String> = calls.iter().map(|id| format!("10.99.0.{id}:7400")).collect();
        let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
        let config = Config::new(name, id).udp(&format!("10.99.0.{id}:7400"), &peers).run_dir(net.dir().join(host));
        nodes.push(Node::start(net, space, config)?);
    }
    joined(nodes)
}

/// Waits until each knows all.
pub fn joined(nodes: Vec<Node>) -> Result<Vec<Node>> {
    nodes.iter().try_for_each(|node| node.wait_members(nodes.len(), SOON))?;
    Ok(nodes)
}
