//! What a user would pick instead, between the same two namespaces: one file a family, one table here.

mod kernel;
mod switches;
mod vpns;
mod wireguard;

use super::{
    Missing, Subject,
    figures::{Metric, Way},
    rig::{Rig, Standing},
};
use crate::packages::{self, Need, which};
use minet_tests::{Netns, Result};

/// One of them.
pub struct Peer {
    name: &'static str,
    /// Its programs and their packages; a program without a package cannot be installed here.
    needs: &'static [Need],
    stand: fn(&Rig) -> Result<Standing>,
}

/// In the order they take turns. Where a cipher can be left out, it is: ours is in clear text.
static PEERS: [Peer; 14] = [
    Peer { name: "Linux bridge", needs: &[], stand: kernel::bridge },
    Peer { name: "VXLAN", needs: &[], stand: kernel::vxlan },
    Peer { name: "vde", needs: VDE, stand: switches::vde },
    Peer { name: "Open vSwitch userspace", needs: OVS, stand: |rig| switches::open_vswitch(rig, false) },
    Peer { name: "Open vSwitch userspace, TSO", needs: OVS, stand: |rig| switches::open_vswitch(rig, true) },
    Peer { name: "tinc, no cipher", needs: TINC, stand: |rig| vpns::tinc(rig, false) },
    Peer { name: "tinc", needs: TINC, stand: |rig| vpns::tinc(rig, true) },
    Peer { name: "OpenVPN, no cipher", needs: OPENVPN, stand: |rig| vpns::openvpn(rig, false) },
    Peer { name: "OpenVPN", needs: OPENVPN, stand: |rig| vpns::openvpn(rig, true) },
    Peer { name: "n2n", needs: &[("edge", "n2n"), ("supernode", "n2n")], stand: vpns::n2n },
    Peer { name: "nebula", needs: &[("nebula", "nebula"), ("nebula-cert", "nebula")], stand: vpns::nebula },
    Peer { name: "vpncloud, no cipher", needs: &[("vpncloud", "vpncloud")], stand: vpns::vpncloud },
    Peer { name: "wireguard-go", needs: WIREGUARD_GO, stand: wireguard::wireguard_go },
    Peer { name: "boringtun", needs: BORINGTUN, stand: wireguard::boringtun },
];

const VDE: &[Need] = &[("vde_switch", "vde2"), ("vde_plug2tap", "vde2")];
const OVS: &[Need] = &[("ovs-vswitchd", "openvswitch-switch"), ("ovs-vsctl", "openvswitch-switch")];
const TINC: &[Need] = &[("tincd", "tinc"), ("openssl", "openssl")];
const OPENVPN: &[Need] = &[("openvpn", "openvpn"), ("openssl", "openssl")];
const WIREGUARD_GO: &[Need] = &[("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools")];
const BORINGTUN: &[Need] = &[("boringtun-cli", "boringtun-cli"), ("wg", "wireguard-tools")];

/// Throughput and both round trips.
const METRICS: &[Metric] = &[Metric::Tcp, Metric::Sparse, Metric::Flood, Metric::Cost];

/// Those that are there or can be installed, and why the others cannot.
pub fn subjects() -> (Vec<Subject>, Vec<Missing>) {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for peer in &PEERS {
        match packages::ensure(peer.needs) {
            Ok(()) => there.push(Subject::new(Way::Peer(peer.name), METRICS, peer.stand)),
            Err(error) => {
                eprintln!("{}: {error}", peer.name);
                missing.push((peer.name, reason(peer)));
            }
        }
    }
    (there, missing)
}

fn reason(peer: &Peer) -> String {
    let lacking = peer.needs.iter().filter(|(program, _)| which(program).is_none());
    let names: Vec<String> = lacking.map(|(program, _)| format!("`{program}`")).collect();
    format!("there is no {}, and no package of this system that could be installed has it", names.join(", "))
}

/// Joins a namespace to the one in the middle: `end` there, `port` here, up.
fn plug(rig: &Rig, space: &Netns, end: &str, port: &str) -> Result<()> {
    let middle = rig.middle.name();
    space.ip(&["link", "add", end, "type", "veth", "peer", "name", port, "netns", middle])?;
    rig.middle.ip(&["link", "set", port, "up"]).map(drop)
}
