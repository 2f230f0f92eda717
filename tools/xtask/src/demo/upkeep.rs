//! Rows about life: counters, link state, MTU, crash, shutdown, order of starting.

use super::stage::Stage;
use minet_tests::{Error, Iperf, IperfReport, Node, Ping, Result, SOON, Traffic, eventually};
use std::time::{Duration, Instant};

/// Of the interfaces in the end, in bytes.
const MTU: u16 = 9000;

/// Our counters and the kernel's, on every interface, while nothing else runs.
pub fn counters(stage: &mut Stage) -> Result<String> {
    let mut packets = 0;
    for node in &stage.nodes {
        // A frame may be on its way: look until both say the same.
        let traffic = eventually(SOON, &format!("equal counters at {}", node.name()), || {
            let (ours, kernel) = (node.traffic()?, node.space().traffic("minet0")?);
            if ours == kernel {
                return Ok(Some(ours));
            }
            Err(Error::unexpected(format!("ours {ours:?}, `ip -s link` {kernel:?}")))
        })?;
        let Traffic { rx_packets, tx_packets, .. } = traffic;
        packets += rx_packets + tx_packets;
    }
    Ok(format!("{} of 5 interfaces equal: packets, bytes, drops, errors; {packets} packets", stage.nodes.len()))
}

/// `ip link set down` and `up` of one interface; the others do not notice.
pub fn down_and_up(stage: &mut Stage) -> Result<String> {
    let (a, b, c) = (stage.node(0)?, stage.node(1)?, stage.node(2)?);
    let once = |to: &Node| Ping::new(&to.config().ipv4(), 1).with(&["-W", "1"]).run(a.space());
    b.space().ip(&["link", "set", "minet0", "down"])?;
    if once(b).is_ok() {
        return Err(Error::unexpected("b answers with its interface down"));
    }
    once(c)?;
    b.space().ip(&["link", "set", "minet0", "up"])?;
    let begun = Instant::now();
    eventually(SOON, "b answering again", || once(b).map(Some))?;
    Ok(format!("silent while down, answers {} ms after up, others untouched", begun.elapsed().as_millis()))
}

/// `c` is killed and started again while others exchange data.
pub fn crash(stage: &mut Stage) -> Result<String> {
    let pause = Duration::from_millis(10);
    let (a, b, d) = (stage.node(0)?, stage.node(1)?, stage.node(3)?);
    let (to_b, to_d) = (b.config().ipv4(), d.config().ipv4());
    let to_c = stage.node(2)?.config().ipv4();
    let (_server, load) = Iperf::new(b.space(), &to_b, 6).with(&["-i", "0.5"]).start(a.space())?;
    let others = Ping::new(&to_d, 400).every(pause).start(a.space())?;
    let victim = Ping::new(&to_c, 400).every(pause).start(a.space())?;
    eventually(SOON, "replies of c", || Ok(victim.output()?.stdout.contains("icmp_seq=50 ").then_some(())))?;

    let c = stage.nodes.get_mut(2).ok_or_else(|| Error::unexpected("there is no c"))?;
    c.kill();
    c.relaunch()?;

    let victim = victim.finish(SOON)?;
    let others = others.finish(SOON)?;
    let load = IperfReport::parse(&load.finish(SOON)?.stdout)?;
    if victim.received < 100 {
        return Err(Error::unexpected(format!("c did not come back: {} of {}", victim.received, victim.sent)));
    }
    if others.received != others.sent || load.idle_intervals > 0 {
        let idle = load.idle_intervals;
        let (received, sent) = (others.received, others.sent);
        return Err(Error::unexpected(format!(
            "others noticed: a to d {received} of {sent}, a to b idle {idle} times"
        )));
    }
    stage.wait_joined()?;
    Ok(format!(
        "c gone for {} ms; meanwhile a to d lost 0 of {}, a to b {:.1} Gbit/s",
        victim.longest_gap().as_millis(),
        others.sent,
        load.gbits
    ))
}

/// SIGTERM: success, and no socket or interface stays.
pub fn shutdown(stage: &mut Stage) -> Result<String> {
    let begun = Instant::now();
    for node in &mut stage.nodes {
        node.stop()?;
    }
    let took = begun.elapsed();
    for node in &stage.nodes {
        if node.space().flags("minet0").is_ok() {
            return Err(Error::unexpected(format!("{} left its interface", node.name())));
        }
        if node.control().exists() {
            return Err(Error::unexpected(format!("{} left {}", node.name(), node.control().display())));
        }
    }
    Ok(format!("5 ended with status 0 in {} ms, no socket or interface left", took.as_millis()))
}

/// `e` first, `a` last.
pub fn reverse_order(stage: &mut Stage) -> Result<String> {
    let took = stage.restart_reversed(MTU)?;
    let mut pairs = 0;
    for (from, to) in stage.pairs() {
        Ping::new(&to.config().ipv4(), 1).run(from.space())?;
        pairs += 1;
    }
    Ok(format!("e to a, all up after {} ms, {pairs} of 20 pairs answer", took.as_millis()))
}

/// Frames of 9000 bytes, not to be cut.
pub fn large_mtu(stage: &mut Stage) -> Result<String> {
    if stage.node(0)?.config().mtu != MTU {
        stage.restart_reversed(MTU)?;
    }
    let (a, b) = (stage.node(0)?, stage.node(1)?);
    let to_b = b.config().ipv4();
    let mtu = a.space().ip_json(&["link", "show", "dev", "minet0"])?[0]["mtu"].as_u64();
    if mtu != Some(u64::from(MTU)) {
        return Err(Error::unexpected(format!("the interface has an MTU of {mtu:?}")));
    }
    let report = Ping::new(&to_b, 20).size(8972).with(&["-M", "do"]).one_by_one(a.space())?;
    let rate = Iperf::new(b.space(), &to_b, 2).run(a.space())?.gbits;
    // Over UDP such a frame fits the underlay no more: it must arrive all the same, or the sender be told.
    let d = stage.node(3)?;
    let far = Ping::new(&d.config().ipv4(), 5).size(8972).one_by_one(a.space())?;
    Ok(format!("ping of 8972 bytes whole, {:.0} µs; TCP {rate:.1} Gbit/s; over UDP {:.0} µs", report.avg, far.avg))
}
