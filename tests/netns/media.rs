//! Carriers on an interface without an address, and on a serial line: found, used, unplugged, plugged in again.

use crate::topology::joined;
use minet_tests::{Config, Error, Iperf, Net, Netns, Node, Ping, Process, Result, SOON, cable, eventually};
use std::path::Path;

/// Two nodes on a cable without any address of the kernel's.
///
/// ```text
///   a: e0 ------ e0 :b
/// ```
fn ether_pair(net: &Net, mtu: &str) -> Result<(Vec<Node>, [Netns; 2])> {
    let spaces = [net.space("a")?, net.space("b")?];
    for space in &spaces {
        space.run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"])?;
    }
    plug(&spaces)?;
    for space in &spaces {
        space.ip(&["link", "set", "e0", "mtu", mtu])?;
        space.run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=0"])?;
    }
    let start = |(id, name): (u32, &str)| {
        let config = Config::new(name, id).ether("e0").without_shm();
        Node::start(net, &spaces[id as usize - 1], config)
    };
    let nodes = joined(vec![start((1, "a"))?, start((2, "b"))?])?;
    Ok((nodes, spaces))
}

fn plug(spaces: &[Netns; 2]) -> Result<()> {
    cable((&spaces[0], "e0", &[]), (&spaces[1], "e0", &[]))
}

fn links_of(node: &Node, kind: &str) -> Result<Vec<serde_json::Value>> {
    let said = node.ask(&["links"])?;
    let all = said["links"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().filter(|link| link["carrier"] == kind).collect())
}

/// Rows: MN-7.
#[test]
fn frames_travel_on_an_ethernet_without_addresses() -> Result<()> {
    for mtu in ["1500", "9000"] {
        let net = Net::new()?;
        let (nodes, _) = ether_pair(&net, mtu)?;
        for (from, to) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
            for address in [to.config().ipv4(), to.config().ipv6()] {
                for size in [1, 56, 1400, 4000] {
                    let report = Ping::new(&address, 2).size(size).one_by_one(from.space());
                    report.map_err(|error| from.with_log(error.to_string()))?;
                }
            }
        }
        let link = links_of(&nodes[0], "ether")?;
        assert!(link.len() == 1 && link[0]["state"] == "up", "{link:?}");
        assert_eq!(link[0]["message"], mtu.parse::<u32>().unwrap() - 2);
        assert!(link[0]["address"].as_str().unwrap().ends_with(" on e0"), "{link:?}");
        let report = Iperf::new(nodes[1].space(), &nodes[1].config().ipv4(), 1).run(nodes[0].space())?;
        assert!(report.gbits > 0.05, "{report:?}");
    }
    Ok(())
}

/// Three on one Ethernet find each other without being told of.
///
/// ```text
///   a: e0 --+-- br0 --+-- e0 :b
///           +-- e0 :c
/// ```
///
/// PROTOCOL 3.11, 10.3.
/// Rows: MP-46.
#[test]
fn nodes_on_one_ethernet_find_each_other() -> Result<()> {
    let net = Net::new()?;
    let middle = net.space("net")?;
    let mut nodes = Vec::new();
    middle.ip(&["link", "add", "br0", "type", "bridge"])?;
    middle.ip(&["link", "set", "br0", "up"])?;
    for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
        let space = net.space(name)?;
        let port = format!("p{id}");
        cable((&middle, &port, &[]), (&space, "e0", &[]))?;
        middle.ip(&["link", "set", &port, "master", "br0"])?;
        nodes.push(Node::start(&net, &space, Config::new(name, id).ether("e0").without_shm())?);
    }
    let mut nodes = joined(nodes)?;
    for node in &nodes {
        let links = links_of(node, "ether")?;
        assert!(links.len() == 2 && links.iter().all(|link| link["state"] == "up"), "{links:?}");
    }
    nodes[1].kill();
    nodes[1].relaunch()?;
    nodes[1].wait_ready()?;
    nodes.iter().try_for_each(|node| node.wait_members(3, SOON))?;
    let another = net.space("d")?;
    cable((&middle, "p4", &[]), (&another, "e0", &[]))?;
    middle.ip(&["link", "set", "p4", "master", "br0"])?;
    let other = Config::new("d", 4).ether("e0").without_shm().fabric("other", "minet0");
    let other = Node::start(&net, &another, other)?;
    other.wait_members(1, SOON)?;
    assert_eq!(links_of(&other, "ether")?.len(), 0, "another fabric's nodes are not greeted");
    Ok(())
}

