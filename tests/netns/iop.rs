//! The manager of I/O processors, where there is nothing for them to run.

use minet_tests::{Config, Error, Net, Node, Result, SOON};
use serde_json::Value;
use std::fs;

/// How the node's first I/O processor is.
pub fn iop(node: &Node) -> Result<Value> {
    let said = node.ask(&["iop", "list"])?;
    Ok(said["iops"][0].clone())
}

/// How one of the node's I/O processors is.
pub fn iop_named(node: &Node, name: &str) -> Result<Value> {
    let said = node.ask(&["iop", "list"])?;
    let row = said["iops"].as_array().into_iter().flatten().find(|iop| iop["name"] == name);
    row.cloned().ok_or_else(|| Error::unexpected(format!("no {name} in {said}")))
}

/// Without a usable image the node runs on, and says what is wrong.
#[test]
fn a_bad_image_is_told_and_the_node_runs_on() -> Result<()> {
    let net = Net::new()?;
    let image = net.dir().join("no-image");
    fs::write(&image, b"\x7fELF but not much of it").map_err(Error::io("write a file"))?;
    let a = Node::start(&net, &net.space("a")?, Config::new("a", 1).iop("io1", 9, &image))?;
    let said = iop(&a)?;
    assert!(said["last_words"].as_str().is_some_and(|w| w.contains("no 64-bit ELF program")), "{said}");
    assert!(["failed", "faulted"].contains(&said["state"].as_str().unwrap_or_default()), "{said}");
    a.wait_members(1, SOON)
}
