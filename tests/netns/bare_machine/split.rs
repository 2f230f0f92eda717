//! Messages to and from a bare machine, and a driver in two halves: the example `split_block`.

use super::{as_guest, ask, image, topology, wait_life};
use iop_node::ports::{disk, requests};
use messenger::{Code, Guest, Message, PortSpec, Status, To};
use minet_tests::{Config, Error, Net, Node, Process, Result, SOON, eventually, minet_binary};
use std::{ffi::OsString, path::PathBuf};

/// Enough that the back half dies before the end.
const ROUNDS: u32 = 300;

/// The example, built beside the test.
fn example() -> Result<PathBuf> {
    let minet = minet_binary()?;
    let near = minet.ancestors().skip(1).take(2).flat_map(|dir| ["examples", "../debug/examples"].map(|e| dir.join(e)));
    let found = near.map(|dir| dir.join("split_block")).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::unexpected("the example split_block is not built: `cargo build -p minet-tests --examples`")
    })
}

/// A half of the driver as a process of a node's host.
fn half(node: &Node, args: &[&str]) -> Result<Process> {
    let door = node.control().with_extension("guest").into_os_string();
    let words: Vec<OsString> = [door].into_iter().chain(args.iter().map(OsString::from)).collect();
    Process::spawn(node.space().command(example()?, &words))
}

fn wait_said(process: &Process, words: &str) -> Result<()> {
    eventually(SOON, words, || {
        let said = process.output()?;
        let seen = said.stdout.contains(words);
        if seen { Ok(Some(())) } else { Err(Error::unexpected(format!("{} {}", said.stdout, said.stderr))) }
    })
}

/// A front half goes on over the death of its back half, which `kill` brings about.
fn front_recovers(node: &Node, port: &str, kill: impl FnOnce() -> Result<()>) -> Result<()> {
    let front = half(node, &["front", port, &ROUNDS.to_string()])?;
    wait_said(&front, "round 20 verified")?;
    kill()?;
    let said = front.finish(SOON).map_err(|error| node.with_log(error.to_string()))?.stdout;
    assert!(said.contains("block 2048 is refused: a status this version does not know (2048)"), "{said}");
    assert!(said.contains("recovered in ") && said.contains(&format!("round {} verified", ROUNDS - 1)), "{said}");
    Ok(())
}

/// The front half of a block driver on a host, its back half on a bare machine: written, read, verified. The machine is killed,
/// and another time reset, under it; the front half goes on with the next life. From another host it works the same way.
///
/// Rows: MA-03.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_driver_is_split_between_a_host_and_a_bare_machine() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let [a, b] = topology(&net, &image)?;
    let pid = wait_life(&a, 1)?["pid"].to_string();
    front_recovers(&a, "iop/io1/disk", || a.space().run("kill", &["-KILL", &pid]).map(drop))?;
    wait_life(&a, 2)?;
    front_recovers(&b, "iop/io1/disk", || a.ask(&["iop", "reset", "io1"]).map(drop))?;
    wait_life(&a, 3).map(drop)
}

/// The same front half with a process as its back half, on another host: killed and started again, the front half goes on.
///
/// Rows: MA-03.
#[test]
fn a_driver_is_split_between_two_processes() -> Result<()> {
    let net = Net::new()?;
    let a = Node::start(&net, &net.space("a")?, Config::new("a", 1))?;
    let b = Node::start(&net, &net.space("b")?, Config::new("b", 2))?;
    a.wait_members(2, SOON)?;
    let mut back = half(&b, &["back", "disk0"])?;
    wait_said(&back, "serving disk0")?;
    let mut next = None;
    front_recovers(&a, "disk0", || {
        back.kill();
        next = Some(half(&b, &["back", "disk0"])?);
        Ok(())
    })
}

/// Confirmed messages go both ways between a bare machine and processes of two hosts, and requests are run there.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_bare_machine_confirms_messages_and_has_its_own_confirmed() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let nodes = topology(&net, &image)?;
    let port = "iop/io1/requests";
    for node in &nodes {
        let text = "x".repeat(100_000);
        let answered = ask(node, port, requests::ECHO, text.as_bytes())?;
        assert!(answered.answers[0].payload == text.as_bytes() && answered.slots[0].stored);
        let memory = ask(node, port, requests::MEMORY, b"")?.answers.remove(0).payload;
        let [used, all] = [0, 8].map(|at| u64::from_le_bytes(*memory[at..].first_chunk().unwrap()));
        assert!(0 < used && used < all && all < 16 << 20, "{used} of {all}");
        let status = ask(node, port, requests::STATUS, b"")?.answers.remove(0).payload;
        assert!(String::from_utf8_lossy(&status).contains("bare x86_64, no operating system"));
        // Around what one message of the link carries, and what a frame would.
        for len in [0, 1, 65_456, 65_457, 65_536, 65_544, 70_000, 73_600, 73_728, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let got = ask(node, port, requests::ECHO, &bytes)?.answers.remove(0).payload;
            assert!(got == bytes, "{len} bytes came back as {}", got.len());
        }
        assert_eq!(ask(node, port, 999, b"")?.status(), Status::new(Code::NotSupported));
        let long = disk::write_request(0, &[1; 129 * 512]);
        assert_eq!(ask(node, "iop/io1/disk", disk::WRITE, &long)?.status(), Status::with(Code::TooLarge, 65_536));

        // A hundred of each: to it, confirmed by it; and from it, confirmed to it.
        let ear = format!("ear-{}", node.name());
        as_guest(node, |guest| both_ways(guest, port, &ear));
    }
    Ok(())
}

fn both_ways(guest: &mut Guest, port: &str, ear: &str) {
    let heard = guest.open(&PortSpec::named(ear)).unwrap();
    let to = To::Name(port.into());
    for n in 0..100u32 {
        let sent = guest.send(&to, &Message::confirmed(n.to_le_bytes())).unwrap();
        let outcome = guest.settle(sent.ticket.unwrap(), Some(SOON)).unwrap().unwrap();
        assert!(outcome.slots[0].stored && outcome.status().is_good(), "{outcome:?}");
        let name = messenger_core::Name::new(ear).unwrap();
        let request = requests::say_request(&name, &n.to_le_bytes());
        let message = Message { opcode: requests::SAY, ..Message::new(request) };
        // Until the machine knows the new name.
        let done = eventually(SOON, "a message that is confirmed", || {
            let outcome = guest.call(&to, &message, SOON).unwrap();
            Ok(outcome.status().is_good().then_some(()))
        });
        done.unwrap();
        let message = guest.receive(heard, Some(SOON)).unwrap().unwrap();
        assert_eq!((message.head.node_name.as_str(), &message.payload[..]), ("io1", &n.to_le_bytes()[..]));
    }
}
