//! Options that people try: what follows, what repeats, what only checks.

use crate::topology::mesh;
use minet_tests::{Config, Error, Net, Netns, Node, Output, Ping, Process, Result, SOON, eventually, run};
use serde_json::Value;
use std::fs;

/// The JSON lines that a process has printed until now, whole ones.
fn lines(process: &Process) -> Result<Vec<Value>> {
    let said = process.output()?.stdout;
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let read = |line: &str| serde_json::from_str(line).map_err(|error| Error::unexpected(format!("{error}: {line}")));
    whole.lines().map(read).collect()
}

/// What happened before, and then what happens, each once and in order; from the own daemon and from another node.
#[test]
fn events_are_followed() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let own = Process::spawn(b.command(&["events", "--follow", "--json"]))?;
    let far = Process::spawn(a.command(&["events", "-f", "--on", "b", "--json"]))?;
    let told = Process::spawn(b.command(&["events", "-f"]))?;
    let seen = |process: &Process, kind: &str, peer: u32| {
        eventually(SOON, &format!("{kind} of {peer}"), || {
            let lines = lines(process)?;
            Ok(lines.iter().any(|line| line["kind"] == kind && line["peer"] == peer).then_some(()))
        })
    };
    for process in [&own, &far] {
        seen(process, "member-up", 1)?;
    }
    let mut c = Node::start(&net, &net.space("c")?, Config::new("c", 3))?;
    for process in [&own, &far] {
        seen(process, "member-up", 3)?;
    }
    c.stop()?;
    for process in [&own, &far] {
        seen(process, "member-down", 3)?;
        let numbers: Vec<u64> = lines(process)?.iter().filter_map(|line| line["number"].as_u64()).collect();
        let all: Vec<u64> = (0..numbers.len() as u64).collect();
        assert_eq!(numbers, all, "each once, from the first");
    }
    eventually(SOON, "the same for people", || {
        let said = told.output()?.stdout;
        Ok((said.contains("member-up") && said.contains("member-down") && !said.contains('{')).then_some(()))
    })
}

#[test]
fn counters_are_shown_again_and_again() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let watch = Process::spawn(a.command(&["stats", "--watch", "0.1", "--json"]))?;
    let far = Process::spawn(a.command(&["stats", "--on", "b", "--watch", "0.1", "--json"]))?;
    let people = Process::spawn(a.command(&["stats", "--watch=0.1"]))?;
    let received = |process: &Process| -> Result<Vec<u64>> {
        Ok(lines(process)?.iter().filter_map(|line| line["segments"][0]["rx_packets"].as_u64()).collect())
    };
    eventually(SOON, "three of each", || Ok((received(&watch)?.len() > 2 && received(&far)?.len() > 2).then_some(())))?;
    let before = [*received(&watch)?.last().unwrap(), *received(&far)?.last().unwrap()];
    Ping::new(&b.config().ipv4(), 20).one_by_one(a.space())?;
    eventually(SOON, "what the ping counted", || {
        let now = [received(&watch)?, received(&far)?].map(|all| *all.last().unwrap());
        Ok((now[0] >= before[0] + 20 && now[1] >= before[1] + 20).then_some(()))
    })?;
    let all = received(&watch)?;
    assert!(all.is_sorted(), "{all:?}");
    eventually(SOON, "the same for people", || {
        Ok((people.output()?.stdout.matches("segment lan on minet0").count() > 2).then_some(()))
    })
}

/// `minet run --check ARGS` to its end.
fn check(net: &Net, space: &Netns, args: &[&str]) -> Result<(Option<i32>, Output)> {
    let mut process = space.spawn(net.minet()?, &[&["run", "--check"], args].concat())?;
    let status = process.wait(SOON)?.ok_or_else(|| Error::unexpected("it does not end"))?;
    Ok((status.code(), process.output()?))
}

