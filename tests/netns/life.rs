//! Starting, stopping, joining and leaving while others work.

use crate::topology::{joined, mesh, udp_configs, udp_spaces};
use minet_tests::{Config, Error, Net, Node, Ping, Result, SOON, eventually};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

const STEP: Duration = Duration::from_millis(10);

#[test]
fn nodes_find_each_other_in_any_order() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = Vec::new();
    for (id, name) in [(3, "c"), (1, "a"), (2, "b")] {
        nodes.push(Node::start(&net, &net.space(name)?, Config::new(name, id))?);
    }
    drop(joined(nodes)?);
    drop(net);
    // Over UDP the caller starts long before the called.
    let net = Net::new()?;
    let (left, right) = udp_spaces(&net)?;
    let [a, b] = udp_configs(|mut config| {
        if config.id == 2 {
            config.peers.clear();
        }
        config
    });
    let a = Node::start(&net, &left, a)?;
    let b = Node::start(&net, &right, b)?;
    joined(vec![a, b]).map(drop)
}

/// The sockets in a directory.
fn sockets(dir: &Path) -> Result<Vec<PathBuf>> {
    let told = || format!("list {}", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(told()))? {
        let entry = entry.map_err(Error::io(told()))?;
        if entry.file_type().map_err(Error::io(told()))?.is_socket() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[test]
fn a_clean_stop_leaves_nothing() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 2)?;
    let run_dir = nodes[0].run_dir().join("default");
    assert_eq!(sockets(&run_dir)?.len(), 6, "each listens for commands, for guests and for peers");
    nodes[1].stop()?;
    nodes[0].wait_state("b", "down", SOON)?;
    nodes[0].stop()?;
    for node in &nodes {
        assert!(node.space().flags("minet0").is_err(), "{} left its interface", node.name());
    }
    let left = sockets(&run_dir)?;
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// A terminal that goes away ends it in order, as SIGTERM does; under `nohup` it runs on.
#[test]
fn a_hang_up_is_a_clean_stop_unless_it_is_ignored() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let run_dir = net.subdir("run")?;
    let minet = net.minet()?.display().to_string();
    let run = [&*minet, "run", "--name", "a", "--run-dir", &run_dir.display().to_string()].map(str::to_owned);
    for ignored in [false, true] {
        let words = [if ignored { vec!["nohup".to_owned()] } else { vec![] }, run.to_vec()].concat();
        let mut process = space.spawn(&words[0], &words[1..])?;
        eventually(SOON, "its readiness", || Ok(process.output()?.stderr.contains("is ready").then_some(())))?;
        process.signal(Signal::HUP);
        if ignored {
            let mut status = std::process::Command::new(&minet);
            status.args(["status", "--run-dir"]).arg(&run_dir);
            minet_tests::run(status)?;
            process.signal(Signal::TERM);
        }
        let status = process.wait(SOON)?;
        assert!(status.is_some_and(|status| status.success()), "{status:?} {}", process.output()?.stderr);
        assert!(sockets(&run_dir.join("default"))?.is_empty() && space.flags("minet0").is_err());
    }
    Ok(())
}

/// Rows: MA-13.
#[test]
fn nodes_join_and_leave_without_loss_between_others() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let load = Ping::new(&b.config().ipv4(), 400).every(STEP).start(a.space())?;
    let space = net.space("c")?;
    for _ in 0..3 {
        let mut c = Node::start(&net, &space, Config::new("c", 3))?;
        c.wait_members(3, SOON)?;
        Ping::new(&a.config().ipv4(), 2).one_by_one(c.space())?;
        c.stop()?;
    }
    let report = load.finish(SOON)?;
    assert_eq!(report.received, report.sent, "{report:?}");
    Ok(())
}

#[test]
fn an_interface_goes_down_and_up() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = nodes.as_slice() else { panic!("three nodes") };
    let once = |to: &Node| Ping::new(&to.config().ipv4(), 1).with(&["-W", "1"]).run(a.space());
    b.space().ip(&["link", "set", "minet0", "down"])?;
    assert!(once(b).is_err());
    once(c)?;
    b.space().ip(&["link", "set", "minet0", "up"])?;
    eventually(SOON, "b answering again", || once(b).map(Some))?;
    Ok(())
}

/// A stopped process answers nothing; its peer notices by the heartbeat, and notices its return.
#[test]
fn a_peer_that_hangs_is_found_and_found_again() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = udp_spaces(&net)?;
    let [a, b] = udp_configs(|config| config.heartbeat(100, 4));
    let nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
    nodes[1].signal(Signal::STOP);
    nodes[0].wait_state("b", "down", SOON)?;
    nodes[1].signal(Signal::CONT);
    let nodes = joined(nodes)?;
    assert_eq!(Ping::new("10.77.0.2", 3).one_by_one(nodes[0].space())?.received, 3);
    Ok(())
}
