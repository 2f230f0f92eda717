//! Cables (veth pairs) and bridges between namespaces. Nothing of them appears outside.

use crate::{Netns, Result};

/// Joins two namespaces by a veth pair, both ends up. Each end is a namespace, an interface name and its addresses.
///
/// # Errors
/// The system refuses.
pub fn cable(left: (&Netns, &str, &[&str]), right: (&Netns, &str, &[&str])) -> Result<()> {
    let peer = ["type", "veth", "peer", "name", right.1, "netns", right.0.name()];
    left.0.ip(&[&["link", "add", left.1], peer.as_slice()].concat())?;
    for (space, name, addresses) in [left, right] {
        for address in addresses {
            // Without duplicate address detection an IPv6 address is usable at once.
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            space.ip(&[&["address", "add", *address, "dev", name], nodad].concat())?;
        }
        space.ip(&["link", "set", name, "up"])?;
    }
    Ok(())
}

/// Makes a bridge, up, with these interfaces as its ports.
///
/// # Errors
/// The system refuses.
pub fn bridge(space: &Netns, name: &str, ports: &[&str]) -> Result<()> {
    space.ip(&["link", "add", name, "type", "bridge"])?;
    for port in ports {
        space.ip(&["link", "set", port, "master", name])?;
    }
    space.ip(&["link", "set", name, "up"]).map(drop)
}
