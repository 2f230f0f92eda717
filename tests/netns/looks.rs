//! Looking on: traces, dumps, counters, broadcasts, and a capture in Wireshark's eyes.

use crate::{
    messages::{count, knows, minet, received, receiver},
    topology::{mesh, udp_pair},
};
use minet_tests::{Config, Error, Net, Node, Process, Result, SOON, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{path::PathBuf, process::Command};

/// Every other node's receipt is shown, also that of one which has no such port.
#[test]
fn a_broadcast_shows_the_receipt_of_each_node() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let [a, b, c, _d] = &nodes[..] else { panic!() };
    let receivers = [receiver(b, a, "box", &["--count", "1"])?, receiver(c, a, "box", &["--count", "1"])?];
    let output = minet(a, &["bcast", "box", "to all"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b: stored\nc: stored\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "minet: d: there is no such port on the node\n");
    assert!(!output.status.success(), "not all have it");
    for process in receivers {
        assert_eq!(received(process)?.0[0]["text"], "to all");
    }
    Ok(())
}

/// Starts a trace and waits until it is on.
fn tracing(node: &Node, args: &[&str]) -> Result<Process> {
    let process = Process::spawn(node.command(&[&["trace", "--json"], args].concat()))?;
    eventually(SOON, "the trace is on", || Ok((count(node, "tracing")? == 1).then_some(())))?;
    Ok(process)
}

/// Ten of the messages that go through pass the filter, and the trace has ten lines with the time of each; by port, by node, by path and by
/// the receipts' own kind. When nobody reads it is off.
///
/// Rows: DB-1.
#[test]
fn a_trace_shows_what_passes_its_filter() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = &nodes[..] else { panic!() };
    let _box = receiver(b, a, "box", &[])?;
    let _other = receiver(c, a, "other", &[])?;
    let send = |to: &str| assert!(minet(a, &["send", "--to", to, "--confirm", "--tag", "7", "x"]).status.success());
    for (filter, kinds) in [
        (&["--port", "box", "--node", "b"][..], ["sent message", "received receipt"]),
        (&["--path", "box"], ["sent message", "sent message"]),
        (&["--node", "c"], ["sent message", "received receipt"]),
    ] {
        let process = tracing(a, &[filter, &["--count", "10"]].concat())?;
        let second = minet(a, &["trace", "--count", "1"]);
        assert!(String::from_utf8_lossy(&second.stderr).contains("somebody else traces"), "{second:?}");
        let mut sent = 0;
        let mut process = process;
        while process.is_running() {
            assert!(sent < 100, "the trace does not end");
            send("box");
            send("other");
            sent += 1;
        }
        let (lines, good) = received(process)?;
        assert!(good && lines.len() == 10, "{lines:?}");
        let words: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {}", line["way"].as_str().unwrap(), line["kind"].as_str().unwrap()))
            .collect();
        assert!(words.iter().all(|word| kinds.contains(&&**word)), "{filter:?}: {words:?}");
        let times: Vec<u64> = lines.iter().map(|line| line["unix_ns"].as_u64().unwrap()).collect();
        assert!(times.is_sorted() && times[0] > 1_600_000_000_000_000_000, "{times:?}");
        let message = lines.iter().find(|line| line["kind"] == "message").unwrap();
        assert_eq!((&message["tag"], &message["receipt"], &message["length"]), (&7.into(), &true.into(), &1.into()));
        eventually(SOON, "it is off", || Ok((count(a, "tracing")? == 0).then_some(())))?;
    }
    let by_opcode = tracing(a, &["--opcode", "999", "--timeout", "0.3"])?;
    send("box");
    assert_eq!(received(by_opcode)?.0.len(), 0);
    Ok(())
}

/// A request that nobody answers is listed with its age, its open slot and the queue that it waits in; from this node and, by
/// a message, from another one.
///
/// PROTOCOL 15.1.
/// Rows: DB-2.
#[test]
fn a_dump_lists_a_stuck_ticket() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let _silent = receiver(b, a, "box", &[])?;
    let call = Process::spawn(a.command(&["call", "--to", "box", "--timeout", "60", "?"]))?;
    let aged = |args: &[&str], from: &Node| {
        eventually(SOON, "a ticket of some age", || {
            let dump = from.ask(args)?;
            let ticket = dump["tickets"][0].clone();
            Ok((ticket["age_ms"].as_u64().unwrap_or(0) >= 300).then_some((ticket, dump)))
        })
    };
    let (ticket, dump) = aged(&["dump"], a)?;
    assert_eq!((&ticket["open"], &ticket["to"], &ticket["response"]), (&1.into(), &"box".into(), &true.into()));
    assert_eq!((&ticket["slots"][0]["node"], &ticket["slots"][0]["status"]), (&"b".into(), &Value::Null));
    let left = ticket["left_ms"].as_u64().unwrap();
    assert!(left < 60_000 && left > 20_000, "{left}");
    assert_eq!((dump["paths"].as_array().unwrap().len(), &dump["streams"][0]["slots"]), (1, &1.into()));
    let (far, _) = aged(&["dump", "--on", "a"], b)?;
    assert_eq!(far["id"], ticket["id"]);
    let there = b.ask(&["dump"])?;
    let port = there["ports"].as_array().unwrap().iter().find(|port| port["name"] == "box").unwrap().clone();
    assert_eq!((&port["unanswered"], &port["attached"]), (&1.into(), &true.into()));
    let table = String::from_utf8(minet(a, &["dump"]).stdout).unwrap();
    assert!(table.contains("TICKET") && table.contains("b: open"), "{table}");
    drop(call);
    eventually(SOON, "no ticket", || Ok(a.ask(&["dump"])?["tickets"].as_array().unwrap().is_empty().then_some(())))?;
    Ok(())
}

