//! More clients at the control socket than there is room for.

use crate::topology::mesh;
use minet_tests::{Error, Net, Node, Result, SOON, eventually};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

/// The daemon's own limit.
const CLIENTS: usize = 32;
/// More than that, one after the other.
const KNOCKS: usize = 300;

fn connect(node: &Node) -> Result<UnixStream> {
    let stream = UnixStream::connect(node.control()).map_err(Error::io("connect to the control socket"))?;
    stream.set_read_timeout(Some(SOON)).map_err(Error::io("limit reading"))?;
    Ok(stream)
}

/// Each is told the limit and what to do; the log has a line or two for all of them, the counters have every one; who is in is
/// answered all the time, and when one goes there is room again.
#[test]
fn who_finds_no_room_is_told_and_the_log_stays_short() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 1)?;
    let a = &nodes[0];
    let mut held = (0..CLIENTS).map(|_| connect(a)).collect::<Result<Vec<_>>>()?;
    for _ in 0..KNOCKS {
        let mut stream = connect(a)?;
        // It may be turned away before it asks.
        let _ = stream.write_all(b"{\"v\":1,\"ask\":\"status\"}\n");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(Error::io("read the answer"))?;
        let answer: Value = serde_json::from_str(&line).unwrap();
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{line}"));
        assert!(error.contains("32 clients") && error.contains("ask again"), "{error}");
    }
    let status = a.command(&["status"]).output().unwrap();
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(status.status.code() == Some(1) && said.starts_with("minet: ") && said.contains("32 clients"), "{said}");

    let mut inside = held.pop().unwrap();
    inside.write_all(b"{\"v\":1,\"ask\":\"stats\"}\n").map_err(Error::io("ask"))?;
    let mut line = String::new();
    BufReader::new(inside).read_line(&mut line).map_err(Error::io("read the answer"))?;
    let core = serde_json::from_str::<Value>(&line).unwrap()["core"].clone();
    assert_eq!((&core["control-clients"], &core["control-turned-away"]), (&CLIENTS.into(), &(KNOCKS + 1).into()));
    eventually(SOON, "room again", || a.ask(&["status"]).map(Some))?;

    let log = a.log()?;
    let lines = log.lines().filter(|line| line.contains("turned away")).count();
    assert!((1..=3).contains(&lines), "{lines} lines: {log}");
    Ok(())
}
