//! Nodes without a direct link.

use crate::topology::five;
use minet_tests::{Net, Ping, Result, SOON, eventually};

/// ```text
///   host 1: a === b === c      UDP: d-a d-b d-c, e-a e-b      host 2: d === e
/// ```
#[test]
fn another_relay_takes_over_when_one_dies() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = five(&net)?;
    let via = |nodes: &[minet_tests::Node]| -> Result<String> {
        let row = nodes[2].member("e")?;
        assert_eq!((&row["state"], row["hops"].as_u64()), (&"up".into(), Some(2)), "{row}");
        Ok(row["via"].as_str().unwrap().to_owned())
    };
    let e = nodes[4].config().ipv4();
    let first = via(&nodes)?;
    assert_eq!(Ping::new(&e, 5).one_by_one(nodes[2].space())?.received, 5);
    let relay = nodes.iter().position(|node| node.name() == first).unwrap();
    nodes[relay].kill();
    eventually(SOON, "e answering c again", || Ping::new(&e, 1).with(&["-W", "1"]).run(nodes[2].space()).map(Some))?;
    eventually(SOON, "another relay", || Ok((via(&nodes)? != first).then_some(())))?;
    nodes[relay].relaunch()?;
    nodes[relay].wait_ready()?;
    nodes.iter().try_for_each(|node| node.wait_members(5, SOON))
}