#[test]
fn a_configuration_is_checked_and_nothing_is_touched() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let run_dir = net.dir().join("checked");
    let file = net.dir().join("config.toml").display().to_string();
    let write = |text: &str| fs::write(&file, text).map_err(Error::io("write a configuration"));
    let good = format!("name = \"a\"\nid = 7\nrun_dir = {:?}\n[[segment]]\nname = \"lan\"\nmtu = 9000\n", run_dir);
    write(&good)?;
    let (code, said) = check(&net, &space, &["--config", &file])?;
    assert_eq!(
        (code, &*said.stdout, &*said.stderr),
        (
            Some(0),
            "the configuration is fine: node a (id 7) of fabric default\ninterface minet0 on segment lan, MTU 9000\n",
            ""
        )
    );
    assert!(!run_dir.exists(), "it made its run-time directory");
    assert!(space.flags("minet0").is_err(), "it made its interface");
    let missing_key = format!("{good}[udp]\nlisten = \"127.0.0.1:7400\"\n[trust]\nkey = \"/nonexistent/key\"\n");
    for (text, args, words) in [
        ("colour = \"red\"", &[][..], "unknown field `colour`"),
        ("name = ", &[], &*file),
        ("id = 0", &[], "key `id`: 0 is not allowed, it must be 1 to 4294967294"),
        (&*good, &["--mtu", "20"], "key `segment.mtu`"),
        (&*missing_key, &[], "/nonexistent/key"),
    ] {
        write(text)?;
        let (code, said) = check(&net, &space, &[&["--config", &file], args].concat())?;
        assert_eq!((code, &*said.stdout), (Some(2), ""), "{text}: {}", said.stderr);
        assert!(said.stderr.starts_with("minet: ") && said.stderr.contains(words), "{text}: {}", said.stderr);
    }
    let (code, said) = check(&net, &space, &["--config", "/nonexistent/config.toml"])?;
    assert!(code == Some(2) && said.stderr.contains("/nonexistent/config.toml"), "{}", said.stderr);
    // A node of that name may run.
    let mut node = Node::start(&net, &space, Config::new("a", 1))?;
    let run_dir = node.run_dir().display().to_string();
    assert_eq!(check(&net, &space, &["--name", "a", "--run-dir", &run_dir])?.0, Some(0));
    assert!(node.is_running() && node.ask(&["status"])?["node"]["name"] == "a");
    Ok(())
}

/// The command line has what the file has.
#[test]
fn the_kind_of_interface_is_chosen_on_the_command_line() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let run_dir = net.subdir("run")?.display().to_string();
    for (mode, kind, vnet) in [("tap", "tap", true), ("plain", "tap", false), ("tun", "tun", false)] {
        let args = ["run", "--name", "a", "--run-dir", &run_dir, "--learn", "--no-relay", "--mode", mode];
        let mut process = space.spawn(net.minet()?, &args)?;
        let link = eventually(SOON, "its interface", || {
            let said = space.ip_json(&["-details", "link", "show", "dev", "minet0"])?;
            Ok(Some(said[0]["linkinfo"]["info_data"].clone()))
        })?;
        assert_eq!((&link["type"], &link["vnet_hdr"]), (&kind.into(), &vnet.into()), "{mode}: {link}");
        // It answers before it is told to end.
        eventually(SOON, "its answer", || {
            let mut status = std::process::Command::new(net.minet()?);
            status.args(["status", "--run-dir", &run_dir]);
            run(status).map(Some)
        })?;
        process.signal(rustix::process::Signal::TERM);
        assert!(process.wait(SOON)?.is_some_and(|status| status.success()), "{}", process.output()?.stderr);
    }
    Ok(())
}

/// One line with what was meant and where to look.
#[test]
fn who_is_not_there_is_named() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 1)?;
    for (args, words) in [
        (&["status", "--on", "ghost"][..], "no member has the name or number `ghost`"),
        (&["ping", "ghost"], "no member has the name or number `ghost`"),
        (&["send", "--to", "ghost", "boo"], "nothing matches: there is no port `ghost`"),
        (&["call", "--to", "ghost", "--on", "nowhere", "boo"], "there is no port `ghost` on a node `nowhere`"),
        (&["call", "--to", "ghost", "--on", "a", "boo"], "a: there is no such port on the node"),
        (&["send", "--pattern", "ghost/*", "boo"], "nothing matches: no port is like `ghost/*`"),
        (&["send", "--to", "a b", "boo"], "`a b` is no name of a port: name has"),
        (&["recv", "a b"], "`a b` is no name of a port: name has a control character or white space at byte 1"),
        (&["man", "/nonexistent/pages"], "/nonexistent/pages"),
    ] {
        let mut command = nodes[0].command(args);
        if args[0] == "man" {
            command = std::process::Command::new(net.minet()?);
            command.args(args);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("minet: ") && said.contains(words) && said.lines().count() == 1, "{args:?}: {said}");
    }
    Ok(())
}
