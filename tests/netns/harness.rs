//! The harness itself, over plain cables: what it makes works, and all of it goes.

use minet_tests::{
    DhcpServer, Error, Iperf, Listener, Net, Netns, Ping, Result, SOON, Sshd, Traffic, bridge, cable, clean_leftovers,
    eventually, left_by, run,
};
use rustix::process::Signal;
use std::{fs, net::Ipv4Addr, process::Command};

const LEFT: &str = "10.1.0.1";
const RIGHT: &str = "10.1.0.2";

/// ```text
///   left u0 10.1.0.1 ----- 10.1.0.2 u0 right
/// ```
fn two(net: &Net) -> Result<(Netns, Netns)> {
    let (left, right) = (net.space("left")?, net.space("right")?);
    cable((&left, "u0", &["10.1.0.1/16", "fd00::1/64"]), (&right, "u0", &["10.1.0.2/16", "fd00::2/64"]))?;
    Ok((left, right))
}

fn exists(space: &str) -> bool {
    fs::exists(format!("/run/netns/{space}")).unwrap()
}

#[test]
fn cables_carry_and_counters_count() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = two(&net)?;
    let report = Ping::new(RIGHT, 5).one_by_one(&left)?;
    assert_eq!((report.sent, report.received, report.times.len()), (5, 5, 5));
    assert_eq!(Ping::new("fd00::2", 1).run(&left)?.received, 1);
    let Traffic { rx_packets, tx_packets, .. } = right.traffic("u0")?;
    assert!(rx_packets >= 6 && tx_packets >= 6);
    assert!(right.flags("u0")?.contains(&"UP".to_owned()));
    assert!(left.neighbours("u0")?.contains_key(RIGHT));
    let report = Iperf::new(&right, RIGHT, 1).run(&left)?;
    assert!(report.gbits > 0.1, "{report:?}");
    let report = Iperf::new(&right, RIGHT, 1).udp(1000, "10M").run(&left)?;
    assert!(report.packets > 100 && report.lost < 0.5, "{report:?}");
    Ok(())
}

#[test]
fn namespaces_and_files_go_with_their_net_also_in_a_panic() -> Result<()> {
    let names = std::panic::catch_unwind(|| {
        let net = Net::new().unwrap();
        let (left, _right) = two(&net).unwrap();
        let _sleeper = left.spawn("sleep", &["1000"]).unwrap();
        let names = (left.name().to_owned(), net.dir().to_owned());
        assert!(exists(&names.0) && names.1.is_dir());
        std::panic::panic_any(names);
    });
    let names = names.unwrap_err();
    let (space, dir) = names.downcast_ref::<(String, std::path::PathBuf)>().unwrap();
    assert!(!exists(space) && !dir.exists());
    Ok(())
}

#[test]
fn what_a_dead_owner_left_is_removed() -> Result<()> {
    let net = Net::new()?;
    let own = net.space("own")?;
    // No process has this number: it is above the greatest the kernel gives.
    let name = "mn4194305-0-left";
    let mut add = Command::new("ip");
    add.args(["netns", "add", name]);
    run(add)?;
    let mut exec = Command::new("ip");
    exec.args(["netns", "exec", name, "sleep", "1000"]);
    let mut sleeper = minet_tests::Process::spawn(exec)?;
    eventually(SOON, "a process inside", || {
        let mut pids = Command::new("ip");
        pids.args(["netns", "pids", name]);
        Ok((!run(pids)?.stdout.is_empty()).then_some(()))
    })?;
    clean_leftovers()?;
    assert!(!exists(name), "its namespace is there");
    assert!(sleeper.wait(SOON)?.is_some(), "its process runs");
    assert!(exists(own.name()), "ours is gone");
    Ok(())
}

/// Tells the holder below that it is one.
const HOLD: &str = "MINET_TESTS_HOLD";

/// No test of its own: [`what_is_interrupted_goes`] runs it in a process of its own and ends that.
#[test]
fn holder() -> Result<()> {
    if std::env::var_os(HOLD).is_none() {
        return Ok(());
    }
    let net = Net::new()?;
    let (left, _right) = two(&net)?;
    let _sleeper = left.spawn("sleep", &["1000"])?;
    println!("holding {}", left.name());
    loop {
        std::thread::park();
    }
}

/// A signal that can be handled removes everything before the process ends, after SIGKILL a guard does it at once; no process
/// stays.
#[test]
fn what_is_interrupted_goes() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "harness::holder", "--nocapture"]).env(HOLD, "1");
        let mut holder = minet_tests::Process::spawn(command)?;
        let space = eventually(SOON, "a holder", || {
            let said = holder.output()?.stdout;
            Ok(said.split("holding ").nth(1).and_then(|rest| rest.split_once('\n')).map(|(space, _)| space.to_owned()))
        })?;
        // Its process enters a moment after it was started.
        let pid = eventually(SOON, "a process in it", || {
            let mut pids = Command::new("ip");
            pids.args(["netns", "pids", &space]);
            Ok(run(pids)?.stdout.split_whitespace().next().map(str::to_owned))
        })?;
        assert!(exists(&space));
        holder.signal(signal);
        holder.wait(SOON)?.unwrap();
        eventually(SOON, "the end of its processes", || {
            Ok((!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(()))
        })?;
        let left = || left_by(holder.id());
        assert!(signal == Signal::KILL || !exists(&space), "{signal:?} left {space}");
        eventually(SOON, "nothing left", || match left()? {
            left if left.is_empty() => Ok(Some(())),
            left => Err(Error::unexpected(format!("{signal:?} left {left:?}"))),
        })?;
        assert!(!exists(&space));
    }
    Ok(())
}

#[test]
fn ssh_and_scp_work_over_a_cable() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = two(&net)?;
    let server = Sshd::start(&net, &right, RIGHT)?;
    assert!(server.run(&left, "echo $SSH_CONNECTION")?.stdout.starts_with(LEFT));
    let (from, to) = (net.dir().join("from"), net.dir().join("to"));
    fs::write(&from, "text").unwrap();
    server.copy(&left, &from, &to)?;
    assert_eq!(fs::read_to_string(&to).unwrap(), "text");
    Ok(())
}

#[test]
fn dhcp_and_multicast_work_over_a_bridge() -> Result<()> {
    let net = Net::new()?;
    let hub = net.space("hub")?;
    let spaces = [net.space("a")?, net.space("b")?, net.space("c")?];
    let names = ["p0", "p1", "p2"];
    for (number, (space, port)) in (1..).zip(spaces.iter().zip(names)) {
        cable((&hub, port, &[]), (space, "u0", &[&format!("10.1.0.{number}/16")]))?;
    }
    bridge(&hub, "br0", &names)?;
    let [a, b, c] = &spaces;
    let group = Ipv4Addr::new(239, 1, 1, 1);
    let listener = Listener::join(b, group, 7777, Ipv4Addr::new(10, 1, 0, 2))?;
    Listener::send(a, group, 7777, Ipv4Addr::new(10, 1, 0, 1), 5)?;
    assert_eq!(listener.receive(5, SOON)?, [0, 1, 2, 3, 4]);
    let server = DhcpServer::start(&net, a, "u0", "10.1.200.1", "10.1.200.9")?;
    let address = server.lease(c, "u0")?;
    assert!(address.starts_with("10.1.200."), "{address}");
    assert_eq!(Ping::new(&address, 1).run(a)?.received, 1);
    Ok(())
}
