//! Bare machines that are taken out and put in while others run, that fail in ways that are wanted, and that are told of it.

use super::{as_guest, ask, image, wait_life_of};
use crate::iop::iop_named;
use iop_node::ports::{disk, requests};
use messenger::{Code, Guest, GuestError, Message, PathSpec, PortId, Status, To};
use minet_tests::{Config, Error, Net, Node, Result, SOON, eventually};
use serde_json::Value;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// A node with processors `io1`, `io2`, …, all operational and members; whoever asks may have them fail.
pub struct Rig {
    pub node: Node,
    /// The image of machines; there is none for processes.
    image: Option<PathBuf>,
    // Gone after what is in it.
    _net: Net,
}

impl Rig {
    /// They are machines without an operating system.
    pub fn machines(count: u32) -> Result<Self> {
        Self::new(Some(image()?), count)
    }

    /// They are processes of the host.
    pub fn processes(count: u32) -> Result<Self> {
        Self::new(None, count)
    }

    /// They are processes where there is no image.
    pub fn new(image: Option<PathBuf>, count: u32) -> Result<Self> {
        let net = Net::new()?;
        let mut config = Config::new("a", 1);
        config.iop_extra = "faults = true".to_owned();
        // A flood is above it also where nothing runs fast.
        config.segment_extra = "broadcast_limit = 1000".to_owned();
        for n in 1..=count {
            let name = format!("io{n}");
            config = match &image {
                Some(image) => config.iop(&name, 8 + n, image),
                None => config.iop_process(&name, 8 + n),
            };
        }
        let node = Node::start(&net, &net.space("a")?, config)?;
        for n in 1..=count {
            wait_life_of(&node, &format!("io{n}"), 1)?;
        }
        node.wait_members(count as usize + 1, SOON)?;
        Ok(Self { node, image, _net: net })
    }

    /// Inserts another one.
    pub fn add(&self, name: &str, id: &str) -> Result<Value> {
        let image = self.image.as_ref().map(|image| image.display().to_string());
        let kind = image.as_deref().map_or(vec!["--process"], |image| vec!["--image", image]);
        self.node.ask(&[&["iop", "add", name, "--id", id], &kind[..]].concat())
    }
}

/// What happened of late, the latest last: kind and text.
fn events(node: &Node) -> Result<Vec<(String, String)>> {
    let said = node.ask(&["events"])?;
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    Ok(said["events"].as_array().into_iter().flatten().map(|e| (text(e, "kind"), text(e, "text"))).collect())
}

/// Where in the events, from one on, something is told.
fn position(events: &[(String, String)], from: usize, kind: &str, text: &str) -> usize {
    let found = events.iter().skip(from).position(|(k, t)| k == kind && t.contains(text));
    from + found.unwrap_or_else(|| panic!("no {kind} with `{text}` behind {from} in {events:#?}"))
}

/// The node and the number of a processor's port of requests.
fn port(node: &Node, name: &str) -> Result<To> {
    let slot = ask(node, &format!("iop/{name}/requests"), requests::ECHO, b"")?.slots.remove(0);
    let number: Option<PortId> = slot.port;
    Ok(To::Port(slot.node, number.ok_or_else(|| Error::unexpected("no port"))?))
}

fn send(guest: &mut Guest, to: &To) -> Status {
    let message = Message { opcode: requests::ECHO, ..Message::new("?") };
    match guest.call(to, &message, SOON) {
        Ok(outcome) => outcome.status(),
        Err(error) => error.status().unwrap_or_else(|| panic!("{error}")),
    }
}

/// What a port says as soon as it says that no more.
fn next_status(node: &Node, to: &To, was: Status) -> Result<Status> {
    as_guest(node, |guest| {
        eventually(SOON, "another status", || Ok(Some(send(guest, to)).filter(|status| *status != was)))
    })
}

/// Four come up by themselves, at the same time: no later than a few boots of one, and all are of one table.
///
/// Rows: IM-1, IM-6.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn four_machines_come_up_without_an_operator() -> Result<()> {
    four_come_up(&Rig::machines(4)?)
}