/// Every object of a dump is there once and has one parent that is there: a path its port or the node, a ticket its path, a slot its
/// ticket.
///
/// Rows: OH-1.
#[test]
fn every_object_of_a_dump_has_its_parent() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let _silent = receiver(b, a, "box", &[])?;
    let _own = receiver(a, b, "own", &[])?;
    let _calls = [(); 3].map(|()| Process::spawn(a.command(&["call", "--to", "box", "--timeout", "60", "?"])).unwrap());
    let dump = eventually(SOON, "three tickets", || {
        let dump = a.ask(&["dump"])?;
        Ok((dump["tickets"].as_array().unwrap().len() == 3).then_some(dump))
    })?;
    let list = |name: &str| dump[name].as_array().unwrap().clone();
    let ids = |name: &str| {
        let all: Vec<String> = list(name).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let once: std::collections::BTreeSet<String> = all.iter().cloned().collect();
        assert_eq!(once.len(), all.len(), "{name}: each is reached once");
        once
    };
    let (ports, paths, tickets) = (ids("ports"), ids("paths"), ids("tickets"));
    assert_eq!((paths.len(), tickets.len()), (3, 3));
    assert!(list("ports").iter().any(|port| port["name"] == "own"), "{dump}");
    for path in list("paths") {
        let from = path["from"].as_str().unwrap();
        assert!(ports.contains(from) || from == "0.0", "{from} of {path} in {ports:?}");
    }
    for ticket in list("tickets") {
        assert!(paths.contains(ticket["path"].as_str().unwrap()), "{ticket}");
        assert_eq!((ticket["slots"].as_array().unwrap().len(), &ticket["open"]), (1, &1.into()));
    }
    Ok(())
}

/// A number of a row of `minet stats`.
fn of(stats: &Value, list: &str, key: (&str, &str), field: &str) -> u64 {
    let rows = stats[list].as_array().unwrap();
    let row = rows.iter().find(|row| row[key.0] == key.1).unwrap_or_else(|| panic!("{list} {key:?} in {stats}"));
    row[field].as_u64().unwrap()
}

fn sum(stats: &Value, list: &str, field: &str) -> u64 {
    stats[list].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
}

