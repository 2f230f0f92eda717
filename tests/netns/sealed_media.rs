//! Raw Ethernet and serial lines that are sealed: the rules are those of sealed UDP.

use crate::{
    media::{Wire, down},
    sealed::{Rig, logged},
    topology::joined,
};
use minet_tests::{Config, Error, Net, Node, Ping, Result, SOON, eventually};
use std::fs;

/// The configurations of two nodes that list each other and have no address of each other.
fn configs(rig: &Rig) -> [Config; 2] {
    let (a, b) = (rig.trust(0, &[("b", 2, &rig.keys[1].1, None)]), rig.trust(1, &[("a", 1, &rig.keys[0].1, None)]));
    [Config::new("a", 1).sealing(a), Config::new("b", 2).sealing(b)]
}

fn link(node: &Node) -> Result<serde_json::Value> {
    let said = node.ask(&["links"])?;
    let links = said["links"].as_array().cloned().unwrap_or_default();
    match &links[..] {
        [one] => Ok(one.clone()),
        _ => Err(Error::unexpected(format!("not one link in {said}"))),
    }
}

fn answers(nodes: &[Node], what: &str) -> Result<()> {
    let ping = || Ping::new(&nodes[1].config().ipv4(), 1).with(&["-W", "1"]).run(nodes[0].space()).map(Some);
    let told = |error: Error| nodes[0].with_log(nodes[1].with_log(format!("{what}: {error}")).to_string());
    eventually(SOON, what, ping).map(drop).map_err(told)
}

/// They find each other by a word in clear text; what follows is sealed, also after a restart and after the interface was down.
///
/// PROTOCOL 6.19.
#[test]
fn an_ethernet_is_sealed() -> Result<()> {
    let rig = Rig::new()?;
    let [a, b] = configs(&rig).map(|config| config.ether("u0"));
    let (a, b) = rig.start((a, b))?;
    let mut nodes = joined(vec![a, b])?;
    let one = link(&nodes[0])?;
    assert!(one["carrier"] == "ether" && one["message"] == 1498 - 32, "{one}");
    assert!(one["address"].as_str().is_some_and(|at| at.contains(" on u0, ")), "no cipher in {one}");
    for node in &nodes {
        assert_eq!(node.ask(&["status"])?["node"]["insecure"], false);
        assert!(!node.log()?.contains("clear text"), "{}", node.with_log("clear text".to_owned()));
    }
    let file = rig.net.dir().join("wire.pcap");
    let path = file.display().to_string();
    let mut tcpdump = rig.a.spawn("tcpdump", &["-i", "u0", "-U", "--immediate-mode", "-w", &path, "-Z", "root"])?;
    eventually(SOON, "tcpdump", || Ok(tcpdump.output()?.stderr.contains("listening on").then_some(())))?;
    let to = nodes[1].config().ipv4();
    let pattern = ["-p", "6d696e6574736563726574"];
    for size in [400, 1472, 4000] {
        assert_eq!(Ping::new(&to, 3).with(&pattern).size(size).one_by_one(&rig.a)?.received, 3);
    }
    // It writes in blocks, as the kernel hands them out.
    let seen = eventually(SOON, "the capture", || {
        let seen = fs::read(&file).map_err(Error::io("read the capture"))?;
        Ok((seen.len() > 10_000).then_some(seen))
    })?;
    tcpdump.kill();
    assert!(!seen.windows(11).any(|w| w == b"minetsecret"), "in clear text");
    assert!(!seen.windows(8).any(|w| w == [10, 77, 0, 1, 10, 77, 0, 2]), "inner headers in clear text");
    for at in 0..2 {
        nodes[at].kill();
        nodes[at].relaunch()?;
        nodes[at].wait_ready()?;
        answers(&nodes, "after a restart")?;
    }
    rig.b.ip(&["link", "set", "u0", "down"])?;
    nodes.iter().try_for_each(|node| down(node, "ether"))?;
    rig.b.ip(&["link", "set", "u0", "up"])?;
    answers(&nodes, "after it was down")
}

