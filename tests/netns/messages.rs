//! Messages between processes of different nodes: guests of their daemons, through the command `minet` and by hand.

use crate::{
    sealed::Rig,
    topology::{joined, mesh, udp_pair},
};
use minet_tests::{Error, Net, Node, Process, Result, SOON, eventually};
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Runs `minet ARGS` at a node to its end, also when it fails.
pub(super) fn minet(node: &Node, args: &[&str]) -> Output {
    node.command(args).stdin(Stdio::null()).output().unwrap()
}

/// What `minet ARGS --json` says line by line, and whether it went well.
pub(super) fn said(node: &Node, args: &[&str]) -> (Vec<Value>, bool) {
    let output = minet(node, &[args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.success())
}

/// Starts `minet recv NAME ARGS --json` at a node and waits until `seer` knows the port.
pub(super) fn receiver(node: &Node, seer: &Node, name: &str, args: &[&str]) -> Result<Process> {
    let process = Process::spawn(node.command(&[&["recv", name, "--json"], args].concat()))?;
    knows(seer, name, node.name())?;
    Ok(process)
}

pub(super) fn knows(seer: &Node, name: &str, owner: &str) -> Result<()> {
    eventually(SOON, &format!("{name} of {owner} at {}", seer.name()), || {
        let ports = seer.ask(&["ports"])?;
        let row = |row: &Value| row["port"] == name && row["node"] == owner;
        Ok(ports["ports"].as_array().is_some_and(|rows| rows.iter().any(row)).then_some(()))
    })
}

/// Waits for the end of a receiver and gives what it received.
pub(super) fn received(mut process: Process) -> Result<(Vec<Value>, bool)> {
    let status = process.wait(SOON)?.ok_or_else(|| Error::unexpected("the receiver runs on"))?;
    let lines = process.output()?.stdout;
    Ok((lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), status.success()))
}

/// Tries it over UDP in clear text, over sealed UDP, and over shared memory.
fn over_all(what: impl Fn(&Node, &Node) -> Result<()>) -> Result<()> {
    {
        let rig = Rig::new()?;
        let (a, b) = rig.start(rig.configs())?;
        let nodes = joined(vec![a, b])?;
        what(&nodes[0], &nodes[1])?;
    }
    {
        let net = Net::new()?;
        let nodes = udp_pair(&net, |config| config)?;
        what(&nodes[0], &nodes[1])?;
    }
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    what(&nodes[0], &nodes[1])
}

/// A number of `minet stats`: of the core.
pub(super) fn count(node: &Node, name: &str) -> Result<u64> {
    Ok(node.ask(&["stats"])?["core"][name].as_u64().unwrap_or(0))
}

/// The guests' socket of a node.
fn door(node: &Node) -> PathBuf {
    node.control().with_extension("guest")
}

/// From a shell on one node to a port on another, with a receipt; the same words whatever carries it.
///
/// Rows: MA-18.
#[test]
fn a_message_reaches_a_port_of_another_node() -> Result<()> {
    over_all(|a, b| {
        let process = receiver(b, a, "box", &["--count", "3"])?;
        let (told, good) = said(a, &["send", "--to", "box", "--confirm", "--tag", "7", "--priority", "high", "hello"]);
        assert!(good, "{told:?}");
        let slot = &told[0]["slots"][0];
        assert_eq!((&slot["node"], &slot["stored"], &slot["tier"]), (&"b".into(), &true.into(), &"good".into()));
        // Without a receipt, and by the receiver's own node: the same call.
        assert!(minet(a, &["send", "--to", "box", "--on", "b", "plain"]).status.success());
        let local = minet(b, &["send", "--to", "box", "--confirm", "near"]);
        assert_eq!(String::from_utf8_lossy(&local.stdout), "b: stored\n");
        let (got, good) = received(process)?;
        assert!(good);
        let texts: Vec<_> = got.iter().map(|m| (m["text"].as_str().unwrap(), m["node"].as_str().unwrap())).collect();
        assert_eq!(texts, [("hello", "a"), ("plain", "a"), ("near", "b")]);
        assert_eq!((&got[0]["tag"], &got[0]["priority"]), (&7.into(), &1.into()));
        Ok(())
    })
}