pub fn four_come_up(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    for n in 1..=4 {
        assert_eq!(wait_life_of(a, &format!("io{n}"), 1)?["code"], 8, "operational, as I2O numbers it");
    }
    a.wait_members(5, SOON)?;
    let all = a.ask(&["iop", "list"])?;
    let names: Vec<&str> = all["iops"].as_array().into_iter().flatten().filter_map(|i| i["name"].as_str()).collect();
    assert_eq!(names, ["io1", "io2", "io3", "io4"]);
    // In parallel: the last one was launched before the first one was ready.
    let events = events(a)?;
    let launched = position(&events, 0, "iop-state", "iop io4: reset -> initializing");
    assert!(launched < position(&events, 0, "iop-state", "-> ready"), "{events:?}");
    Ok(())
}

/// A reset by command: first nobody sends it anything new, then it goes through reset, then it is sent to again. Its new life is
/// another incarnation.
///
/// Rows: IM-4, IM-13.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_reset_is_in_order() -> Result<()> {
    reset_in_order(&Rig::machines(2)?)
}

pub fn reset_in_order(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let before = events(a)?.len();
    a.ask(&["iop", "reset", "io1"])?;
    wait_life_of(a, "io1", 2)?;
    a.wait_members(3, SOON)?;
    let events = events(a)?;
    let mut at = before;
    for (kind, text) in [
        ("iop-quiesce", "io1"),
        ("iop-state", "io1: operational -> reset"),
        ("iop-state", "io1: reset -> initializing"),
        ("iop-state", "io1: initializing -> ready"),
        ("iop-state", "io1: ready -> operational"),
        ("iop-enable", "io1"),
    ] {
        at = position(&events, at, kind, text);
    }
    assert_eq!(ask(a, "iop/io1/requests", requests::ECHO, b"x")?.status(), Status::GOOD);
    assert_eq!(wait_life_of(a, "io2", 1)?["lives"], 1);
    Ok(())
}

/// Taken out in order: whoever sends is told that it is quiesced, and nothing hangs. Killed: whoever sends is told that the node is
/// down, and it comes back. Quiesced and enabled by command: it lives on meanwhile.
///
/// Rows: IM-8.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn orderly_and_surprise_extraction_are_told_apart() -> Result<()> {
    extraction(&Rig::machines(2)?)
}

pub fn extraction(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let to = port(a, "io1")?;
    a.ask(&["iop", "quiesce", "io1"])?;
    assert_eq!(next_status(a, &to, Status::GOOD)?, Status::new(Code::Quiesced));
    assert_eq!(wait_life_of(a, "io1", 1)?["traffic"], "quiesced");
    a.ask(&["iop", "enable", "io1"])?;
    assert_eq!(next_status(a, &to, Status::new(Code::Quiesced))?, Status::GOOD);

    a.ask(&["iop", "hold", "io1"])?;
    assert_eq!(next_status(a, &to, Status::GOOD)?, Status::new(Code::Quiesced), "taken out in order");
    assert_eq!(iop_named(a, "io1")?["pid"], Value::Null);

    let to = port(a, "io2")?;
    let pid = wait_life_of(a, "io2", 1)?["pid"].to_string();
    a.space().run("kill", &["-KILL", &pid])?;
    assert_eq!(next_status(a, &to, Status::GOOD)?, Status::new(Code::NodeDown), "gone by surprise");
    wait_life_of(a, "io2", 2)?;

    // What was taken out is put in again, and can be taken out for good.
    a.ask(&["iop", "boot", "io1"])?;
    wait_life_of(a, "io1", 2)?;
    assert_eq!(ask(a, "iop/io1/requests", requests::ECHO, b"x")?.status(), Status::GOOD);
    let left = a.ask(&["iop", "remove", "io1"])?;
    assert_eq!(left["iops"].as_array().map(Vec::len), Some(1), "{left}");
    a.wait_state("io1", "down", SOON)?;
    rig.add("io1", "9")?;
    wait_life_of(a, "io1", 1)?;
    a.wait_members(3, SOON)?;
    assert_eq!(ask(a, "iop/io1/requests", requests::ECHO, b"x")?.status(), Status::GOOD);
    Ok(())
}

