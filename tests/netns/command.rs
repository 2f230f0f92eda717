//! The command `minet` as a person or program uses it.

use crate::topology::{mesh, udp_pair};
use minet_tests::{Config, Net, Node, Result, SOON, eventually, run};
use serde_json::Value;
use std::{fs, os::unix::net::UnixDatagram, process::Command, time::Duration};

#[test]
fn every_question_has_an_answer_for_people_and_programs() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let a = &nodes[0];

    let status = a.ask(&["status"])?;
    assert_eq!((&status["node"]["id"], &status["node"]["name"]), (&Value::from(1), &Value::from("a")));
    assert_eq!(status["node"]["pid"].as_u64(), Some(u64::from(a.pid())));
    assert_eq!((&status["members"], &status["links"]["up"]), (&Value::from(2), &Value::from(1)));
    assert_eq!(status["interfaces"][0]["mac"], a.config().mac().as_str());

    let b = a.member("b")?;
    assert_eq!((&b["id"], &b["state"], &b["carrier"]), (&Value::from(2), &Value::from("up"), &Value::from("udp")));
    let link = &a.ask(&["links"])?["links"][0];
    assert_eq!(
        (&link["peer"], &link["state"], &link["address"]),
        (&"b".into(), &"up".into(), &"10.99.0.2:7400".into())
    );
    assert!(link["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let ports = a.ask(&["ports"])?.to_string();
    assert!(ports.contains("minet/lan"), "{ports}");
    assert!(a.ask(&["stats"])?["segments"][0]["rx_packets"].is_u64());

    let ping = a.ask(&["ping", "b", "-c", "3", "-i", "0.02"])?;
    assert_eq!((&ping["node"], &ping["sent"], &ping["received"]), (&"b".into(), &Value::from(3), &Value::from(3)));
    assert!(ping["avg_us"].as_f64().is_some_and(|us| us > 0.0));

    // For people: a heading, and under it a row with these words.
    for (verb, heading, row) in [
        ("status", "INTERFACE SEGMENT CARRIER MTU MAC ADDRESSES", "minet0 lan up 1500 02:4d:00:00:00:01 10.77.0.1"),
        ("nodes", "ID NAME STATE HOPS VIA CARRIER RTT MTU MAC ADDRESSES", "2 b up 1 - udp"),
        ("links", "ID PEER CARRIER ADDRESS STATE PRIO RTT SINCE REASON", "b udp 10.99.0.2:7400 up* 30"),
        ("ports", "NODE ID PORT FRAME", "b 2 minet/lan 1514"),
        ("stats", "CARRIER SENT BYTES RECEIVED BYTES FAILED MALFORMED DOORBELLS CALLS", "udp "),
        ("events", "UTC EVENT WHAT", ""),
    ] {
        let said = run(a.command(&[verb]))?.stdout;
        let lines: Vec<String> =
            said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let at = lines.iter().position(|line| line == heading);
        let below = lines.get(at.unwrap_or_else(|| panic!("{verb} has no {heading:?}: {said}")) + 1..).unwrap();
        assert!(below.iter().any(|line| line.contains(row)), "{verb} has no row {row:?}: {said}");
        assert!(!said.contains('{'), "{verb} for people: {said}");
    }
    assert!(a.log()?.to_lowercase().contains("clear"), "the log says that UDP is in clear text: {}", a.log()?);
    Ok(())
}

#[test]
fn asking_where_nobody_runs_fails_and_says_so() -> Result<()> {
    let net = Net::new()?;
    let run_dir = net.subdir("run")?.display().to_string();
    let minet = net.minet()?;
    for args in [vec!["status"], vec!["nodes", "--name", "ghost"], vec!["ping", "b"]] {
        let mut command = Command::new(&minet);
        command.args(args).args(["--run-dir", &run_dir]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("minet: ") && said.lines().count() == 1, "{said}");
    }
    let nodes = mesh(&net, 2)?;
    let mut ping = nodes[0].command(&["ping", "nobody", "-c", "1"]);
    assert_eq!(ping.output().unwrap().status.code(), Some(1));
    // Two run here: which one is meant must be said.
    let mut status = Command::new(&minet);
    let output = status.args(["status", "--run-dir", &run_dir]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--name"), "{output:?}");
    Ok(())
}

#[test]
fn version_completion_and_manual_are_made() -> Result<()> {
    let net = Net::new()?;
    let minet = net.minet()?;
    let said = |args: &[&str]| {
        let mut command = Command::new(&minet);
        command.args(args);
        run(command).map(|output| output.stdout)
    };
    let version: Value = serde_json::from_str(&said(&["version", "--json"])?).unwrap();
    let (wire, control) = (version["wire"].as_u64().unwrap(), version["control"].as_u64().unwrap());
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let told = format!("minet {} (wire format {wire}, control protocol {control})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said(&["version"])?, told);
    let options = ["follow", "watch", "check", "no-relay"];
    for (shell, begins, option) in
        [("bash", "_minet() {", "--"), ("zsh", "#compdef minet", "--"), ("fish", "complete -c minet", "-l ")]
    {
        let script = said(&["completion", shell])?;
        assert!(script.contains(begins), "{shell}");
        for name in options {
            assert!(script.contains(&format!("{option}{name}")), "{shell} knows no {name}");
        }
    }
    let file = net.dir().join("completion.bash");
    fs::write(&file, said(&["completion", "bash"])?).unwrap();
    let mut bash = Command::new("bash");
    run({
        bash.arg("-n").arg(&file);
        bash
    })?;
    let dir = net.subdir("man")?;
    said(&["man", &dir.display().to_string()])?;
    let verbs = ["run", "status", "nodes", "links", "events", "ports", "stats", "ping", "version", "completion", "man"];
    for verb in verbs {
        let page = fs::read_to_string(dir.join(format!("minet-{verb}.1"))).unwrap_or_else(|e| panic!("{verb}: {e}"));
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    for (verb, option) in
        [("events", "follow"), ("stats", "watch"), ("run", "check"), ("run", "learn"), ("ping", "timeout")]
    {
        let page = fs::read_to_string(dir.join(format!("minet-{verb}.1"))).unwrap();
        assert!(page.contains(&format!("\\-\\-{option}")), "{verb} has no {option}: {page}");
    }
    assert!(fs::read_to_string(dir.join("minet.1")).unwrap().contains("minet\\-run"));
    Ok(())
}

/// Without a file, only a name: it joins the others of its host.
#[test]
fn a_name_is_enough_and_readiness_is_told() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    let a = Node::start(&net, &left, Config::new("a", 1))?;
    let socket = net.dir().join("notify");
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(SOON)).unwrap();
    let run_dir = a.run_dir().display().to_string();
    let mut command = right.command(net.minet()?, &["run", "--name", "plain", "--run-dir", &run_dir]);
    command.env("NOTIFY_SOCKET", &socket);
    let mut process = minet_tests::Process::spawn(command)?;
    let mut told = [0; 256];
    let length = notify.recv(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told[..length]).contains("READY=1"));
    a.wait_members(2, SOON)?;
    let address = a.member("plain")?["addresses"][0].as_str().unwrap().to_owned();
    eventually(SOON, "an answer of the new node", || minet_tests::Ping::new(&address, 1).run(&left).map(Some))?;
    process.signal(rustix::process::Signal::INT);
    let status = process.wait(Duration::from_secs(5))?;
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    Ok(())
}

/// A supervisor hears that the lanes turn as often as it wants, and how many members there are. A terminal that goes away is an
/// order to stop, as for any program; the peers are told.
#[test]
fn a_supervisor_hears_that_all_is_well() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    let a = Node::start(&net, &left, Config::new("a", 1))?;
    let socket = net.dir().join("notify");
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(SOON)).unwrap();
    let hear = || {
        let mut told = [0; 256];
        let length = notify.recv(&mut told).unwrap();
        String::from_utf8_lossy(&told[..length]).into_owned()
    };
    let run_dir = a.run_dir().display().to_string();
    let mut command = right.command(net.minet()?, &["run", "--name", "watched", "--run-dir", &run_dir]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000");
    let mut process = minet_tests::Process::spawn(command)?;
    let (mut ready, mut watched, mut members) = (false, 0, false);
    while !(ready && watched >= 3 && members) {
        let said = hear();
        ready |= said.contains("READY=1");
        watched += u32::from(said.contains("WATCHDOG=1"));
        members |= said.contains("STATUS=1 of 1 other members can be reached");
    }
    a.wait_members(2, SOON)?;
    process.signal(rustix::process::Signal::HUP);
    while !hear().contains("STOPPING=1") {}
    let status = process.wait(Duration::from_secs(5))?;
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    a.wait_members(1, SOON)
}

