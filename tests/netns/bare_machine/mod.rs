//! An I/O processor without an operating system beside kernel nodes: it is a host like any other.
//!
//! Needs QEMU and the image (`cargo xtask iop`).

pub mod direct;
pub mod hostile;
mod line;
mod other_processor;
mod split;
pub mod swap;

use crate::iop::{iop, iop_named};
use messenger::{Guest, Message, Outcome, To};
use minet_tests::{Config, Error, Net, Node, Output, Ping, Result, SOON, eventually, minet_binary};
use serde_json::Value;
use std::{env, fs, os::unix::fs::FileExt, path::PathBuf, time::Duration};

const IP4: &str = "10.77.0.9";
const IP6: &str = "fd4d::9";

/// The image for a PC. Where it or QEMU cannot be had, `cargo xtask test` leaves these tests out.
fn image() -> Result<PathBuf> {
    image_for("x86_64", "qemu-system-x86")
}

/// The image for a processor; Debian's package has the machine.
fn image_for(processor: &str, package: &str) -> Result<PathBuf> {
    let near = minet_binary()?.ancestors().nth(2).map(|target| target.join("minet"));
    let all = env::var_os("MINET_TEST_IOP_IMAGES").map(PathBuf::from).or(near);
    let image = all.map(|dir| dir.join(format!("iop-{processor}"))).filter(|image| image.is_file());
    let image = image.ok_or_else(|| Error::unexpected("there is no image: `cargo xtask iop` builds it"))?;
    let paths = env::var_os("PATH").unwrap_or_default();
    let qemu = format!("qemu-system-{processor}");
    let there = env::split_paths(&paths).any(|dir| dir.join(&qemu).is_file());
    if there { Ok(image) } else { Err(Error::unexpected(format!("install {qemu} (Debian: {package})"))) }
}

/// Node `a`, its I/O processor `io1`, and node `b` on the same host.
///
/// ```text
///   b 10.77.0.2 === a 10.77.0.1 === io1 10.77.0.9
/// ```
fn topology(net: &Net, image: &std::path::Path) -> Result<[Node; 2]> {
    let a = Node::start(net, &net.space("a")?, Config::new("a", 1).iop("io1", 9, image))?;
    let b = Node::start(net, &net.space("b")?, Config::new("b", 2))?;
    a.wait_members(3, SOON)?;
    b.wait_members(3, SOON)?;
    Ok([a, b])
}

fn wait_life(node: &Node, life: u64) -> Result<Value> {
    wait_life_of(node, "io1", life)
}

pub fn wait_life_of(node: &Node, name: &str, life: u64) -> Result<Value> {
    eventually(SOON, &format!("life {life} of {name}, operational"), || {
        let iop = iop_named(node, name)?;
        let right = iop["lives"].as_u64() >= Some(life) && iop["state"] == "operational";
        if right { Ok(Some(iop)) } else { Err(Error::unexpected(iop.to_string())) }
    })
    .map_err(|error| node.with_log(error.to_string()))
}

/// Does something as a process of a node's host.
pub fn as_guest<T>(node: &Node, what: impl FnOnce(&mut Guest) -> T) -> T {
    what(&mut Guest::join_at(&node.control().with_extension("guest")).unwrap())
}

/// Asks a port, which may not be known yet, and waits for its answer.
pub fn ask(node: &Node, port: &str, opcode: u16, request: &[u8]) -> Result<Outcome> {
    let message = Message { opcode, ..Message::new(request) };
    as_guest(node, |guest| {
        eventually(SOON, &format!("an answer of {port}"), || {
            let called = guest.call(&To::Name(port.into()), &message, SOON);
            called.map(Some).map_err(|error| Error::unexpected(error.to_string()))
        })
    })
}

pub fn curl(node: &Node, url: &str) -> Result<Output> {
    node.space().run("curl", &["--silent", "--show-error", "--globoff", "--max-time", "10", url])
}

/// A bare machine answers `ping`, TCP, UDP and HTTP from its own node and, relayed, from another one.
/// Rows: CB-1, IM-3.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_bare_machine_is_a_host_like_any_other() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let nodes = topology(&net, &image)?;
    for node in &nodes {
        for ip in [IP4, IP6] {
            let report = Ping::new(ip, 20).every(Duration::from_millis(20)).run(node.space())?;
            assert_eq!(report.received, 20, "{report:?}");
        }
        // More than one segment, more than one frame; and longer than a frame for the echo request.
        assert_eq!(Ping::new(IP4, 3).size(1400).run(node.space())?.received, 3);
        for host in [IP4.to_owned(), format!("[{IP6}]")] {
            let page = curl(node, &format!("http://{host}/"))?.stdout;
            for part in ["node io1 (id 9) of fabric default", "no operating system", "member a", "member b"] {
                assert!(page.contains(part), "{part}: {page}");
            }
        }
        let text = "x".repeat(300_000);
        let sent = net.dir().join(format!("sent-{}", node.name()));
        fs::write(&sent, &text).map_err(Error::io("write a file"))?;
        let echo = format!("nc -N -w 10 {IP4} 7 < {}", sent.display());
        let back = node.space().run("sh", &["-c", &echo])?.stdout;
        assert!(back == text, "{} of {} bytes came back", back.len(), text.len());
        let echo = format!("echo hello | nc -u -W 1 -w 5 {IP4} 7");
        assert_eq!(node.space().run("sh", &["-c", &echo])?.stdout, "hello\n");
    }
    let [a, b] = &nodes;
    let beneath = a.ask(&["ping", "io1", "-c", "3"])?;
    assert_eq!(beneath["received"], 3, "{beneath}");
    assert_eq!(b.member("io1")?["via"], "a");
    Ok(())
}