/// How long after a fault its manager finds it, in heartbeats of 500 ms.
fn heartbeats_until_found(node: &Node, name: &str, fault: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = wait_life_of(node, name, 1)?["lives"].as_u64();
    fault()?;
    let begun = Instant::now();
    eventually(SOON, "a fault that is found", || {
        let iop = iop_named(node, name)?;
        Ok((iop["state"] != "operational" || iop["lives"].as_u64() > before).then_some(()))
    })?;
    let heartbeats = begun.elapsed().as_secs_f64() / Duration::from_millis(500).as_secs_f64();
    wait_life_of(node, name, before.unwrap_or(0) + 1)?;
    Ok(heartbeats)
}

/// One whose process is stopped, and one whose loop turns no more while its machine runs on and takes interrupts, are found in three
/// heartbeats; both come back as another incarnation, whom a request to the old life was never answered for.
///
/// Rows: HB-1, HB-2, HB-4.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_deaf_machine_is_found_in_three_heartbeats() -> Result<()> {
    deaf_is_found(&Rig::machines(1)?)
}

pub fn deaf_is_found(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let pid = wait_life_of(a, "io1", 1)?["pid"].to_string();
    let stop = || a.space().run("kill", &["-STOP", &pid]).map(drop);
    let port = "iop/io1/requests";
    let spin = || {
        let told = ask(a, port, requests::FAULT, &[1])?;
        // The answer may have been under way still: then the request ends with its node.
        let known = [Code::Good, Code::NodeDown, Code::TimedOut].contains(&told.status().code);
        if known { Ok(()) } else { Err(Error::unexpected(format!("{told:?}"))) }
    };
    let stopped = heartbeats_until_found(a, "io1", stop)?;
    // Of three intervals at most one has passed already when it fell silent; a fifth for the look and the machine's load.
    assert!((1.6..=3.6).contains(&stopped), "{stopped} heartbeats");
    ask(a, port, requests::ECHO, b"")?;
    let life = |node: &Node| Ok::<_, Error>(node.member("io1")?["incarnation"].clone());
    let before = life(a)?;
    let spun = heartbeats_until_found(a, "io1", spin)?;
    assert!(spun <= 3.6, "{spun} heartbeats");
    a.wait_members(2, SOON)?;
    assert_eq!(ask(a, port, requests::ECHO, b"x")?.status(), Status::GOOD);
    assert!(before == Value::Null || before != life(a)?, "another incarnation");
    let events = events(a)?;
    let down = position(&events, 0, "member-down", "io1");
    position(&events, down, "member-up", "io1");

    // What is under way to a life that ends is told to its sender, and no later life has it.
    let pid = wait_life_of(a, "io1", 3)?["pid"].to_string();
    a.space().run("kill", &["-STOP", &pid])?;
    let old = Message { opcode: requests::ECHO, ..Message::new("old") };
    let told = as_guest(a, |guest| guest.call(&To::Name(port.into()), &old, SOON));
    let told = told.map_err(|error| Error::unexpected(error.to_string()))?;
    assert_eq!(told.status().code, Code::NodeDown, "{told:?}");
    wait_life_of(a, "io1", 4)?;
    a.wait_members(2, SOON)?;
    let stats = eventually(SOON, "its counters", || a.ask(&["iop", "stats", "io1"]).map(Some))?;
    assert_eq!(stats["messages-admitted"], 1, "this question alone: {stats}");
    Ok(())
}

/// Disks are a pool by their kind: whoever wants any disk has one, and when its processor is killed, or taken out, the spare one. Every
/// request that the client makes meanwhile is settled at once, and the next one is answered.
///
/// Rows: IM-10.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn any_disk_is_as_good_as_another() -> Result<()> {
    any_disk(&Rig::machines(2)?)
}