/// What cannot be is said at once, or told apart by who said no.
///
/// Rows: SS-2.
#[test]
fn what_cannot_be_sent_is_told() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let refused = |args: &[&str], why: &str| {
        let output = minet(a, args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(error.starts_with("minet: ") && error.contains(why) && error.lines().count() == 1, "{args:?}: {error}");
    };
    refused(&["send", "--to", "nobody", "x"], "nothing matches");
    refused(&["send", "--to", "no name", "x"], "invalid argument");
    refused(&["send", "--to", &"n".repeat(64), "x"], "the name is too long");
    refused(&["call", "--pattern", "a b", "x"], "invalid argument");
    refused(&["call", "--to", "box", "--on", "ghost", "x"], "nothing matches");
    // There is such a node, and it says that there is no such port.
    refused(&["send", "--all", "box", "--confirm", "x"], "b: there is no such port on the node");
    // The port is there and has no room; the bytes that are free are the detail.
    let process = receiver(b, a, "small", &["--room", "200", "--count", "1"])?;
    refused(&["send", "--to", "small", "--confirm", &"x".repeat(1000)], "b: the port is full (200)");
    let (told, good) = said(a, &["call", "--to", "small", "--timeout", "0.2", "?"]);
    let slot = &told[0]["slots"][0];
    assert!(!good && (slot["tier"] == "transport" || slot["tier"] == "service"), "{told:?}");
    assert!(received(process)?.1);
    assert!(count(a, "guest-calls-refused")? >= 5);
    Ok(())
}

/// Rows: MI-4.
#[test]
fn a_call_is_answered() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let [a, b] = &nodes[..] else { panic!() };
    let process = receiver(b, a, "greeter", &["--answer", "hello", "--count", "2"])?;
    let output = minet(a, &["call", "--to", "greeter", "who?"]);
    assert_eq!((&*String::from_utf8_lossy(&output.stdout), output.status.success()), ("hello\n", true));
    let (told, good) = said(a, &["call", "--to", "greeter", "again?"]);
    assert!(good && told[0]["slots"][0]["answer"]["text"] == "hello", "{told:?}");
    assert_eq!(received(process)?.0[0]["asks"], true);
    Ok(())
}

/// It is cut for its way and put together again.
///
/// Rows: MF-3.
#[test]
fn a_large_payload_arrives_whole() -> Result<()> {
    over_all(|a, b| {
        let process = receiver(b, a, "box", &["--count", "1"])?;
        let text: String =
            (0..300 << 10).map(|n: u32| char::from(b'a' + (n.wrapping_mul(n) >> 7 & 15) as u8)).collect();
        let mut send = a.command(&["send", "--to", "box", "--confirm", "--timeout", "15"]);
        let mut child = send.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let (got, good) = received(process)?;
        assert!(good && got[0]["length"] == text.len() && got[0]["text"] == text.as_str(), "it came otherwise");
        Ok(())
    })
}

#[test]
fn messages_go_to_one_to_many_and_from_many() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let [a, b, c, d] = &nodes[..] else { panic!() };
    let at_b = receiver(b, a, "box", &["--count", "4", "--answer", "from b"])?;
    let at_c = receiver(c, a, "box", &["--count", "2", "--answer", "from c"])?;
    // Everywhere: the node without such a port says so in its own slot.
    let (told, good) = said(a, &["send", "--all", "box", "--confirm", "x"]);
    let stored: Vec<_> = told[0]["slots"].as_array().unwrap().iter().map(|s| (&s["node"], &s["stored"])).collect();
    assert!(!good);
    assert_eq!(stored, [(&"b".into(), &true.into()), (&"c".into(), &true.into()), (&d.name().into(), &false.into())]);
    // A pattern: those that match, and an answer of each.
    let output = minet(a, &["call", "--pattern", "b*", "?"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b: from b\nc: from c\n");
    assert!(received(at_c)?.1);
    // And many reach one.
    for node in [c, d] {
        assert!(minet(node, &["send", "--to", "box", "--on", "b", "--confirm", "x"]).status.success());
    }
    let (got, good) = received(at_b)?;
    let from: Vec<_> = got.iter().map(|m| m["node"].as_str().unwrap()).collect();
    assert!(good && from == ["a", "a", "c", "d"], "{from:?}");
    Ok(())
}

/// Rows: LD-4.
#[test]
fn a_killed_receiver_settles_its_callers() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let [a, b] = &nodes[..] else { panic!() };
    // It takes the request, does not answer, and is killed while it waits for the next one.
    let mut process = receiver(b, a, "box", &[])?;
    let mut retained = receiver(b, a, "kept", &["--retain", "60"])?;
    for (name, receiver) in [("box", &mut process), ("kept", &mut retained)] {
        let call = Process::spawn(a.command(&["call", "--to", name, "--timeout", "60", "--json", "?"]))?;
        eventually(SOON, "the request", || Ok((!receiver.output()?.stdout.is_empty()).then_some(())))?;
        receiver.kill();
        let (told, good) = received(call)?;
        assert!(!good && told[0]["slots"][0]["status"] == "the port was closed before it answered", "{told:?}");
    }
    assert_eq!(count(b, "guests")?, 0);
    Ok(())
}