/// What it runs on is killed: it comes back by itself, its address works again, others do not notice.
/// Rows: IM-7.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_killed_machine_comes_back_and_others_do_not_notice() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let [a, b] = topology(&net, &image)?;
    let others = Ping::new("10.77.0.2", 200).every(Duration::from_millis(10)).start(a.space())?;
    let pid = wait_life(&a, 1)?["pid"].to_string();
    a.space().run("kill", &["-KILL", &pid])?;
    let second = wait_life(&a, 2)?;
    assert_ne!(second["pid"].to_string(), pid);
    b.wait_members(3, SOON)?;
    assert_eq!(Ping::new(IP4, 5).run(b.space())?.received, 5);
    assert_eq!(others.finish(SOON)?.received, 200);
    assert!(curl(&a, &format!("http://{IP4}/"))?.stdout.contains("node io1"));
    Ok(())
}

/// One that is stopped, and so deaf while its process lives, is found by its silence and reset.
/// Rows: IM-5.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_deaf_machine_is_found_and_reset() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let [a, _b] = topology(&net, &image)?;
    let pid = wait_life(&a, 1)?["pid"].to_string();
    a.space().run("kill", &["-STOP", &pid])?;
    let second = wait_life(&a, 2)?;
    assert_ne!(second["pid"].to_string(), pid);
    // Its second life is a member again, and the other host too.
    a.wait_members(3, SOON)?;
    assert_eq!(Ping::new(IP4, 5).run(a.space())?.received, 5);
    Ok(())
}

/// The memory that a machine shares with its node, as the kernel shows it.
fn board(pid: &str) -> Result<PathBuf> {
    let dir = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&dir).map_err(Error::io(format!("read {dir}")))?;
    let is_board = |path: &PathBuf| {
        let shared = fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("minet-board"));
        let mut magic = [0; 8];
        let begins = |file: fs::File| file.read_exact_at(&mut magic, 0).is_ok() && &magic == b"MNETBORD";
        shared && fs::File::open(path).is_ok_and(begins)
    };
    let found = entries.flatten().map(|entry| entry.path()).find(is_board);
    found.ok_or_else(|| Error::unexpected(format!("{dir} has no board")))
}

/// One that writes garbage over its ring, header and all, is given up and reset; its node and others go on.
///
/// PROTOCOL 9.6.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn garbage_in_the_shared_memory_ends_one_life_and_nothing_else() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let [a, b] = topology(&net, &image)?;
    let board = board(&wait_life(&a, 1)?["pid"].to_string())?;
    let others = Ping::new("10.77.0.2", 200).every(Duration::from_millis(10)).start(a.space())?;
    let memory = fs::OpenOptions::new().write(true).open(&board).map_err(Error::io("open the board"))?;
    eventually(SOON, "a second life", || {
        memory.write_all_at(&[0xa5; 65_536], 4096).map_err(Error::io("write the board"))?;
        // It has the node look at the ring; there may be no answer.
        let _ = a.ask(&["ping", "io1", "-c", "1"]);
        Ok((iop(&a)?["lives"].as_u64() >= Some(2)).then_some(()))
    })
    .map_err(|error| a.with_log(error.to_string()))?;
    wait_life(&a, 2)?;
    b.wait_members(3, SOON)?;
    assert_eq!(Ping::new(IP4, 5).run(b.space())?.received, 5);
    assert_eq!(others.finish(SOON)?.received, 200);
    Ok(())
}

/// Commands hold it, boot it and reset it; it goes with its node, also when that is killed.
/// Rows: IM-4.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn commands_are_obeyed_and_nothing_is_left_behind() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let [mut a, b] = topology(&net, &image)?;
    let first = wait_life(&a, 1)?["pid"].clone();
    let held = a.ask(&["iop", "hold", "io1"])?;
    assert_eq!((&held["iops"][0]["state"], &held["iops"][0]["pid"]), (&"hold".into(), &Value::Null));
    b.wait_state("io1", "down", SOON)?;
    a.ask(&["iop", "boot", "io1"])?;
    let second = wait_life(&a, 2)?["pid"].clone();
    a.ask(&["iop", "reset", "io1"])?;
    let third = wait_life(&a, 3)?["pid"].clone();
    assert!(first != second && second != third);
    let wrong = minet_tests::run(a.command(&["iop", "boot", "nobody"])).map(|said| said.stdout);
    assert!(wrong.is_err_and(|e| e.to_string().contains("no I/O processor has the name `nobody`")));
    a.kill();
    let gone = || Ok((!PathBuf::from(format!("/proc/{third}")).exists()).then_some(()));
    eventually(SOON, "the machine's end", gone)
}
