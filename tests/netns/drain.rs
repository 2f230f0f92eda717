//! `minet drain`, and restarts that keep the interface.

use crate::topology::{five, joined, udp_configs, udp_spaces};
use minet_tests::{Error, Net, Node, Ping, Process, Result, SOON, eventually, run};
use serde_json::Value;
use std::{process::Command, time::Duration};

const STEP: Duration = Duration::from_millis(5);

/// The states that `minet drain --json` told, in order, each once.
fn states(said: &str) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for line in said.lines() {
        let told = || Error::unexpected(format!("drain said {line}"));
        let report: Value = serde_json::from_str(line).map_err(|_| told())?;
        let state = report["state"].as_str().ok_or_else(told)?;
        if all.last().is_none_or(|last| last != state) {
            all.push(state.to_owned());
        }
    }
    Ok(all)
}

/// `c` reaches `e` by one of two relays. That one leaves in order, under traffic: nothing is lost.
///
/// ```text
///   host 1: a === b === c      UDP: d-a d-b d-c, e-a e-b      host 2: d === e
/// ```
#[test]
fn a_relay_is_drained_without_loss() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = five(&net)?;
    let via = nodes[2].member("e")?["via"].as_str().unwrap_or_default().to_owned();
    let relay = nodes.iter().position(|node| node.name() == via).unwrap();
    let ping = Ping::new(&nodes[4].config().ipv4(), 600).every(STEP).start(nodes[2].space())?;
    eventually(SOON, "replies", || Ok(ping.output()?.stdout.contains("icmp_seq=50 ").then_some(())))?;
    let said = run(nodes[relay].command(&["drain", "--json"]))?.stdout;
    let told = states(&said)?;
    assert!(told.ends_with(&["draining".into(), "drained".into(), "left".into()]), "{said}");
    assert!(nodes[relay].wait_end(SOON)?.success(), "{}", nodes[relay].with_log(said));
    assert!(nodes[relay].space().flags("minet0").is_err(), "its interface is gone");
    let report = ping.finish(SOON)?;
    assert_eq!(report.received, report.sent, "{}", nodes[2].with_log(format!("{report:?}")));
    assert_ne!(nodes[2].member("e")?["via"].as_str(), Some(&*via));
    nodes[2].wait_state(&via, "down", SOON)?;
    nodes[relay].relaunch()?;
    nodes[relay].wait_ready()?;
    nodes.iter().try_for_each(|node| node.wait_members(5, SOON))
}

/// A request that nobody answers keeps a node from leaving; that is told, and can be taken back.
#[test]
fn what_is_under_way_is_waited_for() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = udp_spaces(&net)?;
    let [a, b] = udp_configs(|config| config);
    let mut nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
    let guest = |node: &Node, args: &[&str]| -> Result<Process> {
        let command: Command = node.command(args);
        Process::spawn(command)
    };
    // Held and never answered: the port's only receiver takes one and waits.
    let _deaf = guest(&nodes[1], &["recv", "slow", "--count", "9"])?;
    eventually(SOON, "the port", || Ok(nodes[0].ask(&["ports"])?.to_string().contains("slow").then_some(())))?;
    let _asks = guest(&nodes[0], &["call", "hello", "--to", "slow", "--timeout", "60"])?;
    eventually(SOON, "the request", || {
        let streams = nodes[1].ask(&["dump"])?;
        Ok(streams["streams"].as_array().into_iter().flatten().any(|s| s["asks"] == 1).then_some(()))
    })?;
    let failed = run(nodes[1].command(&["drain", "--timeout", "1"]));
    let told = failed.map(drop).unwrap_err().to_string();
    assert!(told.contains("not done after 1 s") && told.contains("1 requests are to be answered"), "{told}");
    assert!(nodes[1].is_running() && nodes[0].member("b")?["state"] == "up");
    let refused = run(nodes[0].command(&["send", "late", "--to", "slow", "--on", "b", "--confirm"]));
    assert!(refused.map(drop).unwrap_err().to_string().contains("quiesced"), "new messages are refused");
    let said = run(nodes[1].command(&["drain", "--undo", "--json"]))?.stdout;
    assert_eq!(states(&said)?, ["serving"]);
    eventually(SOON, "new messages", || {
        run(nodes[0].command(&["send", "again", "--to", "slow", "--on", "b", "--confirm"])).map(|_| Some(()))
    })?;
    Ok(())
}

/// A daemon is killed and started again while its peer sends to it: the interface with its addresses, and what the kernel knows by
/// it, stays; the peer's flow goes on within 200 ms of the start.
#[test]
fn a_restart_keeps_the_interface_and_flows_resume() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = udp_spaces(&net)?;
    let [a, mut b] = udp_configs(|config| config);
    b.keep = true;
    let mut nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
    right.ip(&["address", "add", "10.88.0.2/24", "dev", "minet0"])?;
    right.ip(&["route", "add", "10.89.0.0/24", "via", "10.77.0.1", "dev", "minet0"])?;
    let index = right.ip(&["-o", "link", "show", "minet0"])?.stdout;
    let mut gaps = Vec::new();
    for _ in 0..3 {
        let ping = Ping::new(&nodes[1].config().ipv4(), 300).every(STEP).start(&left)?;
        eventually(SOON, "replies", || Ok(ping.output()?.stdout.contains("icmp_seq=20 ").then_some(())))?;
        nodes[1].relaunch()?;
        nodes[1].wait_ready()?;
        gaps.push(ping.finish(SOON)?.longest_gap());
        nodes.iter().try_for_each(|node| node.wait_members(2, SOON))?;
    }
    let number = |text: &str| text.split(':').next().map(str::to_owned);
    assert_eq!(number(&right.ip(&["-o", "link", "show", "minet0"])?.stdout), number(&index), "the same interface");
    assert!(right.ip(&["address", "show", "minet0"])?.stdout.contains("10.88.0.2/24"), "addresses stay");
    assert!(right.ip(&["route", "show", "10.89.0.0/24"])?.stdout.contains("minet0"), "routes stay");
    println!("outages of restarts, from the kill to the first reply: {gaps:?}");
    // From the kill on, so with the start of the process; a busy machine has its say twice of three times.
    assert!(gaps.iter().min().is_some_and(|gap| *gap < Duration::from_millis(200)), "{gaps:?}");
    nodes[1].stop()?;
    assert!(right.flags("minet0").is_ok(), "it stays when the daemon ends in order, too");
    right.ip(&["link", "delete", "minet0"]).map(drop)
}
