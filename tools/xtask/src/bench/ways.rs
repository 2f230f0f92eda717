//! Our own ways, and the veth pair beside them.

use super::{
    Subject,
    figures::{Metric, Way},
    rig::{Rig, Standing, UNDERLAY},
};
use minet_tests::{Config, Node, Result, SOON, Trust};

/// What a super-frame must be cut for: the link does not segment datagrams, but it gathers them.
const NO_SEGMENTATION: &[&str] =
    &["gso", "on", "tx-udp-segmentation", "off", "gro", "on", "rx-udp-gro-forwarding", "on"];

/// The nodes, left and right.
const NODES: [(&str, u32); 2] = [("a", 1), ("b", 2)];

/// With veth first, in the order they take turns.
pub fn all() -> Vec<Subject> {
    use Metric::{Both, Cost, Flood, Loaded, Sparse, Tcp, Tcp4};
    let some: &[Metric] = &[Tcp, Tcp4, Both, Sparse, Loaded, Flood, Cost];
    vec![
        Subject::new(Way::Veth, &Metric::ALL, |_| Ok(Standing::between(UNDERLAY))),
        Subject::new(Way::Shm, &Metric::ALL, |rig| stand(rig, |config| config)),
        Subject::new(Way::Udp, &Metric::ALL, |rig| stand(rig, over_udp)),
        Subject::new(Way::Sealed, &[Tcp, Tcp4, Sparse, Flood, Cost], |rig| sealed(rig, "aes-128-gcm")),
        Subject::new(Way::SealedChaCha, &[Tcp, Cost], |rig| sealed(rig, "chacha20-poly1305")),
        Subject::new(Way::ShmLarge, some, |rig| stand(rig, |config| config.mtu(65000))),
        Subject::new(Way::UdpSoft, &[Tcp, Cost], |rig| {
            without_segmentation(rig)?;
            stand(rig, over_udp)
        }),
        Subject::new(Way::Ether, &[Tcp, Sparse, Cost], |rig| stand(rig, over_ethernet)),
        Subject::new(Way::EtherJumbo, &[Tcp, Sparse, Cost], |rig| {
            let jumbo = ["link", "set", "u0", "mtu", "9000"];
            rig.ends().into_iter().try_for_each(|space| space.ip(&jumbo).map(drop))?;
            stand(rig, over_ethernet)
        }),
    ]
}

/// Takes the segmentation of datagrams from the underlay.
pub fn without_segmentation(rig: &Rig) -> Result<()> {
    rig.ends()
        .into_iter()
        .try_for_each(|space| space.run("ethtool", &[["-K", "u0"].as_slice(), NO_SEGMENTATION].concat()).map(drop))
}

/// Where a node listens.
fn at(id: u32) -> String {
    format!("10.98.0.{id}:7400")
}

fn over_udp(config: Config) -> Config {
    let (own, other) = (at(config.id), at(3 - config.id));
    config.udp(&own, &[&other]).without_shm()
}

fn over_ethernet(config: Config) -> Config {
    config.ether("u0").without_shm()
}

/// Over UDP with this cipher alone.
fn sealed(rig: &Rig, cipher: &str) -> Result<Standing> {
    let key_of = |name: &str| rig.file(&format!("{name}.key"));
    let mut members = Vec::new();
    for (space, (name, id)) in rig.ends().into_iter().zip(NODES) {
        let made = space.run(rig.net.minet()?, &["key", "new", &key_of(name).display().to_string()])?;
        members.push((name.to_owned(), id, made.stdout.trim().to_owned(), Some(at(id))));
    }
    stand(rig, |config| {
        let (key, listen) = (key_of(&config.name), at(config.id));
        let members = members.iter().filter(|(_, id, ..)| *id != config.id).cloned().collect();
        let (book, ciphers) = (key.with_extension("trust"), vec![cipher.to_owned()]);
        config.sealed(&listen, Trust { key, book, rekey: 120, ciphers, members })
    })
}

fn stand(rig: &Rig, with: impl Fn(Config) -> Config) -> Result<Standing> {
    let configs = NODES.map(|(name, id)| with(Config::new(name, id)));
    let starts = rig.ends().into_iter().zip(configs).map(|(space, config)| Node::start(&rig.net, space, config));
    let nodes = starts.collect::<Result<Vec<Node>>>()?;
    nodes.iter().try_for_each(|node| node.wait_members(2, SOON))?;
    Ok(Standing { nodes, ..Standing::between(["10.77.0.1", "10.77.0.2"]) })
}