/// The caller hears of the death of the other node, and its next call finds the new life of that node.
#[test]
fn a_killed_node_settles_its_callers() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 2)?;
    let (mut b, a) = (nodes.remove(1), nodes.remove(0));
    let silent = receiver(&b, &a, "box", &[])?;
    let call = Process::spawn(a.command(&["call", "--to", "box", "--timeout", "60", "--json", "?"]))?;
    eventually(SOON, "the request", || Ok((!silent.output()?.stdout.is_empty()).then_some(())))?;
    b.kill();
    let (told, good) = received(call)?;
    let slot = &told[0]["slots"][0];
    assert!(!good && slot["status"] == "the node is down" && slot["tier"] == "transport", "{told:?}");
    assert!(!received(silent)?.1, "its guests are no guests any more");
    b.relaunch()?;
    b.wait_ready()?;
    a.wait_members(2, SOON)?;
    let process = receiver(&b, &a, "box", &["--answer", "again", "--count", "1"])?;
    let output = minet(&a, &["call", "--to", "box", "?"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "again\n", "{output:?}");
    assert!(received(process)?.1);
    Ok(())
}

#[test]
fn a_retained_port_keeps_its_messages() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let mut first = receiver(b, a, "box", &["--retain", "60"])?;
    first.kill();
    eventually(SOON, "its end", || Ok((count(b, "guests")? == 0).then_some(())))?;
    for text in ["one", "two"] {
        assert!(minet(a, &["send", "--to", "box", "--confirm", text]).status.success());
    }
    let (got, good) = received(receiver(b, a, "box", &["--count", "2"])?)?;
    assert!(good && got[0]["text"] == "one" && got[1]["text"] == "two", "{got:?}");
    // One that is not retained goes with its receiver, and so does its name.
    let mut other = receiver(b, a, "other", &[])?;
    other.kill();
    eventually(SOON, "nothing of that name", || {
        Ok((!minet(a, &["send", "--to", "other", "x"]).status.success()).then_some(()))
    })?;
    Ok(())
}

#[test]
fn a_watch_sees_the_first_come_and_the_last_go() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = &nodes[..] else { panic!() };
    let watch = Process::spawn(a.command(&["watch", "disk/* speed>=100", "--count", "4", "--json"]))?;
    eventually(SOON, "a guest", || Ok((count(a, "guests")? == 1).then_some(())))?;
    let mut slow = receiver(b, a, "disk/slow", &["--property", "speed=50"])?;
    let mut one = receiver(b, a, "disk/1", &["--property", "speed=100", "--kind", "disk"])?;
    let mut two = receiver(c, a, "disk/2", &["--property", "speed=200"])?;
    slow.kill();
    one.kill();
    eventually(SOON, "one change more", || Ok((watch.output()?.stdout.lines().count() >= 3).then_some(())))?;
    two.kill();
    let (seen, good) = received(watch)?;
    let rows: Vec<_> = seen.iter().map(|s| (s["name"].as_str().unwrap(), &s["up"], &s["edge"])).collect();
    let (yes, no) = (&Value::from(true), &Value::from(false));
    assert!(good);
    assert_eq!(rows, [("disk/1", yes, yes), ("disk/2", yes, no), ("disk/1", no, no), ("disk/2", no, yes)]);
    assert_eq!((&seen[0]["kind"], &seen[0]["properties"]["speed"]), (&"disk".into(), &"100".into()));
    Ok(())
}

