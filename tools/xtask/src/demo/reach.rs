//! Rows about reaching each other: relay, ping, arping, multicast, tcpdump.

use super::stage::{KINDS, Stage, ipv4};
use minet_tests::{Error, Listener, Node, Ping, Result, SOON, eventually};
use std::{net::Ipv4Addr, time::Duration};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);
const PORT: u16 = 7777;

/// `c` sees `e` through another node, and frames arrive.
pub fn relay(stage: &mut Stage) -> Result<String> {
    let (c, e) = (stage.node(2)?, stage.node(4)?);
    let row = c.member("e")?;
    let (Some(via), Some(hops)) = (row["via"].as_str(), row["hops"].as_u64()) else {
        return Err(Error::unexpected(format!("c has e without a relay: {row}")));
    };
    let report = Ping::new(&e.config().ipv4(), 20).one_by_one(c.space())?;
    Ok(format!("c to e via {via}, {hops} links, ping {:.0} µs", report.avg))
}

/// Every node pings every other.
pub fn ping_ipv4(stage: &mut Stage) -> Result<String> {
    ping_all(stage, |node| node.config().ipv4())
}

/// The same over IPv6.
pub fn ping_ipv6(stage: &mut Stage) -> Result<String> {
    ping_all(stage, |node| node.config().ipv6())
}

fn ping_all(stage: &Stage, address: impl Fn(&Node) -> String) -> Result<String> {
    let mut pairs = 0;
    for (from, to) in stage.pairs() {
        let report = Ping::new(&address(to), 2).one_by_one(from.space());
        report.map_err(|error| Error::unexpected(format!("{} to {}: {error}", from.name(), to.name())))?;
        pairs += 1;
    }
    let mut figures = vec![format!("{pairs} of 20 pairs")];
    for kind in KINDS {
        let (from, to) = (stage.node(kind.from)?, stage.node(kind.to)?);
        let report = Ping::new(&address(to), 100).every(Duration::from_millis(5)).run(from.space())?;
        figures.push(format!("{} {:.0} µs", kind.by, report.median().unwrap_or(report.avg)));
    }
    Ok(figures.join(", "))
}

/// The MAC of a node answers for its address.
pub fn arping(stage: &mut Stage) -> Result<String> {
    let a = stage.node(0)?;
    let mut answers = Vec::new();
    for place in [1, 3] {
        let config = stage.node(place)?.config();
        let said = a.space().run("arping", &["-c", "3", "-I", "minet0", &config.ipv4()])?.stdout.to_lowercase();
        let count = said.matches(&config.mac()).count();
        if count == 0 {
            return Err(Error::unexpected(format!("no answer from {}: {said}", config.mac())));
        }
        answers.push(format!("{} is {}", config.ipv4(), config.mac()));
    }
    Ok(answers.join(", "))
}

/// `a` sends to a group; each other member has every datagram once.
pub fn multicast(stage: &mut Stage) -> Result<String> {
    let a = stage.node(0)?;
    let others = stage.nodes.iter().skip(1);
    let members =
        others.map(|node| Listener::join(node.space(), GROUP, PORT, ipv4(node)?)).collect::<Result<Vec<_>>>()?;
    let count = 50;
    Listener::send(a.space(), GROUP, PORT, ipv4(a)?, count)?;
    let want: Vec<u32> = (0..count).collect();
    for (member, node) in members.iter().zip(stage.nodes.iter().skip(1)) {
        // One more than was sent: a copy would be seen.
        let got = member.receive(want.len() + 1, Duration::from_millis(300))?;
        if got != want {
            return Err(Error::unexpected(format!("{} received {got:?}", node.name())));
        }
    }
    Ok(format!("{count} sent, {} members received each exactly once", members.len()))
}

/// A capture on the interface shows the frames of a ping, with their MACs.
pub fn tcpdump(stage: &mut Stage) -> Result<String> {
    let (a, b) = (stage.node(0)?, stage.node(1)?);
    let capture = b.space().spawn("tcpdump", &["-i", "minet0", "-e", "-n", "-l", "-c", "6", "icmp"])?;
    eventually(SOON, "tcpdump listening", || Ok(capture.output()?.stderr.contains("listening on").then_some(())))?;
    Ping::new(&b.config().ipv4(), 3).every(Duration::from_millis(10)).run(a.space())?;
    let said = capture.finish(SOON)?.stdout;
    let line = format!("{} > {}, ethertype IPv4 (0x0800)", a.config().mac(), b.config().mac());
    let (requests, replies) = (said.matches("echo request").count(), said.matches("echo reply").count());
    if said.contains(&line) && requests == 3 && replies == 3 {
        return Ok(format!("3 requests, 3 replies, {line}"));
    }
    Err(Error::unexpected(format!("tcpdump saw: {said}")))
}
