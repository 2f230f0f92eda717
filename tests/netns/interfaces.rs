//! Interfaces of every kind, and with several queues: what a lane each carries, added up.

use crate::{
    counters::equal,
    topology::{mesh_of, udp_pair},
};
use minet_tests::{Config, Iperf, Net, Node, Ping, Result, SOON, eventually};
use std::{fs, time::Duration};

/// Of one send: so many, so long each. The kernel takes up to 64 of them, of 64 KiB together.
const DATAGRAMS: usize = 40;
const DATAGRAM: usize = 1200;

/// Every pair answers pings of both families, and carries streams both ways; then all counters are the kernel's.
fn works(nodes: &[Node], streams: u32) -> Result<()> {
    for a in nodes {
        for b in nodes.iter().filter(|b| b.name() != a.name()) {
            for target in [b.config().ipv4(), b.config().ipv6()] {
                let report = Ping::new(&target, 20).every(Duration::from_millis(5)).run(a.space())?;
                assert_eq!(report.received, 20, "{} to {target}: {report:?}", a.name());
            }
            let report = Iperf::new(b.space(), &b.config().ipv4(), 1).streams(streams).run(a.space())?;
            assert!(report.gbits > 0.0, "{} to {}", a.name(), b.name());
        }
    }
    nodes.iter().try_for_each(|node| equal(node).map(drop))
}

/// One lane a queue, and a node of one queue beside one of two.
///
/// Rows: MN-12.
#[test]
fn several_queues_carry_as_one_does() -> Result<()> {
    let with = |queues: [u32; 2]| {
        move |config: Config| {
            let queues = queues[config.id as usize - 1];
            Config { extra: format!("queues = {queues}"), ..config }
        }
    };
    for queues in [[2, 2], [2, 1]] {
        for udp in [false, true] {
            let net = Net::new()?;
            let nodes = if udp { udp_pair(&net, with(queues))? } else { mesh_of(&net, 2, with(queues))? };
            works(&nodes, 4)?;
        }
    }
    Ok(())
}

/// A TAP with offloads, one without, and a TUN device: checksums are completed and super-frames cut for those that take none.
#[test]
fn interfaces_of_every_kind_are_on_one_ethernet() -> Result<()> {
    let mode = |config: Config| {
        let mode = ["tap", "plain", "tun"][config.id as usize - 1].to_owned();
        Config { mode, ..config }
    };
    let net = Net::new()?;
    works(&mesh_of(&net, 3, mode)?, 1)
}

/// Datagrams of one send (`UDP_SEGMENT`) leave as one super-frame where the kernel has that, and arrive as what they are: in memory,
/// as a run over UDP, and at an interface without offloads.
#[test]
fn datagrams_of_one_send_arrive_one_by_one() -> Result<()> {
    let bare = |config: Config| Config { mode: if config.id == 2 { "plain" } else { "tap" }.to_owned(), ..config };
    for way in 0..3 {
        let net = Net::new()?;
        let nodes = match way {
            0 => mesh_of(&net, 2, |config| config)?,
            1 => udp_pair(&net, |config| config)?,
            _ => mesh_of(&net, 2, bare)?,
        };
        let (a, b) = (&nodes[0], &nodes[1]);
        let (sent, got) = (net.dir().join("sent"), net.dir().join("got"));
        let text: Vec<u8> = (0..DATAGRAMS * DATAGRAM).map(|at| (at / DATAGRAM + at % 251) as u8).collect();
        fs::write(&sent, &text).unwrap();
        let into = format!("OPEN:{},creat,trunc", got.display());
        let receiver = b.space().spawn("socat", &["-u", "-x", "-b65536", "UDP-RECV:9999,rcvbuf=400000", &into])?;
        eventually(SOON, "a receiver", || {
            let said = b.space().run("ss", &["-Hlun", "sport = :9999"])?.stdout;
            Ok((!said.is_empty()).then_some(()))
        })?;
        let before = a.space().traffic("minet0")?.tx_packets;
        let from = format!("OPEN:{}", sent.display());
        let to = format!("UDP:{}:9999,setsockopt-int=17:103:{DATAGRAM}", b.config().ipv4());
        a.space().run("socat", &["-u", "-b", &text.len().to_string(), &from, &to])?;
        eventually(SOON, "every datagram", || Ok((fs::read(&got).unwrap() == text).then_some(())))?;
        // With -x it tells the length of each.
        let lengths = receiver.output()?.stderr.matches(&format!("length={DATAGRAM} ")).count();
        assert_eq!(lengths, DATAGRAMS);
        let frames = a.space().traffic("minet0")?.tx_packets - before;
        let features = a.space().run("ethtool", &["-k", "minet0"])?.stdout;
        let whole = features.contains("tx-udp-segmentation: on");
        // Besides them a node may ask for its neighbours.
        assert!(if whole { frames < 10 } else { frames >= DATAGRAMS as u64 }, "{frames} frames, whole: {whole}");
        equal(b)?;
    }
    Ok(())
}
