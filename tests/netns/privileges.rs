//! What a running daemon may do, and who may ask it.

use crate::topology::{joined, mesh, udp_pair};
use minet_tests::{Config, Net, Node, Result, cable};
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    process::Command,
};

/// `CAP_NET_ADMIN`.
const NET_ADMIN: u64 = 1 << 12;
/// `CAP_NET_RAW`.
const NET_RAW: u64 = 1 << 13;
/// `CAP_DAC_OVERRIDE`.
const DAC_OVERRIDE: u64 = 1 << 1;
/// `CAP_NET_BIND_SERVICE`.
const NET_BIND_SERVICE: u64 = 1 << 10;
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

/// As with `sudo` and a directory at home.
#[test]
fn a_run_dir_of_another_user_can_be_used() -> Result<()> {
    let net = Net::new()?;
    let home = net.dir().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
    let mut node = Node::start(&net, &net.space("a")?, Config::new("a", 1).run_dir(home.join("run")))?;
    assert_keeps(&node, NET_ADMIN | DAC_OVERRIDE);
    node.stop()?;
    assert!(!node.control().exists(), "nothing is left behind");
    Ok(())
}

#[test]
fn a_port_for_the_system_can_be_used() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let node = Node::start(&net, &space, Config::new("a", 1).udp("127.0.0.1:80", &[]))?;
    assert_keeps(&node, NET_ADMIN | NET_BIND_SERVICE);
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
    let program = net.dir().join("minet");
    fs::copy(net.minet()?, &program).unwrap();
    for (kind, args) in [("ctl", &["status"][..]), ("guest", &["recv", "box", "--timeout", "1"])] {
        fs::set_permissions(a.control().with_extension(kind), Permissions::from_mode(0o666)).unwrap();
        // Whoever is refused may find nobody to write to: he reads why all the same.
        for _ in 0..20 {
            let mut asks = Command::new("setpriv");
            asks.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(&program).args(args);
            let said = asks.args(["--name", "a", "--run-dir"]).arg(a.run_dir()).output().unwrap();
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(!said.status.success() && text.contains("user 65534 may not ask this daemon"), "{kind}: {said:?}");
        }
    }
    assert_eq!(a.ask(&["status"])?["node"]["name"], "a", "root is answered");
    // A stranger cannot fill the log.
    let log = a.log()?;
    for door in ["control socket: user 65534", "guests: user 65534"] {
        let lines = log.lines().filter(|line| line.contains(door)).count();
        assert!((1..=5).contains(&lines), "{lines} lines of {door:?}: {log}");
    }
    Ok(())
}

/// Every thread of a node without I/O processors has the filter; one with them has not.
#[test]
fn system_calls_are_restricted() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    for node in &nodes {
        assert_eq!(of_threads(node, "Seccomp"), ["2".to_owned()].into());
    }
    nodes[0].space().run("ping", &["-c", "3", "-W", "5", "10.77.0.2"])?;
    let told = minet_tests::run(nodes[0].command(&["iop", "add", "io1", "--image", "/none"]));
    assert!(told.map(drop).unwrap_err().to_string().contains("seccomp = false"));
    let mut config = Config::new("c", 3);
    config.extra = "seccomp = false".to_owned();
    let other = Node::start(&net, &net.space("c")?, config)?;
    assert_eq!(of_threads(&other, "Seccomp"), ["0".to_owned()].into());
    Ok(())
}

/// Started by root, it is that user after its start, with what it needs of root's capabilities, and works.
#[test]
fn a_daemon_may_be_another_user() -> Result<()> {
    let net = Net::new()?;
    // The net's own directory is closed to others.
    let open = tempfile::tempdir().unwrap();
    let home = open.path();
    fs::set_permissions(home, Permissions::from_mode(0o755)).unwrap();
    chown(home, Some(65534), Some(65534)).unwrap();
    let config = |name, id| {
        let mut config = Config::new(name, id).run_dir(home.join("run"));
        config.extra = format!("user = {NOBODY:?}");
        config
    };
    let mut nodes = joined(vec![
        Node::start(&net, &net.space("a")?, config("a", 1))?,
        Node::start(&net, &net.space("b")?, config("b", 2))?,
    ])?;
    for node in &nodes {
        for row in ["Uid", "Gid"] {
            assert_eq!(of_threads(node, row), [[NOBODY; 4].join("\t")].into(), "{row}");
        }
        assert_eq!(of_threads(node, "Groups"), [String::new()].into());
        assert_keeps(node, NET_ADMIN);
    }
    nodes[0].space().run("ping", &["-c", "3", "-W", "5", "10.77.0.2"])?;
    nodes[1].kill();
    nodes[1].relaunch()?;
    nodes[1].wait_ready()?;
    nodes.iter().try_for_each(|node| node.wait_members(2, minet_tests::SOON))?;
    for node in &mut nodes {
        node.stop()?;
        assert!(!node.control().exists() && node.space().flags("minet0").is_err(), "nothing is left behind");
    }
    let mut wrong = config("c", 3);
    wrong.extra = "user = \"no-such-user\"".to_owned();
    let told = Node::start(&net, &net.space("c")?, wrong).map(drop).unwrap_err().to_string();
    assert!(told.contains("there is no user `no-such-user`"), "{told}");
    Ok(())
}
