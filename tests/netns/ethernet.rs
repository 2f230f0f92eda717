//! One Ethernet: ping, ARP and ND, broadcast and multicast, carrier, every transport.

use crate::topology::{five, mesh, udp_pair};
use minet_tests::{Error, Iperf, Listener, Net, Node, Ping, Result, SOON, eventually};
use std::{net::Ipv4Addr, time::Duration};

const PORT: u16 = 5353;
const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 255);

fn ipv4(node: &Node) -> Ipv4Addr {
    node.config().ipv4().parse().unwrap()
}

fn ping_all(nodes: &[Node], count: u32) -> Result<()> {
    for from in nodes {
        for to in nodes.iter().filter(|to| to.name() != from.name()) {
            for address in [to.config().ipv4(), to.config().ipv6()] {
                let report = Ping::new(&address, count).one_by_one(from.space());
                report.map_err(|error| {
                    Error::unexpected(format!("{} to {address}: {error}\n{}", from.name(), states(nodes)))
                })?;
            }
        }
    }
    Ok(())
}

/// What a failed test shows of its nodes.
fn states(nodes: &[Node]) -> String {
    let state = |node: &Node| {
        let said = |what| node.ask(&[what]).map_or_else(|error| error.to_string(), |said| said.to_string());
        format!("{}\n{}\n{}\n", node.with_log(said("stats")), said("links"), said("nodes"))
    };
    nodes.iter().map(state).collect()
}

/// Rows: MN-1, VI-59, MP-46.
#[test]
fn three_nodes_of_one_host_ping_each_other() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    ping_all(&nodes, 3)?;
    for node in &nodes {
        let said = node.ask(&["links"])?;
        let links = said["links"].as_array().unwrap();
        assert!(
            links.len() == 2 && links.iter().all(|link| link["state"] == "up" && link["carrier"] == "shm"),
            "{said}"
        );
    }
    Ok(())
}

/// Rows: MN-7.
#[test]
fn frames_travel_over_every_transport() -> Result<()> {
    for udp in [false, true] {
        let net = Net::new()?;
        let nodes = if udp { udp_pair(&net, |config| config)? } else { mesh(&net, 2)? };
        ping_all(&nodes, 3)?;
        let [a, b] = nodes.as_slice() else { panic!("two nodes") };
        let report = Iperf::new(b.space(), &b.config().ipv4(), 1).run(a.space())?;
        assert!(report.gbits > 0.05, "{report:?}");
    }
    let net = Net::new()?;
    let nodes = five(&net)?;
    ping_all(&nodes, 2)?;
    let (c, e) = (&nodes[2], &nodes[4]);
    assert!(Iperf::new(e.space(), &e.config().ipv4(), 1).run(c.space())?.gbits > 0.05);
    Ok(())
}

/// Rows: MN-3.
#[test]
fn nodes_look_like_stations_on_an_ethernet() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let a = &nodes[0];
    for other in &nodes[1..] {
        let config = other.config();
        let said = a.space().run("arping", &["-c", "2", "-I", "minet0", &config.ipv4()])?.stdout.to_lowercase();
        assert!(said.contains(&config.mac()), "{said}");
        for address in [config.ipv4(), config.ipv6()] {
            Ping::new(&address, 1).run(a.space())?;
            assert_eq!(a.space().neighbours("minet0")?.get(&address), Some(&config.mac()));
        }
    }
    for group in [MDNS, BROADCAST] {
        let listeners = nodes[1..].iter().map(|node| Listener::join(node.space(), MDNS, PORT, ipv4(node)));
        let listeners = listeners.collect::<Result<Vec<_>>>()?;
        Listener::send(a.space(), group, PORT, ipv4(a), 5)?;
        for listener in &listeners {
            assert_eq!(listener.receive(5, SOON)?, [0, 1, 2, 3, 4], "{group}");
        }
    }
    Ok(())
}

/// With a relay and several ways between most nodes, each has every broadcast once and the sender none.
///
/// Rows: MN-11.
#[test]
fn a_broadcast_reaches_each_node_exactly_once() -> Result<()> {
    let net = Net::new()?;
    let nodes = five(&net)?;
    for sender in &nodes {
        let listeners = nodes.iter().map(|node| Listener::join(node.space(), MDNS, PORT, ipv4(node)));
        let listeners = listeners.collect::<Result<Vec<_>>>()?;
        let mac = sender.config().mac();
        let mut back =
            sender.space().spawn("tcpdump", &["-i", "minet0", "-Q", "in", "-n", "-c", "1", "ether", "src", &mac])?;
        eventually(SOON, "tcpdump listening", || Ok(back.output()?.stderr.contains("listening on").then_some(())))?;
        Listener::send(sender.space(), BROADCAST, PORT, ipv4(sender), 20)?;
        for (node, listener) in nodes.iter().zip(&listeners) {
            // The kernel gives a broadcast to its own sockets too, once.
            let got = listener.receive(21, Duration::from_millis(200))?;
            assert_eq!(got, (0..20).collect::<Vec<_>>(), "{} from {}", node.name(), sender.name());
        }
        assert!(back.is_running(), "{} had a frame of its own back: {}", sender.name(), back.output()?.stdout);
    }
    Ok(())
}

/// Rows: MN-6.
#[test]
fn a_third_node_sees_nothing_of_two_others() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = nodes.as_slice() else { panic!("three nodes") };
    Ping::new(&b.config().ipv4(), 1).run(a.space())?;
    let moved = |node: &Node| -> Result<u64> {
        let said = node.ask(&["stats"])?;
        let carriers = said["carriers"].as_array().unwrap();
        Ok(carriers.iter().map(|carrier| carrier["received"].as_u64().unwrap()).sum())
    };
    let (before, there) = (moved(c)?, moved(b)?);
    let report = Iperf::new(b.space(), &b.config().ipv4(), 2).run(a.space())?;
    let (during, arrived) = (moved(c)? - before, moved(b)? - there);
    assert!(arrived > 500, "{arrived} messages at b, {report:?}");
    // Heartbeats, gossip and multicast of the kernel: a few in two seconds.
    assert!(during < 60, "{during} messages at c while {arrived} came to b");
    Ok(())
}

/// Rows: MN-9.
#[test]
fn carrier_follows_the_fabric() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let has_carrier = |node: &Node| -> Result<bool> {
        Ok(!node.space().flags(&node.config().interface)?.contains(&"NO-CARRIER".to_owned()))
    };
    let wait = |node: &Node, want: bool| {
        eventually(SOON, &format!("carrier {want} at {}", node.name()), || {
            Ok((has_carrier(node)? == want && node.ask(&["status"])?["interfaces"][0]["carrier"] == want).then_some(()))
        })
    };
    let a = Node::start(&net, &space, minet_tests::Config::new("a", 1))?;
    wait(&a, false)?;
    let mut b = Node::start(&net, &net.space("b")?, minet_tests::Config::new("b", 2))?;
    wait(&a, true)?;
    wait(&b, true)?;
    b.kill();
    wait(&a, false)?;
    b.relaunch()?;
    wait(&a, true)?;
    b.stop()?;
    wait(&a, false)?;
    drop((a, b));
    drop(net);

    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config.heartbeat(100, 4))?;
    wait(&nodes[0], true)?;
    nodes[1].space().ip(&["link", "set", "u0", "down"])?;
    nodes.iter().try_for_each(|node| wait(node, false))?;
    nodes[1].space().ip(&["link", "set", "u0", "up"])?;
    nodes.iter().try_for_each(|node| wait(node, true))?;
    ping_all(&nodes, 2)
}
