//! Frames that are larger or smaller than usual.

use crate::topology::{joined, mesh_of, udp_configs, udp_spaces};
use minet_tests::{Iperf, Listener, Net, Node, Ping, Result, SOON, eventually};
use std::{net::UdpSocket, time::Duration};

/// Pings of exactly this many bytes of IP, never cut.
fn whole(from: &Node, to: &Node, bytes: usize) -> Result<()> {
    for (address, headers) in [(to.config().ipv4(), 28), (to.config().ipv6(), 48)] {
        let ping = Ping::new(&address, 3).size(bytes - headers).with(&["-M", "do"]);
        let report = ping.one_by_one(from.space()).map_err(|error| from.with_log(format!("{bytes} bytes: {error}")))?;
        assert_eq!(report.received, 3, "{bytes} bytes to {address}");
    }
    Ok(())
}

/// The second underlay carries messages of about 512 bytes: frames of 1500 are cut on the way and put together again.
///
/// Rows: MN-10.
#[test]
fn frames_of_1500_and_9000_and_a_path_of_512() -> Result<()> {
    for mtu in [1500, 9000] {
        let net = Net::new()?;
        let nodes = mesh_of(&net, 2, |config| config.mtu(mtu))?;
        whole(&nodes[0], &nodes[1], usize::from(mtu))?;
        assert!(Iperf::new(nodes[1].space(), &nodes[1].config().ipv4(), 1).run(nodes[0].space())?.gbits > 0.1);
    }
    for underlay in ["1500", "576"] {
        let net = Net::new()?;
        let (left, right) = udp_spaces(&net)?;
        for space in [&left, &right] {
            space.ip(&["link", "set", "u0", "mtu", underlay])?;
        }
        let [a, b] = udp_configs(|config| config);
        let nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
        whole(&nodes[0], &nodes[1], 1500)?;
        assert!(Iperf::new(nodes[1].space(), &nodes[1].config().ipv4(), 1).run(nodes[0].space())?.gbits > 0.005);
    }
    Ok(())
}

/// A peer with a smaller MTU: what cannot be cut is answered, so that the sender learns the size.
#[test]
fn a_peer_with_a_smaller_mtu_is_reached() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh_of(&net, 2, |config| if config.id == 1 { config.mtu(9000) } else { config })?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let report = Iperf::new(b.space(), &b.config().ipv4(), 1).run(a.space())?;
    assert!(report.gbits > 0.1, "{report:?}");
    let ping = |args: &[&str]| {
        Ping::new(&b.config().ipv4(), 3).every(Duration::from_millis(100)).size(4000).with(args).run(a.space())
    };
    // Not to be cut: the answer names the size that goes, as a router's would.
    let told = ping(&["-M", "do"]).unwrap_err().to_string();
    assert!(told.contains("1500"), "{told}");
    // May be cut: the kernel has learned the size and cuts.
    assert!(ping(&[])?.received >= 2);
    Ok(())
}

/// Members of one segment with MTUs of 65000 and 1500, as one host's memory and UDP have by default: frames to a group reach
/// those that take them, and what one member cannot take is counted.
#[test]
fn a_group_of_members_with_two_mtus() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh_of(&net, 3, |config| if config.id == 3 { config } else { config.mtu(65_000) })?;
    let (group, port) = ("239.7.7.8".parse().unwrap(), 5008);
    let address = |node: &Node| node.config().ipv4().parse().unwrap();
    let join = |node: &Node| Listener::join(node.space(), group, port, address(node));
    let (large, small) = (join(&nodes[1])?, join(&nodes[2])?);
    let send = |bytes: usize| -> Result<()> {
        nodes[0].space().inside(|| {
            let socket = UdpSocket::bind((nodes[0].config().ipv4(), 0))?;
            socket.send_to(&vec![0; bytes], (group, port)).map(drop)
        })
    };
    let count = || nodes[0].count("drops/too-long");
    let before = count()?;
    send(1000)?;
    for listener in [&large, &small] {
        assert_eq!(listener.receive(1, SOON)?, [0]);
    }
    send(40_000)?;
    assert_eq!(large.receive(1, SOON)?, [0]);
    eventually(SOON, "a drop for the member that takes less", || Ok((count()? > before).then_some(())))
}
