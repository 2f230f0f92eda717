//! The five nodes.

use minet_tests::{Config, Error, Net, Netns, Node, Result, SOON, bridge, cable};
use std::{
    net::Ipv4Addr,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Name, host, and the nodes it calls over UDP. The id is the place in this list, from 1.
const NODES: [(&str, &str, &[u32]); 5] = [
    ("a", "host1", &[]),
    ("b", "host1", &[]),
    ("c", "host1", &[]),
    ("d", "host2", &[1, 2, 3]),
    ("e", "host2", &[1, 2]),
];

/// Namespaces, cables and nodes of the demonstration. Fields are dropped in this order: nodes first.
pub struct Stage {
    /// The nodes, `a` to `e`.
    pub nodes: Vec<Node>,
    /// How long it took until every node knew every other.
    pub joined: Duration,
    /// Where files are; dropped last.
    pub net: Net,
}

/// Two nodes of the stage, and how frames go between them.
pub struct Pair {
    /// From.
    pub from: usize,
    /// To.
    pub to: usize,
    /// In words.
    pub by: &'static str,
}

/// One pair of each kind.
pub const KINDS: [Pair; 3] = [
    Pair { from: 0, to: 1, by: "shared memory" },
    Pair { from: 0, to: 3, by: "UDP" },
    Pair { from: 2, to: 4, by: "relayed" },
];

impl Stage {
    /// Makes the namespaces and starts the nodes.
    pub fn set(minet: PathBuf) -> Result<Self> {
        let net = Net::with_binary(minet)?;
        let underlay = net.space("underlay")?;
        let mut spaces = Vec::new();
        let mut ports = Vec::new();
        for (id, (name, ..)) in (1..).zip(NODES) {
            let space = net.space(name)?;
            let port = format!("to-{name}");
            cable((&underlay, &port, &[]), (&space, "u0", &[&format!("{}/24", underlay_address(id))]))?;
            spaces.push(space);
            ports.push(port);
        }
        bridge(&underlay, "br0", &ports.iter().map(String::as_str).collect::<Vec<_>>())?;
        let begun = Instant::now();
        let mut nodes = Vec::new();
        for (space, id) in spaces.iter().zip(1..) {
            nodes.push(Node::launch(&net, space, config(&net, id, 1500))?);
        }
        let mut stage = Self { nodes, joined: Duration::ZERO, net };
        stage.wait_joined()?;
        stage.joined = begun.elapsed();
        Ok(stage)
    }

    /// Starts all nodes again, in the reverse order, and waits until they have joined.
    pub fn restart_reversed(&mut self, mtu: u16) -> Result<Duration> {
        let spaces: Vec<Netns> = self.nodes.iter().map(|node| node.space().clone()).collect();
        self.nodes.clear();
        let begun = Instant::now();
        for (id, space) in (1..).zip(&spaces).collect::<Vec<_>>().into_iter().rev() {
            self.nodes.push(Node::launch(&self.net, space, config(&self.net, id, mtu))?);
        }
        self.nodes.reverse();
        self.wait_joined()?;
        Ok(begun.elapsed())
    }

    /// Waits until every node knows every other.
    pub fn wait_joined(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.wait_ready()?;
        }
        self.nodes.iter().try_for_each(|node| node.wait_members(NODES.len(), SOON))
    }

    /// A node by its place.
    pub fn node(&self, place: usize) -> Result<&Node> {
        self.nodes.get(place).ok_or_else(|| Error::unexpected("a node of the stage is gone"))
    }

    /// Every ordered pair of different nodes.
    pub fn pairs(&self) -> impl Iterator<Item = (&Node, &Node)> {
        let others = move |from: usize| self.nodes.iter().enumerate().filter(move |(to, _)| *to != from);
        self.nodes.iter().enumerate().flat_map(move |(from, node)| others(from).map(move |(_, other)| (node, other)))
    }

    /// A line for each node's namespace.
    pub fn doors(&self) -> Vec<Door> {
        let door = |node: &Node| {
            let (space, config) = (node.space().name().to_owned(), node.config());
            Door {
                node: config.name.clone(),
                host: NODES.iter().find(|(name, ..)| *name == config.name).map_or("", |(_, host, _)| *host),
                ipv4: config.ipv4(),
                ipv6: config.ipv6(),
                line: format!("ip netns exec {space} bash"),
                space,
            }
        };
        self.nodes.iter().map(door).collect()
    }

    /// A line that asks a node for all members.
    pub fn question(&self) -> Option<String> {
        let node = self.nodes.first()?;
        let minet = self.net.minet().map_or_else(|_| "minet".to_owned(), |path| path.display().to_string());
        Some(format!("{minet} nodes --run-dir {} --name {}", node.run_dir().display(), node.name()))
    }
}

/// A node's namespace, and what a person types to be in it.
pub struct Door {
    /// The node.
    pub node: String,
    /// On which of the two hosts.
    pub host: &'static str,
    /// Its address on the fabric.
    pub ipv4: String,
    /// The same over IPv6.
    pub ipv6: String,
    /// The namespace.
    pub space: String,
    /// The line.
    pub line: String,
}

/// The row that says how long joining took.
pub fn members(stage: &mut Stage) -> Result<String> {
    stage.nodes.iter().try_for_each(|node| node.wait_members(NODES.len(), SOON))?;
    Ok(format!("5 of 5 up everywhere, {} ms after the first start", stage.joined.as_millis()))
}

/// The default IPv4 address of a node.
pub fn ipv4(node: &Node) -> Result<Ipv4Addr> {
    let address = node.config().ipv4();
    address.parse().map_err(|error| Error::unexpected(format!("address {address}: {error}")))
}

fn config(net: &Net, id: u32, mtu: u16) -> Config {
    let (name, host, calls) = NODES.get(id as usize - 1).copied().unwrap_or(("?", "?", &[]));
    let peers: Vec<String> = calls.iter().map(|id| format!("{}:7400", underlay_address(*id))).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let listen = format!("{}:7400", underlay_address(id));
    Config::new(name, id).udp(&listen, &peers).run_dir(net.dir().join(host)).mtu(mtu)
}

fn underlay_address(id: u32) -> String {
    format!("10.99.0.{id}")
}
