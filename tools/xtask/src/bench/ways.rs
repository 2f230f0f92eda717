//! Our own ways, and the veth pair beside them.

use super::{
    Subject,
    figures::{Metric, Way},
    rig::{Rig, Standing, UNDERLAY},
};
use minet_tests::{Config, Node, Result, SOON};

/// What a super-frame must be cut for: the link does not segment datagrams, but it gathers them.
const NO_SEGMENTATION: &[&str] =
    &["gso", "on", "tx-udp-segmentation", "off", "gro", "on", "rx-udp-gro-forwarding", "on"];

/// With veth first, in the order they take turns.
pub fn all() -> Vec<Subject> {
    use Metric::{Both, Cost, Flood, Sparse, Tcp, Tcp4};
    let some: &[Metric] = &[Tcp, Tcp4, Both, Sparse, Flood, Cost];
    vec![
        Subject::new(Way::Veth, &Metric::ALL, |_| Ok(Standing::between(UNDERLAY))),
        Subject::new(Way::Shm, &Metric::ALL, |rig| stand(rig, |config| config)),
        Subject::new(Way::Udp, &Metric::ALL, |rig| stand(rig, over_udp)),
        Subject::new(Way::ShmLarge, some, |rig| stand(rig, |config| config.mtu(65000))),
        Subject::new(Way::UdpSoft, &[Tcp, Cost], |rig| {
            without_segmentation(rig)?;
            stand(rig, over_udp)
        }),
    ]
}

/// Takes the segmentation of datagrams from the underlay.
pub fn without_segmentation(rig: &Rig) -> Result<()> {
    rig.ends()
        .into_iter()
        .try_for_each(|space| space.run("ethtool", &[["-K", "u0"].as_slice(), NO_SEGMENTATION].concat()).map(drop))
}

fn over_udp(config: Config) -> Config {
    let at = |id: u32| format!("10.98.0.{id}:7400");
    let (own, other) = (at(config.id), at(3 - config.id));
    config.udp(&own, &[&other]).without_shm()
}

fn stand(rig: &Rig, with: impl Fn(Config) -> Config) -> Result<Standing> {
    let configs = [("a", 1), ("b", 2)].map(|(name, id)| with(Config::new(name, id)));
    let starts = rig.ends().into_iter().zip(configs).map(|(space, config)| Node::start(&rig.net, space, config));
    let nodes = starts.collect::<Result<Vec<Node>>>()?;
    nodes.iter().try_for_each(|node| node.wait_members(2, SOON))?;
    Ok(Standing { nodes, ..Standing::between(["10.77.0.1", "10.77.0.2"]) })
}
