//! The kernel's own.

use super::plug;
use crate::bench::rig::{Rig, Standing, UNDERLAY};
use minet_tests::{Result, bridge as bridge_of};

/// A bridge in the middle, a veth pair to each end.
pub fn bridge(rig: &Rig) -> Result<Standing> {
    for (space, end, port) in [(&rig.left, "e0", "p0"), (&rig.right, "e1", "p1")] {
        plug(rig, space, end, port)?;
    }
    bridge_of(&rig.middle, "br0", &["p0", "p1"])?;
    rig.configure(["e0", "e1"], None)?;
    Ok(Standing::carried_by(Vec::new()))
}

/// A tunnel over the underlay.
pub fn vxlan(rig: &Rig) -> Result<Standing> {
    let [left, right] = UNDERLAY;
    for (space, remote) in rig.ends().into_iter().zip([right, left]) {
        let over = ["remote", remote, "dev", "u0", "dstport", "4789"];
        space.ip(&[&["link", "add", "vx0", "type", "vxlan", "id", "42"], over.as_slice()].concat())?;
    }
    rig.configure(["vx0", "vx0"], None)?;
    Ok(Standing::carried_by(Vec::new()))
}
