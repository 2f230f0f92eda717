//! The scripts of `netns-scripts/` do what they say.

use minet_tests::{Error, Result, clean_leftovers, minet_binary, run_for};
use std::{fs, path::Path, process::Command, sync::Mutex, time::Duration};

/// The scripts use fixed names, so one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn script(name: &str) -> Result<()> {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    clean_leftovers()?;
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../netns-scripts").join(name));
    command.env("MINET", minet_binary()?);
    let said = run_for(command, Duration::from_secs(120))?.stdout;
    let mut pings = said.lines().filter(|line| line.contains("packet loss")).peekable();
    assert!(pings.peek().is_some() && pings.all(|line| line.contains(" 0% packet loss")), "{said}");
    let left = fs::read_dir("/run/netns").map_err(Error::io("read /run/netns"))?.flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with("mn-")).collect();
    assert!(left.is_empty(), "{name} left {left:?}");
    Ok(())
}

#[test]
fn two_over_shared_memory() -> Result<()> {
    script("two-shm.sh")
}

#[test]
fn two_over_udp() -> Result<()> {
    script("two-udp.sh")
}

#[test]
fn five_with_a_relay() -> Result<()> {
    script("five.sh")
}

#[test]
fn a_station_behind_a_bridge() -> Result<()> {
    script("bridge.sh")
}
