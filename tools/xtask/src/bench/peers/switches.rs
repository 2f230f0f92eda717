//! Switches that are programs.

use super::plug;
use crate::bench::rig::{Rig, Standing};
use minet_tests::{Error, Process, Result, SOON, eventually};
use std::{path::Path, process::Command};

/// A switch in the middle, a cable that is a program at each end.
pub fn vde(rig: &Rig) -> Result<Standing> {
    let socket = rig.file("vde");
    // It ends with its input; one that never says anything keeps it.
    let line = "exec sleep infinity | exec vde_switch -s \"$0\"";
    let switch = rig.spawn(&rig.middle, "sh", &[&"-c", &line, &socket.display()])?;
    wait_file(&socket.join("ctl"))?;
    let mut processes = vec![switch];
    for (space, interface) in rig.ends().into_iter().zip(["vd0", "vd1"]) {
        processes.push(rig.spawn(space, "vde_plug2tap", &[&"-s", &socket.display(), &interface])?);
    }
    rig.configure(["vd0", "vd1"], None)?;
    Ok(Standing::carried_by(processes))
}

/// The datapath that is a program, a veth pair to each end, with its own database.
pub fn open_vswitch(rig: &Rig, segmentation: bool) -> Result<Standing> {
    let dir = rig.net.subdir("ovs")?;
    let at = |name: &str| dir.join(name).display().to_string();
    let (database, socket) = (at("conf.db"), format!("unix:{}", at("db.sock")));
    let own = |mut command: Command| {
        for kind in ["RUN", "DB", "LOG"] {
            command.env(format!("OVS_{kind}DIR"), &dir);
        }
        command
    };
    rig.middle.run("ovsdb-tool", &["create", &database, "/usr/share/openvswitch/vswitch.ovsschema"])?;
    let remote = format!("--remote=p{socket}");
    let server = Process::spawn(own(rig.middle.command("ovsdb-server", &[&database, &remote])))?;
    wait_file(&dir.join("db.sock"))?;
    let db = format!("--db={socket}");
    let ask = |args: &[&str]| minet_tests::run(own(rig.middle.command("ovs-vsctl", &[&[db.as_str()], args].concat())));
    ask(&["--no-wait", "init"])?;
    if segmentation {
        ask(&["--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true"])?;
    }
    for (space, end, port) in [(&rig.left, "e0", "p0"), (&rig.right, "e1", "p1")] {
        plug(rig, space, end, port)?;
        if !segmentation {
            // It needs whole checksums then.
            space.run("ethtool", &["-K", end, "tx", "off"])?;
        }
    }
    let switch = Process::spawn(own(rig.middle.command("ovs-vswitchd", &[&socket])))?;
    ask(&["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"])?;
    ask(&["add-port", "br0", "p0", "--", "add-port", "br0", "p1"])?;
    rig.configure(["e0", "e1"], None)?;
    Ok(Standing::carried_by(vec![server, switch]))
}

fn wait_file(path: &Path) -> Result<()> {
    let there = || if path.exists() { Ok(Some(())) } else { Err(Error::unexpected("not yet")) };
    eventually(SOON, &path.display().to_string(), there)
}