fn answers(nodes: &[Node], what: &str) -> Result<()> {
    let again = || Ping::new(&nodes[1].config().ipv4(), 1).with(&["-W", "1"]).run(nodes[0].space()).map(Some);
    let told = |error: Error| nodes[0].with_log(nodes[1].with_log(format!("{what}: {error}")).to_string());
    eventually(SOON, what, again).map(drop).map_err(told)
}

pub fn down(node: &Node, kind: &str) -> Result<()> {
    eventually(SOON, "no live link", || {
        let live = links_of(node, kind)?.iter().any(|link| link["state"] == "up");
        Ok((!live).then_some(()))
    })
}

fn without_carrier(node: &Node) -> Result<()> {
    eventually(SOON, "no carrier", || {
        let said = node.ask(&["status"])?;
        Ok((said["interfaces"][0]["carrier"] == false).then_some(()))
    })
}

/// Rows: MN-9.
#[test]
fn an_underlay_that_goes_down_is_renamed_or_removed_is_taken_up_again() -> Result<()> {
    let net = Net::new()?;
    let (nodes, spaces) = ether_pair(&net, "1500")?;
    answers(&nodes, "at first")?;
    for end in [0, 1] {
        spaces[end].ip(&["link", "set", "e0", "down"])?;
        nodes.iter().try_for_each(|node| down(node, "ether"))?;
        nodes.iter().try_for_each(without_carrier)?;
        spaces[end].ip(&["link", "set", "e0", "up"])?;
        answers(&nodes, "after it was down")?;
    }
    spaces[0].ip(&["link", "set", "e0", "name", "renamed"])?;
    answers(&nodes, "renamed")?;
    spaces[0].ip(&["link", "delete", "renamed"])?;
    nodes.iter().try_for_each(|node| down(node, "ether"))?;
    plug(&spaces)?;
    answers(&nodes, "made again")?;
    Ok(())
}

#[test]
fn an_interface_that_comes_later_is_waited_for() -> Result<()> {
    let net = Net::new()?;
    let spaces = [net.space("a")?, net.space("b")?];
    let start =
        |id: u32, name| Node::start(&net, &spaces[id as usize - 1], Config::new(name, id).ether("e0").without_shm());
    let nodes = vec![start(1, "a")?, start(2, "b")?];
    assert!(nodes[0].log()?.contains("waiting for it"));
    plug(&spaces)?;
    joined(nodes).map(drop)
}

/// A serial line: two ptys that `socat` joins. Their names stay when it is started again.
pub struct Wire {
    socat: Option<Process>,
    pub ends: [String; 2],
    space: Netns,
}

impl Wire {
    pub fn new(net: &Net, space: &Netns) -> Result<Wire> {
        let ends = ["tty-a", "tty-b"].map(|name| net.dir().join(name).display().to_string());
        let mut wire = Wire { socat: None, ends, space: space.clone() };
        wire.plug()?;
        Ok(wire)
    }

    pub fn plug(&mut self) -> Result<()> {
        let pty = |path: &String| format!("pty,raw,echo=0,link={path}");
        self.socat = Some(self.space.spawn("socat", &[pty(&self.ends[0]), pty(&self.ends[1])])?);
        eventually(SOON, "two ptys", || Ok(self.ends.iter().all(|end| Path::new(end).exists()).then_some(())))
    }

    pub fn unplug(&mut self) {
        self.socat = None;
    }
}

/// Rows: MN-7.
#[test]
fn frames_travel_on_a_serial_line_that_may_be_unplugged() -> Result<()> {
    let net = Net::new()?;
    let spaces = [net.space("a")?, net.space("b")?];
    let mut wire = Wire::new(&net, &spaces[0])?;
    let start = |id: usize, name| {
        let config = Config::new(name, id as u32).serial(&wire.ends[id - 1], Some(921_600)).without_shm();
        Node::start(&net, &spaces[id - 1], config)
    };
    let nodes = joined(vec![start(1, "a")?, start(2, "b")?])?;
    for size in [1, 56, 1472, 4000] {
        Ping::new(&nodes[1].config().ipv4(), 2).size(size).one_by_one(nodes[0].space())?;
    }
    let report = Iperf::new(nodes[1].space(), &nodes[1].config().ipv4(), 3).run(nodes[0].space())?;
    assert!(report.gbits > 0.0003, "{report:?}");
    wire.unplug();
    nodes.iter().try_for_each(|node| down(node, "serial"))?;
    wire.plug()?;
    answers(&nodes, "plugged in again")?;
    let stats = nodes[0].ask(&["stats"])?;
    assert!(stats["carriers"].as_array().unwrap().iter().any(|carrier| carrier["kind"] == "serial"), "{stats}");
    Ok(())
}
