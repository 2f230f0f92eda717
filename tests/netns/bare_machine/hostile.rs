//! Processors that do what they should not, from inside: their host drops, counts, resets, and goes on; others do not notice.

use super::{as_guest, ask, curl, swap::Rig, wait_life_of};
use iop_node::ports::requests;
use messenger::{Code, Message, Status, To};
use minet_tests::{Error, Ping, Result, SOON, eventually};
use std::time::Duration;

const GARBAGE: u8 = 3;
const BELLS: u8 = 4;
const BROADCASTS: u8 = 5;
const MUTE: u8 = 6;

/// Has `io1` fail in a way. It may be gone before its answer is.
fn fail(rig: &Rig, how: u8) -> Result<()> {
    let told = ask(&rig.node, "iop/io1/requests", requests::FAULT, &[how])?;
    let known = [Code::Good, Code::NodeDown, Code::TimedOut].contains(&told.status().code);
    if known { Ok(()) } else { Err(Error::unexpected(format!("{told:?}"))) }
}

/// `io2` answers every one of a hundred pings while something happens.
fn undisturbed(rig: &Rig, what: impl FnOnce() -> Result<()>) -> Result<()> {
    let pings = Ping::new("10.77.0.10", 100).every(Duration::from_millis(20)).start(rig.node.space())?;
    what()?;
    let report = pings.finish(SOON)?;
    assert_eq!(report.received, 100, "{report:?}");
    Ok(())
}

pub fn garbage_from_inside(rig: &Rig) -> Result<()> {
    for life in 2..5 {
        undisturbed(rig, || {
            fail(rig, GARBAGE)?;
            wait_life_of(&rig.node, "io1", life).map(drop)
        })?;
        rig.node.wait_members(3, SOON)?;
        assert!(curl(&rig.node, "http://10.77.0.9/")?.stdout.contains("node io1"));
        assert_eq!(ask(&rig.node, "iop/io1/requests", requests::ECHO, b"x")?.status(), Status::GOOD);
    }
    assert_eq!(wait_life_of(&rig.node, "io2", 1)?["lives"], 1);
    Ok(())
}

pub fn floods_do_no_harm(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    fail(rig, BELLS)?;
    undisturbed(rig, || {
        // Each is answered; the middle one is judged, since one may be late on a machine that others use.
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = std::time::Instant::now();
            a.ask(&["status"])?;
            times.push(begun.elapsed());
        }
        times.sort();
        assert!(times[10] < Duration::from_secs(1), "its host answers: {times:?}");
        Ok(())
    })?;
    a.ask(&["iop", "reset", "io1"])?;
    wait_life_of(a, "io1", 2)?;
    a.wait_members(3, SOON)?;

    fail(rig, BROADCASTS)?;
    eventually(SOON, "broadcasts above the limit", || {
        let dropped = a.count("drops/broadcast-limit")?;
        if dropped > 0 { Ok(Some(())) } else { Err(Error::unexpected(a.ask(&["stats"])?.to_string())) }
    })?;
    undisturbed(rig, || Ok(()))?;
    a.ask(&["iop", "reset", "io1"])?;
    wait_life_of(a, "io1", 3)?;
    a.wait_members(3, SOON)?;
    assert_eq!(Ping::new("10.77.0.9", 5).run(a.space())?.received, 5);
    Ok(())
}

pub fn deaf_at_messages(rig: &Rig) -> Result<()> {
    let a = &rig.node;
    let port = "iop/io1/requests";
    fail(rig, MUTE)?;
    let message = Message { opcode: requests::ECHO, ..Message::new("?") };
    let told = as_guest(a, |guest| guest.call(&To::Name(port.into()), &message, Duration::from_secs(1)));
    let told = told.map_err(|error| Error::unexpected(error.to_string()))?;
    assert_eq!(told.status().code, Code::TimedOut, "who asked is told");
    // As a node it lives: it is not taken for deaf, and answers what its stack answers.
    assert_eq!(Ping::new("10.77.0.9", 5).run(a.space())?.received, 5);
    assert_eq!(wait_life_of(a, "io1", 1)?["lives"], 1);
    a.ask(&["iop", "reset", "io1"])?;
    wait_life_of(a, "io1", 2)?;
    assert_eq!(ask(a, port, requests::ECHO, b"x")?.status(), Status::GOOD);
    Ok(())
}

/// A machine writes garbage over its rings, their headers and its own state, all the time: it is found and reset, and works again.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn garbage_from_inside_a_machine_ends_its_life_only() -> Result<()> {
    garbage_from_inside(&Rig::machines(2)?)
}

/// A machine rings its host without end, another time it broadcasts without end.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn floods_of_a_machine_do_no_harm() -> Result<()> {
    floods_do_no_harm(&Rig::machines(2)?)
}

/// A machine that lives and runs no requests.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_machine_that_answers_no_messages_keeps_nobody() -> Result<()> {
    deaf_at_messages(&Rig::machines(1)?)
}
