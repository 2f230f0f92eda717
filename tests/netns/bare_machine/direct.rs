//! Bare machines that talk to each other without their host, which stands still meanwhile.

use super::{ask, board, swap::Rig, wait_life_of};
use iop_node::{board::PULSE_AT, ports::requests};
use messenger_core::Name;
use minet_tests::{Error, Node, Result, SOON, eventually};
use rustix::process::Signal;
use std::{fs::File, os::unix::fs::FileExt};

/// Echo requests by frames, and requests by messages, that a machine had answered: as they stand in its memory, whoever else runs.
struct Pulse(File);

impl Pulse {
    fn of(node: &Node, name: &str) -> Result<Self> {
        let pid = wait_life_of(node, name, 1)?["pid"].to_string();
        File::open(board(&pid)?).map(Pulse).map_err(Error::io("open the board"))
    }

    fn look(&self) -> Result<[u32; 2]> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, PULSE_AT as u64).map_err(Error::io("read the board"))?;
        Ok([0, 4].map(|at| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())))
    }

    /// Waits until both numbers are so much higher than now.
    fn rises(&self, by: u32, what: &str) -> Result<()> {
        let before = self.look()?;
        eventually(SOON, &format!("{what}: {by} more answers than {before:?}"), || {
            let now = self.look()?;
            let more = before.iter().zip(now).all(|(before, now)| now.wrapping_sub(*before) >= by);
            if more { Ok(Some(())) } else { Err(Error::unexpected(format!("{now:?}"))) }
        })
    }
}

/// Has a machine ask another one every few milliseconds, by echo requests in frames and by requests in messages.
fn probe(node: &Node, from: &str, to: &str) -> Result<()> {
    let request = requests::probe_request(&Name::new(to).unwrap(), u32::MAX, 5);
    let begun = || {
        let outcome = ask(node, &format!("iop/{from}/requests"), requests::PROBE, &request)?;
        Ok(outcome.status().is_good().then_some(()))
    };
    eventually(SOON, &format!("{from} probes {to}"), begun).map_err(|error| node.with_log(error.to_string()))
}

/// What the host passed on for others: frames, and messages of the core.
fn passed_on(node: &Node) -> Result<(u64, u64)> {
    let stats = node.ask(&["stats"])?;
    let relayed = stats["core"]["relayed"].as_u64();
    let relayed = relayed.ok_or_else(|| Error::unexpected(format!("no relayed in {stats}")))?;
    Ok((node.count("counters/relayed")?, relayed))
}

/// What `what` sees while the host's daemon stands still.
fn stopped<T>(node: &Node, what: impl FnOnce() -> Result<T>) -> Result<T> {
    node.signal(Signal::STOP);
    let seen = what();
    node.signal(Signal::CONT);
    seen
}

/// Two machines exchange frames and messages through memory of their own: none of that passes the host, and it goes on while the
/// host's daemon is stopped. A third one is inserted: the others learn of it, and talk to it in the same way. When the daemon goes
/// on, it finds all of them as they were.
///
/// Rows: IM-9, IM-12, MA-02, MN-6.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn bare_machines_talk_while_their_host_stands_still() -> Result<()> {
    talk_without_their_host(&Rig::machines(2)?)
}

pub fn talk_without_their_host(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let [first, second] = [Pulse::of(a, "io1")?, Pulse::of(a, "io2")?];
    probe(a, "io1", "io2")?;
    first.rises(20, "io1 of io2, the host is there").map_err(|error| a.with_log(error.to_string()))?;
    let before = passed_on(a)?;
    first.rises(100, "io1 of io2, the host is there")?;
    assert_eq!(passed_on(a)?, before, "the host sees nothing of it");
    // Longer than any heartbeat's patience: four times half a second.
    stopped(a, || (0..10).try_for_each(|_| first.rises(100, "io1 of io2, the host stands still")))?;
    a.wait_members(3, SOON)?;

    let table = wait_life_of(a, "io1", 1)?["table"].as_u64();
    rig.add("io3", "11")?;
    wait_life_of(a, "io3", 1)?;
    assert!(wait_life_of(a, "io1", 1)?["table"].as_u64() > table, "it was told of the new one");
    a.wait_members(4, SOON)?;
    probe(a, "io1", "io3")?;
    probe(a, "io2", "io3")?;
    stopped(a, || {
        first.rises(100, "io1 of io3, the host stands still")?;
        second.rises(100, "io2 of io3, the host stands still")
    })?;
    a.wait_members(4, SOON)?;
    for name in ["io1", "io2", "io3"] {
        assert_eq!(wait_life_of(a, name, 1)?["lives"], 1, "{name} was not reset");
    }
    Ok(())
}
