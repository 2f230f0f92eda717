//! What a running daemon may do, and who may ask it.

use crate::topology::{joined, mesh, udp_pair};
use minet_tests::{Config, Net, Node, Result, cable};
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
};

/// `CAP_NET_ADMIN`.
const NET_ADMIN: u64 = 1 << 12;
/// `CAP_NET_RAW`.
const NET_RAW: u64 = 1 << 13;
/// The user `nobody`.
const NOBODY: &str = "65534";

/// A row of every thread's status.
fn of_threads(node: &Node, row: &str) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap();
    let value = |text: String| {
        let found = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(':'));
        found.unwrap_or_else(|| panic!("no {row}")).trim().to_owned()
    };
    tasks.map(|task| value(fs::read_to_string(task.unwrap().path().join("status")).unwrap())).collect()
}

fn assert_keeps(node: &Node, wanted: u64) {
    for row in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(of_threads(node, row), [format!("{wanted:016x}")].into(), "{row} of {}", node.name());
    }
    assert_eq!(of_threads(node, "CapInh"), [format!("{:016x}", 0)].into());
    assert_eq!(of_threads(node, "NoNewPrivs"), ["1".to_owned()].into());
}

#[test]
fn every_thread_keeps_what_it_needs_and_no_more() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    nodes.iter().for_each(|node| assert_keeps(node, NET_ADMIN));
    nodes[0].space().run("ping", &["-c", "1", "-W", "5", "10.77.0.2"])?;
    Ok(())
}

#[test]
fn a_node_on_an_ethernet_keeps_raw_sockets() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    cable((&left, "u0", &[]), (&right, "u0", &[]))?;
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, id)| Config::new(name, id).ether("u0").without_shm());
    let nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
    nodes.iter().for_each(|node| assert_keeps(node, NET_ADMIN | NET_RAW));
    Ok(())
}

/// Even where somebody opened the socket's file to all.
#[test]
fn another_user_may_not_ask() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 1)?;
    let a = &nodes[0];
    for path in a.control().ancestors().skip(1).take_while(|path| path.starts_with(net.dir())) {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(a.control(), Permissions::from_mode(0o666)).unwrap();
    let mut asks = Command::new("setpriv");
    asks.args([
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "socat",
        "-",
        &format!("UNIX-CONNECT:{}", a.control().display()),
    ]);
    let said = asks.stdin(fs::File::open("/dev/null").unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("user 65534 may not ask this daemon"), "{said:?}");
    assert_eq!(a.ask(&["status"])?["node"]["name"], "a", "root is answered");
    Ok(())
}