/// Reads what a daemon tells a guest until it ends the connection.
fn last_word(stream: &mut UnixStream) -> String {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut told = Vec::new();
    // A daemon that did not read everything resets the connection; what it told is there before.
    let _ = stream.read_to_end(&mut told);
    String::from_utf8_lossy(&told).into_owned()
}

/// The greeting of a guest: PROTOCOL.md, 12.2.
const GREETING: &[u8] = b"MNGD\x03\0\0\0";

#[test]
fn a_guest_that_sends_anything_is_told_and_ended() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 1)?;
    let a = &mut nodes[0];
    let mut noise: u64 = 88_172_645_463_325_252;
    let mut random = |length: usize| -> Vec<u8> {
        let next = |_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise as u8
        };
        (0..length).map(next).collect()
    };
    for round in 0..20 {
        let mut stream = UnixStream::connect(door(a)).unwrap();
        // Every other one greets as it should. Who is ended may find nobody to write to.
        let _ = stream.write_all(if round % 2 == 0 { GREETING } else { b"" });
        let _ = stream.write_all(&[&[0xff; 4], &random(5000)[..]].concat());
        let why = last_word(&mut stream);
        let expected = if round % 2 == 0 { "too long" } else { "not the greeting" };
        assert!(why.contains(expected), "{why}");
    }
    // A frame of the right length with anything in it, and another version.
    for (bytes, expected) in
        [([GREETING, &[40, 0, 0, 0], &[0xfe; 40]].concat(), "malformed"), (b"MNGD\x01\0\0\0".to_vec(), "version 1")]
    {
        let mut stream = UnixStream::connect(door(a)).unwrap();
        stream.write_all(&bytes).unwrap();
        let why = last_word(&mut stream);
        assert!(why.contains(expected), "{why}");
    }
    assert_eq!(count(a, "guests-malformed")?, 22);
    eventually(SOON, "nobody there", || Ok((count(a, "guests")? == 0).then_some(())))?;
    assert!(a.is_running());
    Ok(())
}

/// It is ended when too much waits for it; meanwhile others are served.
#[test]
fn a_guest_that_never_reads_harms_nobody() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let mut deaf = UnixStream::connect(door(b)).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    deaf.write_all(GREETING).unwrap();
    // To receive from a port that is none: number 1, request 5, port 9, any message, not held. Each is refused with some bytes.
    let call = [6, 0, 0, 0, 1, 5, 9, 0, 0, 0];
    let calls = call.repeat(10_000);
    let process = receiver(b, a, "box", &["--count", "20", "--answer", "here"])?;
    let mut sent = 0;
    let mut ended = false;
    while !ended && sent < 1000 {
        ended = deaf.write_all(&calls).is_err();
        sent += 1;
        if sent <= 20 {
            let output = minet(a, &["call", "--to", "box", "?"]);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "here\n", "{output:?}");
        }
    }
    eventually(SOON, "its end", || Ok((count(b, "guests-slow")? == 1).then_some(())))?;
    assert!(received(process)?.1);
    // What was in the socket comes first, then why.
    let why = last_word(&mut deaf);
    assert!(why.contains("it does not read what it is told"), "{} bytes", why.len());
    Ok(())
}

/// The end of a daemon is told to its guests, and nothing of it stays.
#[test]
fn guests_are_told_that_the_daemon_ends() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 1)?;
    let a = &mut nodes[0];
    let mut process = receiver(a, a, "box", &[])?;
    a.stop()?;
    let status = process.wait(SOON)?.ok_or_else(|| Error::unexpected("the receiver runs on"))?;
    let said = process.output()?.stderr;
    assert!(!status.success() && said.contains("the daemon ends"), "{said}");
    assert!(!door(a).exists());
    let mut again = Command::new(net.minet()?);
    again.args(["recv", "box", "--name", "a", "--run-dir"]).arg(a.run_dir());
    let output = again.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no daemon takes guests"), "{output:?}");
    Ok(())
}