/// Found, used, unplugged and plugged in again, sealed.
///
/// PROTOCOL 6.19.
#[test]
fn a_serial_line_is_sealed_where_asked() -> Result<()> {
    let rig = Rig::new()?;
    let mut wire = Wire::new(&rig.net, &rig.a)?;
    let ends = wire.ends.clone();
    let [a, b] = configs(&rig);
    let (a, b) = rig.start((a.serial(&ends[0], Some(921_600)), b.serial(&ends[1], Some(921_600))))?;
    let nodes = joined(vec![a, b])?;
    let one = link(&nodes[0])?;
    assert!(one["carrier"] == "serial" && one["message"] == 2048 - 32, "{one}");
    assert!(one["address"].as_str().is_some_and(|at| at.contains(", ")), "no cipher in {one}");
    assert!(!nodes[0].log()?.contains("clear text"));
    for size in [1, 56, 1472, 4000] {
        Ping::new(&nodes[1].config().ipv4(), 2).size(size).one_by_one(&rig.a)?;
    }
    wire.unplug();
    nodes.iter().try_for_each(|node| down(node, "serial"))?;
    wire.plug()?;
    answers(&nodes, "plugged in again")
}

/// Who is not on the list, has the right key and another number or name, or speaks in clear text, does not get a link.
///
/// PROTOCOL 6.19.
#[test]
fn strangers_on_a_sealed_ethernet_are_not_let_in() -> Result<()> {
    // Not listed: `a` knows nobody of that key.
    let rig = Rig::new()?;
    let [mut a, b] = configs(&rig).map(|config| config.ether("u0"));
    a.trust = Some(rig.trust(0, &[("b", 2, &rig.keys[0].1, None)]));
    let (a, b) = rig.start((a, b))?;
    logged(&a, "is not let in: ")?;
    a.wait_members(1, SOON)?;
    b.wait_members(1, SOON)?;
    drop((a, b, rig));
    for (name, id) in [("b", 9), ("thief", 2)] {
        let rig = Rig::new()?;
        let [a, mut b] = configs(&rig).map(|config| config.ether("u0"));
        (b.name, b.id) = (name.to_owned(), id);
        let (a, _b) = rig.start((a, b))?;
        logged(&a, "refused by this node")?;
        a.wait_members(1, SOON)?;
    }
    let rig = Rig::new()?;
    let [a, _] = configs(&rig).map(|config| config.ether("u0"));
    let (a, b) = rig.start((a, Config::new("b", 2).ether("u0").without_shm()))?;
    logged(&b, "clear text")?;
    let ping = Ping::new(&b.config().ipv4(), 1).with(&["-W", "1"]).run(&rig.a);
    assert!(ping.is_err(), "{ping:?}");
    assert_eq!(a.ask(&["links"])?["links"].as_array().map(Vec::len), Some(0));
    a.wait_members(1, SOON)
}

/// A key taken off the list ends the link at once, and it does not come back.
#[test]
fn a_revoked_member_leaves_a_sealed_ethernet() -> Result<()> {
    let rig = Rig::new()?;
    let [a, b] = configs(&rig).map(|config| config.ether("u0"));
    let (a, b) = rig.start((a, b))?;
    let nodes = joined(vec![a, b])?;
    minet_tests::run(nodes[0].command(&["revoke", "b"]))?;
    let said = nodes[0].ask(&["links"])?;
    let up = said["links"].as_array().into_iter().flatten().any(|link| link["state"] == "up");
    assert!(!up, "{said}");
    nodes[0].wait_state("b", "down", SOON)
}

/// No key, and sealing asked for; clear text beside a key and not accepted.
#[test]
fn what_cannot_be_sealed_is_refused_at_the_start() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let file = net.dir().join("bad.toml");
    let start = |text: &str| -> Result<String> {
        fs::write(&file, text).map_err(Error::io("write the configuration"))?;
        let run = space.run(net.minet()?, &["run", "--config", &file.display().to_string()]);
        Ok(run.map(drop).unwrap_err().to_string())
    };
    let told = start("name='a'\n[[serial]]\ndevice='/dev/null'\nsealed=true")?;
    assert!(told.contains("needs a key"), "{told}");
    let told = start("name='a'\n[trust]\nkey='/nowhere'\n[[ether]]\ninterface='e0'\nsealed=false")?;
    assert!(told.contains("insecure = true"), "{told}");
    let told = start("name='a'\n[trust]\nkey='/nowhere'\n[[ether]]\ninterface='e0'")?;
    assert!(told.contains("/nowhere"), "{told}");
    Ok(())
}