/// systemd itself finds nothing to say about the unit.
#[test]
fn the_unit_of_systemd_is_understood() -> Result<()> {
    let net = Net::new()?;
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    let given = include_str!("../../tools/systemd/minet.service");
    if !there {
        println!("skipped: there is no systemd-analyze");
        return Ok(());
    }
    let unit = net.dir().join("minet.service");
    let text = given.replace("/usr/local/sbin/minet", &net.minet()?.display().to_string());
    assert_ne!(text, given, "the binary that is here stands for the one that is installed");
    fs::write(&unit, text).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(&unit);
    let said = run(verify)?;
    assert_eq!(said.stderr.trim(), "", "systemd finds fault");
    Ok(())
}

/// Lanes are bound to the processors that were named; the control thread is not.
#[test]
fn lanes_run_where_they_are_told() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    for (cpus, allowed) in [("cpus = [0]", Some("0")), ("cpus = [1]", Some("1")), ("", None)] {
        let mut node = Node::start(&net, &space, Config { extra: cpus.into(), ..Config::new("a", 1) })?;
        let mut lanes = 0;
        for task in fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap() {
            let task = task.unwrap().path();
            let status = fs::read_to_string(task.join("status")).unwrap();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
            let is_lane = fs::read_to_string(task.join("comm")).unwrap().starts_with("lane-");
            lanes += u32::from(is_lane);
            if let Some(allowed) = allowed {
                assert_eq!(list == allowed, is_lane, "{status}");
            }
        }
        assert!(lanes > 0);
        node.stop()?;
    }
    Ok(())
}
