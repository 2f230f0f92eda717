//! The two namespaces, and how each metric is taken.

use super::figures::{Metric, Way};
use minet_tests::{Config, Error, Iperf, Net, Netns, Node, Ping, Result, SOON, cable, eventually};
use std::{path::PathBuf, time::Duration};

/// Requests of a sparse ping and of a flood ping, for a second of measuring.
const SPARSE: u32 = 150;
const FLOOD: u32 = 5000;

/// Two namespaces joined by a veth pair.
pub struct Rig {
    left: Netns,
    right: Netns,
    net: Net,
}

impl Rig {
    /// Makes them.
    pub fn set(minet: PathBuf) -> Result<Self> {
        let net = Net::with_binary(minet)?;
        let (left, right) = (net.space("left")?, net.space("right")?);
        cable((&left, "u0", &["10.98.0.1/24"]), (&right, "u0", &["10.98.0.2/24"]))?;
        Ok(Self { left, right, net })
    }

    /// Takes every metric of a way.
    pub fn measure(&self, way: Way, seconds: u32, mut tell: impl FnMut(Metric, f64)) -> Result<()> {
        let nodes = self.nodes(way)?;
        let target = if way == Way::Veth { "10.98.0.2" } else { "10.77.0.2" };
        eventually(SOON, "an answer of the other side", || Ping::new(target, 1).run(&self.left).map(Some))?;
        for metric in Metric::ALL {
            if let Some(value) = self.take(metric, target, seconds, &nodes)? {
                tell(metric, value);
            }
        }
        Ok(())
    }

    fn take(&self, metric: Metric, target: &str, seconds: u32, nodes: &[Node]) -> Result<Option<f64>> {
        // The first second is not counted: connections have to grow.
        let tcp =
            |streams| Iperf::new(&self.right, target, seconds).streams(streams).with(&["-O", "1"]).run(&self.left);
        let ping = |count| Ping::new(target, count);
        Ok(Some(match metric {
            Metric::Tcp => tcp(1)?.gbits,
            Metric::Tcp4 => tcp(4)?.gbits,
            Metric::Small => {
                let report = Iperf::new(&self.right, target, seconds).udp(64, "0").run(&self.left)?;
                report.packets as f64 / report.seconds / 1000.0
            }
            Metric::Sparse => {
                let report = ping(SPARSE * seconds).every(Duration::from_millis(5)).run(&self.left)?;
                report.median().ok_or_else(|| Error::unexpected("ping told no times"))?
            }
            Metric::Flood => ping(FLOOD * seconds).with(&["-f", "-q"]).run(&self.left)?.avg,
            Metric::Cost if nodes.is_empty() => return Ok(None),
            Metric::Cost => {
                let before = spent(nodes)?;
                let report = Iperf::new(&self.right, target, seconds).run(&self.left)?;
                (spent(nodes)? - before) / (report.gbits * report.seconds / 8.0)
            }
        }))
    }

    fn nodes(&self, way: Way) -> Result<Vec<Node>> {
        let (a, b) = (Config::new("a", 1), Config::new("b", 2));
        let (a, b) = match way {
            Way::Veth => return Ok(Vec::new()),
            Way::Shm => (a, b),
            Way::ShmLarge => (a.mtu(65000), b.mtu(65000)),
            Way::Udp => (
                a.udp("10.98.0.1:7400", &["10.98.0.2:7400"]).without_shm(),
                b.udp("10.98.0.2:7400", &["10.98.0.1:7400"]).without_shm(),
            ),
        };
        let nodes = vec![Node::start(&self.net, &self.left, a)?, Node::start(&self.net, &self.right, b)?];
        nodes.iter().try_for_each(|node| node.wait_members(2, SOON))?;
        Ok(nodes)
    }
}

fn spent(nodes: &[Node]) -> Result<f64> {
    nodes.iter().map(|node| node.processor_seconds()).sum()
}
