//! A conduit of several links: the best carries, another takes over.

use crate::{
    sealed::{AT_A, AT_B, Rig, logged},
    topology::joined,
};
use minet_tests::{Config, Error, Iperf, Net, Netns, Node, Ping, Result, SOON, bridge, cable, eventually};
use std::time::Duration;

/// The carrier of the link that carries the traffic to the only peer.
fn active(node: &Node) -> Result<String> {
    let said = node.ask(&["links"])?;
    let links = said["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let active = links.iter().find(|link| link["active"] == true);
    let kind = active.and_then(|link| link["carrier"].as_str().map(str::to_owned));
    kind.ok_or_else(|| Error::unexpected(format!("no link is active in {said}")))
}

fn becomes(nodes: &[Node], kind: &str) -> Result<()> {
    eventually(SOON, &format!("{kind} at both ends"), || {
        let both = nodes.iter().map(active).collect::<Result<Vec<_>>>()?;
        Ok(both.iter().all(|is| is == kind).then_some(()))
    })
    .map_err(|error| nodes[0].with_log(nodes[1].with_log(error.to_string()).to_string()))
}

/// Two hosts with a bare Ethernet (a switch between them) and an IP network; and where the switch is.
///
/// ```text
///   a: e0 --- p1 br0 p2 --- e0 :b
///   a: u0 ----------------- u0 :b   10.99.0.0/24
/// ```
fn two_ways(net: &Net) -> Result<(Vec<Node>, [Netns; 2], Netns)> {
    let (left, right, middle) = (net.space("a")?, net.space("b")?, net.space("net")?);
    cable((&middle, "p1", &[]), (&left, "e0", &[]))?;
    cable((&middle, "p2", &[]), (&right, "e0", &[]))?;
    bridge(&middle, "br0", &["p1", "p2"])?;
    cable((&left, "u0", &["10.99.0.1/24"]), (&right, "u0", &["10.99.0.2/24"]))?;
    let config = |name, id, listen, peer: &str| Config::new(name, id).udp(listen, &[peer]).ether("e0").without_shm();
    let nodes = joined(vec![
        Node::start(net, &left, config("a", 1, "10.99.0.1:7400", "10.99.0.2:7400"))?,
        Node::start(net, &right, config("b", 2, "10.99.0.2:7400", "10.99.0.1:7400"))?,
    ])?;
    becomes(&nodes, "ether")?;
    Ok((nodes, [left, right], middle))
}

/// The events of one kind that a node tells of.
fn events(node: &Node, kind: &str) -> Result<Vec<String>> {
    let said = node.ask(&["events"])?;
    let all = said["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_kind = all.iter().filter(|event| event["kind"] == kind);
    Ok(of_kind.filter_map(|event| event["text"].as_str().map(str::to_owned)).collect())
}

#[test]
fn ethernet_gives_way_to_udp_and_takes_back() -> Result<()> {
    let net = Net::new()?;
    let (nodes, spaces, _) = two_ways(&net)?;
    let to = nodes[1].config().ipv4();
    for end in &spaces {
        let ping = Ping::new(&to, 150).every(Duration::from_millis(20)).start(&spaces[0])?;
        eventually(SOON, "replies", || Ok(ping.output()?.stdout.contains("icmp_seq=20 ").then_some(())))?;
        end.ip(&["link", "set", "e0", "down"])?;
        let report = ping.finish(SOON)?;
        // 100 ms are what it is to be; a busy machine has its say.
        let told = || nodes[0].with_log(format!("{:?} {:?}", report.longest_gap(), events(&nodes[0], "switched")));
        assert!(report.longest_gap() < Duration::from_millis(300), "{}", told());
        becomes(&nodes, "udp")?;
        end.ip(&["link", "set", "e0", "up"])?;
        becomes(&nodes, "ether")?;
    }
    for node in &nodes {
        let moves = events(node, "switched")?;
        assert!(
            moves.len() >= 4
                && moves.iter().all(|text| text.contains(": the link was ") || text.contains(": a better")),
            "{moves:?}"
        );
    }
    Ok(())
}

/// Frames vanish on the Ethernet while both its ends are up: only the ends of the fabric can notice.
///
/// Rows: CS-4.
#[test]
fn a_link_that_swallows_everything_is_left() -> Result<()> {
    let net = Net::new()?;
    let (nodes, spaces, middle) = two_ways(&net)?;
    let to = nodes[1].config().ipv4();
    let ping = Ping::new(&to, 150).every(Duration::from_millis(20)).start(&spaces[0])?;
    eventually(SOON, "replies", || Ok(ping.output()?.stdout.contains("icmp_seq=20 ").then_some(())))?;
    middle.ip(&["link", "set", "p2", "nomaster"])?;
    let report = ping.finish(SOON)?;
    becomes(&nodes, "udp")?;
    assert!(report.longest_gap() < Duration::from_millis(400), "{:?}", report.longest_gap());
    eventually(SOON, "the reason", || {
        let told = [events(&nodes[0], "demoted")?, events(&nodes[1], "demoted")?].concat();
        Ok(told.iter().any(|text| text.contains("does not answer")).then_some(()))
    })?;
    middle.ip(&["link", "set", "p2", "master", "br0"])?;
    becomes(&nodes, "ether")
}

/// An Ethernet in clear text, which has to be accepted, leaves UDP sealed; the conduit moves between them.
#[test]
fn ethernet_gives_way_to_sealed_udp_and_takes_back() -> Result<()> {
    let rig = Rig::new()?;
    cable((&rig.a, "e0", &[]), (&rig.b, "e0", &[]))?;
    let (a, mut b) = rig.configs();
    // Both call.
    b.trust = Some(rig.trust(1, &[("a", 1, &rig.keys[0].1, Some(AT_A))]));
    let mut a = a.ether("e0");
    a.trust = Some(rig.trust(0, &[("b", 2, &rig.keys[1].1, Some(AT_B))]));
    let (a, b) = rig.start((a, b.ether("e0")))?;
    logged(&a, "udp is sealed")?;
    let nodes = joined(vec![a, b])?;
    becomes(&nodes, "ether")?;
    for node in &nodes {
        assert!(!node.log()?.contains("frames over UDP"), "{}", node.with_log("UDP in clear text".to_owned()));
        assert_eq!(node.ask(&["status"])?["node"]["insecure"], true, "the Ethernet is");
    }
    for _ in 0..2 {
        rig.a.ip(&["link", "set", "e0", "down"])?;
        becomes(&nodes, "udp")?;
        assert_eq!(Ping::new(&nodes[1].config().ipv4(), 3).one_by_one(&rig.a)?.received, 3);
        let links = nodes[0].ask(&["links"])?;
        let mut all = links["links"].as_array().into_iter().flatten();
        let udp = all.find(|link| link["carrier"] == "udp").and_then(|link| link["address"].as_str());
        let address = udp.unwrap_or_default();
        assert!(address.starts_with(AT_B) && address.len() > AT_B.len() + 2, "no cipher in {links}");
        rig.a.ip(&["link", "set", "e0", "up"])?;
        becomes(&nodes, "ether")?;
        assert_eq!(Ping::new(&nodes[1].config().ipv4(), 3).one_by_one(&rig.a)?.received, 3);
    }
    Ok(())
}

/// Full load in both directions moves nothing.
#[test]
fn load_is_no_false_alarm() -> Result<()> {
    let net = Net::new()?;
    let (nodes, spaces, _) = two_ways(&net)?;
    let before = [events(&nodes[0], "switched")?.len(), events(&nodes[1], "switched")?.len()];
    let report = Iperf::new(&spaces[1], &nodes[1].config().ipv4(), 5).with(&["--bidir"]).run(&spaces[0])?;
    assert!(report.seconds > 4.0, "{report:?}");
    for (node, before) in nodes.iter().zip(before) {
        let moves = events(node, "switched")?;
        assert_eq!(moves.len(), before, "{moves:?}");
    }
    Ok(())
}

/// Shared memory, Ethernet and UDP between two nodes of one host: memory carries; all are up.
#[test]
fn of_three_carriers_memory_carries() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    cable((&left, "e0", &["10.99.0.1/24"]), (&right, "e0", &["10.99.0.2/24"]))?;
    let nodes = joined(vec![
        Node::start(&net, &left, Config::new("a", 1).udp("10.99.0.1:7400", &["10.99.0.2:7400"]).ether("e0"))?,
        Node::start(&net, &right, Config::new("b", 2).udp("10.99.0.2:7400", &["10.99.0.1:7400"]).ether("e0"))?,
    ])?;
    becomes(&nodes, "shm")?;
    eventually(SOON, "three links up", || {
        let said = nodes[0].ask(&["links"])?;
        let up = said["links"].as_array().map_or(0, |l| l.iter().filter(|link| link["state"] == "up").count());
        Ok((up == 3).then_some(()))
    })
}