pub fn any_disk(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let message = Message { opcode: disk::SIZE, ..Message::new("") };
    as_guest(a, |guest| {
        let failed = |error: GuestError| Error::unexpected(error.to_string());
        let any = To::Pattern("iop/* kind=disk".into());
        let path = guest.open_path(&PathSpec { hunt: true, ..PathSpec::to(any) }).map_err(failed)?;
        // Who answered; a request that nobody answered says so, and is made again.
        let who = |guest: &Guest| {
            eventually(SOON, "an answer of any disk", || {
                let begun = Instant::now();
                let outcome = guest.call(&To::Path(path), &message, SOON).map_err(failed)?;
                assert!(begun.elapsed() < SOON, "it is settled before its deadline");
                Ok(outcome.status().is_good().then(|| outcome.slots[0].node.get()))
            })
        };
        assert_eq!(eventually(SOON, "the first disk", || Ok(Some(who(guest)?).filter(|node| *node == 9)))?, 9);
        let pid = wait_life_of(a, "io1", 1)?["pid"].to_string();
        a.space().run("kill", &["-KILL", &pid])?;
        eventually(SOON, "the spare disk", || Ok((who(guest)? == 10).then_some(())))?;
        wait_life_of(a, "io1", 2)?;
        eventually(SOON, "the first disk again", || Ok((who(guest)? == 9).then_some(())))?;
        a.ask(&["iop", "remove", "io1"])?;
        assert_eq!(who(guest)?, 10, "the spare one, when the first was taken out in order");
        Ok(())
    })
}

/// One that panics says why, and comes back; unless its configuration allows faults, nobody can have it fail.
///
/// PROTOCOL 9.5.
/// Rows: IM-5, IM-7.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_panic_is_told_and_mended() -> Result<()> {
    panic_is_told(&Rig::machines(1)?)
}

pub fn panic_is_told(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let port = "iop/io1/requests";
    let told = as_guest(a, |guest| {
        let message = Message { opcode: requests::FAULT, ..Message::new(vec![2]) };
        eventually(SOON, "the port", || Ok(guest.call(&To::Name(port.into()), &message, SOON).ok()))
    })?;
    assert!([Code::Good, Code::NodeDown].contains(&told.status().code), "{told:?}");
    let second = wait_life_of(a, "io1", 2)?;
    assert!(second["last_words"].as_str().is_some_and(|w| w.contains("somebody wanted it to")), "{second}");
    let console = a.ask(&["iop", "console", "io1"])?;
    let lines = console["lines"].as_array().cloned().unwrap_or_default();
    assert!(lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains("panic: "))), "{console}");
    assert_eq!(ask(a, port, requests::ECHO, b"x")?.status(), Status::GOOD);

    rig.add("io9", "99")?;
    wait_life_of(a, "io9", 1)?;
    assert_eq!(ask(a, "iop/io9/requests", requests::FAULT, &[2])?.status(), Status::new(Code::NotAllowed));
    Ok(())
}

/// Commands speak to people and to programs, and say what is wrong.
///
/// Rows: CU-1, CU-2.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn the_control_utility_shows_and_tells() -> Result<()> {
    control_utility(&Rig::machines(1)?)
}

pub fn control_utility(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    ask(a, "iop/io1/requests", requests::ECHO, b"")?;
    let one = a.ask(&["iop", "show", "io1"])?;
    assert_eq!((&one["state"], &one["code"], &one["traffic"]), (&"operational".into(), &8.into(), &"enabled".into()));
    let stats = a.ask(&["iop", "stats", "io1"])?;
    assert!(stats["messages-admitted"].as_u64() >= Some(1), "{stats}");
    let log = a.ask(&["iop", "log", "io1"])?;
    assert!(log["events"].as_array().is_some_and(|all| all.iter().all(|e| e["peer"] == 9) && all.len() >= 3), "{log}");
    let human = minet_tests::run(a.command(&["iop", "show", "io1"]))?.stdout;
    assert!(human.contains("state") && human.contains("operational (0x08)"), "{human}");
    for (args, why) in [
        (&["iop", "show", "nobody"][..], "no I/O processor has the name `nobody`"),
        (&["iop", "remove", "nobody"], "no I/O processor has the name `nobody`"),
        (&["iop", "add", "io1"], "member of the fabric already"),
        (&["iop", "add", "no name"], "iop.name"),
    ] {
        let wrong = minet_tests::run(a.command(args)).map(|said| said.stdout);
        assert!(wrong.as_ref().is_err_and(|e| e.to_string().contains(why)), "{args:?}: {wrong:?}");
    }
    a.ask(&["iop", "hold", "io1"])?;
    let wrong = minet_tests::run(a.command(&["iop", "quiesce", "io1"])).map(|said| said.stdout);
    assert!(wrong.is_err_and(|e| e.to_string().contains("it is not operational")));
    Ok(())
}
