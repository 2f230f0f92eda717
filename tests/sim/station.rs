//! One node of the simulated fabric, with its interface.

use crate::cable::Cable;
use messenger_core::{
    Delivery, Event, Incarnation, LinkId, Name, Node, NodeConfig, NodeId, Policy, SegmentId, Time,
    wire::{Attachment, Flags},
};
use minet::{Hop, Member, Offloads, Reassembly, Switch, Table};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Largest Ethernet frame of every interface.
pub const FRAME: usize = 1514;

/// A frame that came out of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Got {
    /// Which one.
    pub tag: u64,
    /// How many nodes relayed it.
    pub relays: u8,
}

#[derive(Debug)]
pub struct Station {
    pub config: NodeConfig,
    pub node: Node,
    pub alive: bool,
    pub frozen: bool,
    /// Its clock is so far ahead of the world's.
    pub skew: Duration,
    pub switch: Switch,
    pub reassembly: Reassembly,
    /// What the core told, in the world's time.
    pub seen: Vec<(Time, Event)>,
    /// Where in it each life after the first began.
    pub lives: Vec<usize>,
    /// Frames that its interface got.
    pub got: Vec<Got>,
    /// What the core told clients, each message with the life of its sender as the core's record has it.
    pub told: Vec<(Delivery, Option<Incarnation>)>,
    /// Which links frames came and went on since the core was last told.
    pub traffic: BTreeMap<LinkId, (bool, bool)>,
    /// Its links' cables.
    pub ports: BTreeMap<LinkId, usize>,
    /// When its node wants to run again, in the world's time.
    pub due: Option<Time>,
    /// What came while it was frozen: end of cable, message.
    pub held: VecDeque<(usize, Vec<u8>)>,
    table: Option<Table>,
}

pub fn segment() -> SegmentId {
    SegmentId::from_name("lan")
}

impl Station {
    pub fn new(config: NodeConfig, skew: Duration, now: Time) -> Station {
        Station {
            node: node(&config, now + skew),
            config,
            alive: true,
            frozen: false,
            skew,
            switch: Switch::new(),
            reassembly: Reassembly::new(Reassembly::FRAMES, FRAME + 10),
            seen: Vec::new(),
            lives: Vec::new(),
            got: Vec::new(),
            told: Vec::new(),
            traffic: BTreeMap::new(),
            ports: BTreeMap::new(),
            due: None,
            held: VecDeque::new(),
            table: None,
        }
    }

    /// Another life with the present configuration.
    pub fn begin_anew(&mut self, now: Time) {
        let (seen, mut lives, due) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.lives), self.due);
        let policy = self.node.policy();
        lives.push(seen.len());
        *self = Station { seen, lives, due, ..Station::new(self.config.clone(), self.skew, now) };
        self.demand(now, policy);
    }

    /// What it demands of links, in this life and the next.
    pub fn demand(&mut self, now: Time, policy: Policy) {
        self.node.set_policy(now + self.skew, policy);
    }

    /// Runs: neither dead nor frozen.
    pub fn runs(&self) -> bool {
        self.alive && !self.frozen
    }

    pub fn id(&self) -> NodeId {
        self.config.node
    }

    /// What was published is not true any more.
    pub fn unpublish(&mut self) {
        self.table = None;
    }

    /// The forwarding table, as the daemon makes it from the same knowledge.
    pub fn table(&mut self, me: usize, cables: &[Cable]) -> Table {
        let node = &self.node;
        self.table.get_or_insert_with(|| publish(me, node, cables)).clone()
    }
}

fn node(config: &NodeConfig, now: Time) -> Node {
    let mut node = Node::new(config.clone(), now);
    let [_, _, a, b] = config.node.get().to_be_bytes();
    node.set_attachments(
        now,
        vec![Attachment {
            segment: segment(),
            name: Name::new("lan").unwrap(),
            frame: FRAME as u32,
            offloads: Offloads::ALL.bits(),
            v4: vec![[10, 77, a, b]],
            v6: vec![],
        }],
    );
    node
}

/// The channel of a hop is the cable.
fn publish(me: usize, node: &Node, cables: &[Cable]) -> Table {
    let cable = |link| cables.iter().position(|c| c.end_of(me).is_some_and(|end| c.links[end] == Some(link)));
    let mut table = Table::builder(node.id(), segment()).largest_frame(FRAME);
    for record in node.members().filter(|r| r.node != node.id()) {
        let Some(there) = record.attachments.iter().find(|a| a.segment == segment()) else { continue };
        let route = node.route(record.node);
        let way = route.and_then(|r| Some((cable(r.link)?, node.link(r.link)?.peer()?)));
        table = table.member(Member {
            node: record.node,
            via: route.map_or(record.node, |r| r.via),
            hop: way.map(|(cable, _)| Hop { carrier: 0, channel: cable as u32 }),
            message: way.map_or(0, |(_, peer)| peer.message as usize),
            slice: route.map_or(0, |r| r.message as usize),
            largest_frame: there.frame as usize,
            offloads: Offloads::from_bits(there.offloads),
        });
        for ip in &there.v4 {
            table = table.address((*ip).into(), record.node);
        }
    }
    table.build()
}

/// How many nodes relayed what arrives with these flags.
pub fn relays(flags: Flags) -> u8 {
    Flags::MAX_HOPS - flags.hops()
}