/// After a run that is known, each counter has the number that it must; the sum over ports, and over paths, is the node's; another
/// node reads the same; and they begin anew when told to.
///
/// Rows: ST-1, ST-2.
#[test]
fn counters_are_exact() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let process = receiver(b, a, "box", &["--answer", "12345"])?;
    let gone = receiver(b, a, "gone", &["--count", "1"])?;
    let small = receiver(b, a, "small", &["--room", "200", "--count", "1", "--retain", "60"])?;
    knows(a, "minet/ask", "b")?;
    // What the nodes themselves asked so far is no part of the run.
    for node in [a, b] {
        node.ask(&["stats", "--reset"])?;
    }
    for _ in 0..7 {
        assert!(minet(a, &["send", "--to", "box", "--confirm", "0123456789"]).status.success());
    }
    for _ in 0..3 {
        assert!(minet(a, &["call", "--to", "box", "ask"]).status.success());
    }
    assert!(minet(a, &["send", "--to", "gone", "--confirm", "x"]).status.success());
    assert!(received(gone)?.1);
    assert!(!minet(a, &["send", "--to", "small", "--confirm", &"x".repeat(1000)]).status.success(), "full");
    // Its receiver is held up: the answer comes when nobody waits any more.
    process.signal(Signal::STOP);
    assert!(!minet(a, &["call", "--to", "box", "--timeout", "0.2", "late"]).status.success());
    process.signal(Signal::CONT);
    eventually(SOON, "all is there", || Ok((count(b, "responses-sent")? == 4).then_some(())))?;
    eventually(SOON, "all came", || Ok((count(a, "responses")? == 4).then_some(())))?;
    let (at_a, at_b) = (a.ask(&["stats"])?, b.ask(&["stats"])?);
    let core = |stats: &Value, name: &str| stats["core"][name].as_u64().unwrap_or_else(|| panic!("{name}"));
    let bytes = 7 * 10 + 3 * 3 + 1 + 1000 + 4;
    for (name, n) in [
        ("messages-sent", 13),
        ("message-bytes-sent", bytes),
        ("tickets", 13),
        ("receipts", 9),
        ("responses", 4),
        ("slots-timed-out", 1),
        ("messages-late", 1),
    ] {
        assert_eq!(core(&at_a, name), n, "{name} of a: {}", at_a["core"]);
    }
    for (name, n) in [
        ("messages-admitted", 12),
        ("message-bytes-admitted", bytes - 1000),
        ("messages-refused", 1),
        ("receipts-sent", 9),
        ("responses-sent", 4),
        ("no-such-port", 0),
    ] {
        assert_eq!(core(&at_b, name), n, "{name} of b: {}", at_b["core"]);
    }
    let of_box = |field| of(&at_b, "ports", ("name", "box"), field);
    assert_eq!(
        [of_box("admitted"), of_box("bytes"), of_box("taken"), of_box("depth")],
        [11, 7 * 10 + 3 * 3 + 4, 11, 0]
    );
    assert_eq!(of(&at_b, "ports", ("name", "small"), "refused"), 1);
    assert_eq!(of(&at_b, "ports", ("id", ""), "admitted"), 1, "the one that is closed");
    assert_eq!([sum(&at_b, "ports", "admitted"), sum(&at_b, "ports", "refused")], [12, 1]);
    assert_eq!([sum(&at_a, "paths", "messages"), sum(&at_a, "paths", "bytes")], [13, bytes]);
    let link = at_a["links"].as_array().unwrap().iter().find(|link| link["peer"] == "b").unwrap();
    assert_eq!(link["carrier"], "shm");
    // Read by another node, whose question is one message more.
    let far = a.ask(&["stats", "--on", "b"])?;
    assert_eq!(core(&far, "messages-admitted"), 13);
    assert_eq!(of(&far, "ports", ("name", "minet/ask"), "admitted"), 1);
    assert_eq!(sum(&far, "ports", "admitted"), 13);
    b.ask(&["stats", "--reset"])?;
    let anew = b.ask(&["stats"])?;
    assert_eq!((core(&anew, "messages-admitted"), sum(&anew, "ports", "admitted")), (0, 0));
    drop(process);
    let refused = minet(a, &["stats", "--on", "ghost"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing matches"), "{refused:?}");
    drop(small);
    Ok(())
}

fn dissector() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tools/wireshark/minet.lua")
}

/// What tshark says of a file with our dissector: one line a packet.
fn tshark(file: &std::path::Path, filter: &str, fields: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new("tshark");
    let script = format!("lua_script:{}", dissector().display());
    command.args(["-n", "-X", &script, "-Y", filter, "-T", "fields", "-E", "separator=/s", "-r"]).arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().map_err(Error::io("run tshark"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("Lua"), "{said}");
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// A trace's capture, and that of the carriers, as Wireshark shows them: kinds, nodes, tags and flags, and the packets of VIOS.
#[test]
fn wireshark_reads_a_capture() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = udp_pair(&net, |config| match &*config.name {
        "a" => Config { extra: format!("pcap = {:?}", net.dir().join("all").display().to_string()), ..config },
        _ => config,
    })?;
    let [a, b] = &mut nodes[..] else { panic!() };
    let file = net.dir().join("trace.pcap");
    let _box = receiver(b, a, "box", &["--answer", "yes"])?;
    let path = file.display().to_string();
    let process = tracing(a, &["--port", "box", "--count", "4", "--pcap", &path])?;
    assert!(
        minet(a, &["send", "--to", "box", "--confirm", "--tag", "77", "--priority", "high", "hello"]).status.success()
    );
    assert!(minet(a, &["call", "--to", "box", "--tag", "78", "?"]).status.success());
    assert!(received(process)?.1);
    let fields = ["minet.kind", "minet.source", "minet.destination", "minet.tag", "minet.priority"];
    let lines = tshark(&file, "minet", &fields)?;
    assert_eq!(lines[0], "1 1 2 77 1");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("3 2 1")), "{lines:?}");
    assert_eq!(tshark(&file, "minet.tag == 77", &["minet.payload"])?, ["68656c6c6f"]);
    // A node that ends writes what it has.
    a.stop()?;
    let all = net.dir().join("all.udp0.pcap");
    let kinds = tshark(&all, "minet", &["minet.kind"])?;
    for kind in ["0", "1", "2", "3", "5"] {
        assert!(kinds.iter().any(|line| line == kind), "kind {kind} of {}", kinds.len());
    }
    Ok(())
}
