//! A node: its links, conduits, routes and registry, as one state machine.
//!
//! Give it what happens (`handle_*`) and what is wanted (`open_link`, `ping`, …); then take what it has to say
//! ([`Node::poll_transmit`]), what changed ([`Node::poll_event`]) and when it wants to run again ([`Node::poll_timeout`]).
//!
//! A *conduit* is all links to one peer; the live link of the lowest priority number is active and carries its traffic.
//! A conduit stays on its link while no better one is live. Links that are bad are demoted: see [`crate::Policy`].

mod crowd;
mod drain;
mod event;
mod gossip;
mod greeting;
mod rival;
mod service;
mod transmit;
mod watch;

use crate::{
    Exchange, Incarnation, Limits, LinkId, Name, NodeId, Time,
    conduit::{Damping, Demotion, Policy},
    link::{Identity, Link, LinkSpec, LinkState, Outbox, Reason},
    registry::{Entry, Registry, VERSION_TOLD},
    route::{self, Route},
    wire::{Attachment, Header, Kind, LinkBody, Record},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::time::Duration;

pub use event::Event;
pub use service::Pong;

/// What a node is made from.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its number.
    pub node: NodeId,
    /// Its name, unique on the fabric.
    pub name: Name,
    /// Only nodes of one fabric link up.
    pub fabric: Name,
    /// Which life this is: another value at each start.
    pub incarnation: Incarnation,
    /// First version of its registry record: higher than any of an earlier life, best the time of day in nanoseconds.
    pub version: u64,
    /// Seed of the link sessions, different at each start.
    pub seed: u64,
    /// An idle link gives a sign of life this often.
    pub interval: Duration,
    /// A link is silent after so many of the peer's intervals.
    pub miss_limit: u32,
    /// It passes on what is meant for others.
    pub relay: bool,
    /// Largest Ethernet frame its interface takes, for the Hello.
    pub frame: u32,
    /// What need not be done for it, for the Hello.
    pub offloads: u32,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    me: Identity,
    relay: bool,
    /// It gets ready to leave.
    leaving: bool,
    links: BTreeMap<LinkId, Link>,
    next_link: u32,
    /// The active link of every conduit that is up.
    conduits: BTreeMap<NodeId, LinkId>,
    /// Conduits with more than one live link.
    choices: BTreeSet<NodeId>,
    policy: Policy,
    damping: Damping,
    /// The link that was lost last, and why.
    lost: Option<(LinkId, Reason)>,
    routes: BTreeMap<NodeId, Route>,
    registry: Registry,
    /// Records that came and were not taken up yet, the links they came on, and since when they wait.
    news: Vec<(LinkId, Entry)>,
    news_at: Option<Time>,
    attachments: Vec<Attachment>,
    version: u64,
    rivals: rival::Rivals,
    departed: VecDeque<Record>,
    out: Outbox,
    events: VecDeque<Event>,
    last_run: Time,
    seed: u64,
    pings: service::Pings,
    counts: Counts,
    exchange: Exchange,
}

/// Messages that came to nothing, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not a message of this wire format.
    pub malformed: u64,
    /// Of another major version.
    pub version: u64,
    /// Of a kind this build does not know.
    pub unknown_kind: u64,
    /// Not of the peer's present life.
    pub stale: u64,
    /// For a node nobody knows a way to.
    pub no_route: u64,
    /// Relayed too often.
    pub hop_limit: u64,
    /// For a port that is not there.
    pub no_port: u64,
    /// To be passed on, and larger than the next link takes.
    pub too_large: u64,
    /// Records of members for which there was no room.
    pub no_room: u64,
    /// Records of a version that only the member itself may have written, from elsewhere.
    pub high_version: u64,
    /// Said to come from a node that does not speak on the link it came on.
    pub forged: u64,
    /// Came while this node stays away, since another has its number.
    pub away: u64,
    /// Passed on.
    pub relayed: u64,
}

/// How many departed members are remembered for people to see.
const DEPARTED: usize = 64;

impl Node {
    /// A node without links, with the usual limits.
    pub fn new(config: NodeConfig, now: Time) -> Node {
        Node::with_limits(config, Limits::default(), now)
    }

    /// A node without links.
    pub fn with_limits(config: NodeConfig, limits: Limits, now: Time) -> Node {
        let exchange = Exchange::new(config.node, config.incarnation, limits, now);
        let me = Identity {
            node: config.node,
            name: config.name,
            fabric: config.fabric,
            incarnation: config.incarnation,
            interval: config.interval.max(Duration::from_millis(1)),
            miss_limit: config.miss_limit.max(1),
            frame: config.frame,
            offloads: config.offloads,
        };
        let mut node = Node {
            me,
            relay: config.relay,
            leaving: false,
            links: BTreeMap::new(),
            next_link: 1,
            conduits: BTreeMap::new(),
            choices: BTreeSet::new(),
            policy: Policy::PLAIN,
            damping: Damping::default(),
            lost: None,
            routes: BTreeMap::new(),
            registry: Registry::default(),
            news: Vec::new(),
            news_at: None,
            attachments: Vec::new(),
            version: config.version.min(VERSION_TOLD),
            rivals: rival::Rivals::default(),
            departed: VecDeque::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            last_run: now,
            seed: config.seed,
            pings: service::Pings::default(),
            counts: Counts::default(),
            exchange,
        };
        node.write_own_record(now);
        node
    }

    /// Its number.
    pub fn id(&self) -> NodeId {
        self.me.node
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.me.name
    }

    /// Which life this is.
    pub fn incarnation(&self) -> Incarnation {
        self.me.incarnation
    }

    /// All links, by number.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// One link.
    pub fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    /// The link that carries a peer's conduit, while it is up.
    pub fn active_link(&self, peer: NodeId) -> Option<LinkId> {
        self.conduits.get(&peer).copied()
    }

    /// The records of all members that can be reached, this node's own included, by number.
    pub fn members(&self) -> impl Iterator<Item = &Record> {
        self.registry.iter().map(|e| &e.record)
    }

    /// One member's record.
    pub fn member(&self, node: NodeId) -> Option<&Record> {
        self.registry.get(node).map(|e| &e.record)
    }

    /// Members that were here and cannot be reached now, the latest last.
    pub fn departed(&self) -> impl Iterator<Item = &Record> {
        self.departed.iter()
    }

    /// The way to a member.
    pub fn route(&self, node: NodeId) -> Option<Route> {
        self.routes.get(&node).copied()
    }

    /// What came to nothing.
    pub fn counts(&self) -> Counts {
        let traffic = self.exchange.traffic();
        let stale = self.links.values().map(Link::stale).sum::<u64>() + traffic.stale;
        Counts { stale, no_port: traffic.no_port, ..self.counts }
    }

    /// Its ports, paths, tickets and names.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The same, for commands; what follows from them is in [`Node::poll_transmit`].
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Opens a link; the carrier is ready for it.
    pub fn open_link(&mut self, now: Time, spec: LinkSpec) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1).max(1);
        let session = self.new_session();
        let mut link = Link::new(id, spec, session, now);
        if let Some(until) = self.away_until(now) {
            link.wait_until(until);
        }
        link.speak(now, &self.me, self.registry.digest(), &mut self.out);
        self.links.insert(id, link);
        id
    }

    /// Closes a link, for whatever reason: the carrier lost it, or it is not wanted. The peer is told if it can be.
    pub fn close_link(&mut self, now: Time, id: LinkId, reason: Reason) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.is_live() && reason != Reason::CarrierLost {
            link.say(now, &self.me, &LinkBody::Bye, &mut self.out);
        }
        self.end_link(now, id, reason);
    }

    /// Says that a link's carrier takes messages of at most `message` bytes from now on: its path became wider or
    /// narrower. The peer is told.
    pub fn set_link_message(&mut self, now: Time, id: LinkId, message: u32) {
        let Some(link) = self.links.get_mut(&id).filter(|l| l.spec().message != message) else { return };
        let resized = link.resize(now, message);
        link.speak(now, &self.me, self.registry.digest(), &mut self.out);
        if resized {
            self.tell_size(now, id);
        }
    }

    /// Follows up another size of a link.
    fn tell_size(&mut self, now: Time, id: LinkId) {
        if let Some(peer) = self.links.get(&id).and_then(Link::peer) {
            self.events.push_back(Event::LinkResized { link: id, peer: peer.node, message: peer.message });
        }
        self.find_routes();
        self.write_own_record(now);
    }

    /// Closes all links in order; what remains to be sent is in [`Node::poll_transmit`].
    pub fn shut_down(&mut self, now: Time) {
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for id in all {
            self.close_link(now, id, Reason::Closed);
        }
    }

    /// Says what this node's interfaces are.
    pub fn set_attachments(&mut self, now: Time, attachments: Vec<Attachment>) {
        if attachments != self.attachments {
            self.attachments = attachments;
            self.write_own_record(now);
        }
    }

    /// Tells that a link carried traffic beside the core's own messages since this was last told.
    pub fn handle_traffic(&mut self, now: Time, id: LinkId, heard: bool, sent: bool) {
        if let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live()) {
            if heard || sent {
                link.carried = Some(now);
            }
            if heard {
                link.heard(now);
            }
            if sent {
                link.sent(now);
            }
        }
    }

    /// Takes a message that came in on a link; frames are the data link's and do not come here.
    pub fn handle_message(&mut self, now: Time, id: LinkId, message: &[u8]) {
        if self.away_until(now).is_some() {
            self.counts.away += 1;
            return;
        }
        let header = match Header::parse(message) {
            Ok(header) => header,
            Err(crate::wire::WireError::Version(_)) => {
                self.counts.version += 1;
                return self.refuse_version(now, id);
            }
            Err(_) => {
                self.counts.malformed += 1;
                return;
            }
        };
        let (Ok(body), Some(source)) = (header.body(message), header.source_node()) else {
            self.counts.malformed += 1;
            return;
        };
        match header.kind {
            Kind::Link => match LinkBody::parse(body) {
                Ok(body) => self.handle_link_body(now, id, source, header.port, &body),
                Err(_) => self.counts.malformed += 1,
            },
            Kind::Message | Kind::Receipt | Kind::Response | Kind::Ack => {
                let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live()) else {
                    self.counts.malformed += 1;
                    return;
                };
                link.heard(now);
                let peer = link.peer().map(|p| p.node);
                if peer.is_none_or(|peer| self.may_speak_for(peer, source)) {
                    self.handle_or_relay(now, header, message);
                } else {
                    self.counts.forged += 1;
                }
            }
            Kind::Frame | Kind::Other(_) => self.counts.unknown_kind += 1,
        }
    }

    fn handle_link_body(&mut self, now: Time, id: LinkId, source: NodeId, session: u32, body: &LinkBody<'_>) {
        if !matches!(body, LinkBody::Announce(_)) {
            self.settle(now);
        }
        if let LinkBody::Hello(hello) = body {
            return self.handle_hello(now, id, source, session, hello);
        }
        if let LinkBody::Seek { .. } = body {
            // Whom it is for has a link by now, which greets.
            return;
        }
        if let LinkBody::Refuse { why, .. } = body {
            return self.handle_refusal(now, id, source, *why);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.is_present(session) || !link.is_live() {
            return;
        }
        link.heard(now);
        match body {
            LinkBody::Heartbeat(beat) => self.handle_heartbeat(now, id, beat),
            LinkBody::Bye => self.lose_link(now, id, Reason::PeerLeft),
            LinkBody::Announce(part) => self.handle_announce(now, id, part),
            LinkBody::Quiesce => self.quiesce_link(now, id, true),
            LinkBody::Enable => self.quiesce_link(now, id, false),
            LinkBody::Hello(_) | LinkBody::Refuse { .. } | LinkBody::Seek { .. } | LinkBody::Other(_) => {
                self.counts.unknown_kind += 1
            }
        }
    }

    fn quiesce_link(&mut self, now: Time, id: LinkId, on: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            link.quiesce(now, on);
        }
        self.choose_links(now);
    }

    /// Runs what is due. Tell of traffic ([`Node::handle_traffic`]) before.
    pub fn handle_timeout(&mut self, now: Time) {
        if now.since(self.last_run) > self.me.interval * 2 {
            // This node slept; what it did not hear meanwhile says nothing about the peers.
            for link in self.links.values_mut() {
                link.forgive(now, &self.me);
            }
        }
        self.last_run = now;
        self.settle(now);
        self.overwrite_if_due(now);
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get_mut(&id) else { continue };
            if link.is_silent(now, &self.me) {
                self.lose_link(now, id, Reason::Silent);
            } else if link.is_forgotten(now) {
                let reason = link.reason();
                self.end_link(now, id, reason);
            }
            let digest = self.registry.digest();
            if let Some(link) = self.links.get_mut(&id) {
                link.speak(now, &self.me, digest, &mut self.out);
                if link.take_size(now, self.me.interval) {
                    self.tell_size(now, id);
                }
            }
            self.compare_registry(now, id);
        }
        self.watch_links(now);
        self.exchange.handle_timeout(now);
    }

    /// When [`Node::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        let links = self.links.values().filter_map(|l| l.timeout(&self.me)).min();
        let own = [self.news_at, self.rivals.overwrite_at(), self.exchange.poll_timeout()];
        own.into_iter().chain([links]).flatten().min()
    }

    /// The next thing that changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A link that lasts begins anew, another one ends.
    fn lose_link(&mut self, now: Time, id: LinkId, reason: Reason) {
        let session = self.new_session();
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.spec().lasting {
            return self.end_link(now, id, reason);
        }
        let peer = link.peer().map(|p| p.node).filter(|_| link.is_live());
        self.lost = Some((id, reason));
        self.punish(now, id, reason);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.restart(now, session, reason);
        self.registry.forget_link(id);
        if let Some(peer) = peer {
            self.events.push_back(Event::LinkDown { link: id, peer, reason });
        }
        self.choose_links(now);
    }

    fn end_link(&mut self, now: Time, id: LinkId, reason: Reason) {
        self.lost = Some((id, reason));
        self.punish(now, id, reason);
        let Some(mut link) = self.links.remove(&id) else { return };
        if let Some(peer) = link.peer().map(|p| p.node).filter(|_| link.is_live()) {
            self.events.push_back(Event::LinkDown { link: id, peer, reason });
        }
        link.close(now, reason);
        self.registry.forget_link(id);
        self.events.push_back(Event::LinkClosed { link: id, reason });
        self.choose_links(now);
    }

    /// Chooses every conduit's active link anew and follows up what that changes.
    fn choose_links(&mut self, now: Time) {
        let lost = self.lost.take();
        self.choices.clear();
        let mut best: BTreeMap<NodeId, &Link> = BTreeMap::new();
        for link in self.links.values().filter(|l| l.is_live()) {
            let Some(peer) = link.peer().map(|p| p.node) else { continue };
            let current = self.conduits.get(&peer).copied();
            let rank = |l: &Link| {
                let demoted = l.demotion().map_or(0, Demotion::rank);
                (l.state() == LinkState::Quiesced, demoted, l.spec().priority, Some(l.id()) != current, l.id())
            };
            let slot = best.entry(peer).or_insert(link);
            if slot.id() != link.id() {
                self.choices.insert(peer);
            }
            if rank(link) < rank(slot) {
                *slot = link;
            }
        }
        let chosen: BTreeMap<NodeId, LinkId> = best.into_iter().map(|(peer, link)| (peer, link.id())).collect();
        if chosen == self.conduits {
            return;
        }
        self.forget_asides();
        let old = core::mem::replace(&mut self.conduits, chosen);
        let peers: BTreeSet<NodeId> = old.keys().chain(self.conduits.keys()).copied().collect();
        for peer in peers {
            let (from, to) = (old.get(&peer).copied(), self.conduits.get(&peer).copied());
            if from != to {
                let why = self.cause(from, lost);
                self.events.push_back(Event::Switched { peer, from, to, why });
            }
        }
        self.find_routes();
        self.write_own_record(now);
    }

    /// The active links of all conduits, and their largest messages.
    fn neighbours(&self) -> BTreeMap<NodeId, (LinkId, u32)> {
        let message = |link| self.links.get(link).and_then(Link::peer).map_or(u32::MAX, |p| p.message);
        self.conduits.iter().map(|(node, link)| (*node, (*link, message(link)))).collect()
    }

    /// Finds all ways anew, and lets go of members to whom there is none.
    fn find_routes(&mut self) {
        self.find_routes_with(&BTreeSet::new());
    }

    /// As [`Node::find_routes`]; the records of newcomers, whom nobody was told of yet, go without a word.
    fn find_routes_with(&mut self, newcomers: &BTreeSet<NodeId>) {
        self.routes = route::routes(self.me.node, &self.neighbours(), &self.registry);
        self.exchange.wake_all();
        let lost: Vec<NodeId> = self
            .registry
            .iter()
            .map(|e| e.record.node)
            .filter(|n| *n != self.me.node && !self.routes.contains_key(n))
            .collect();
        if lost.iter().any(|n| !newcomers.contains(n)) {
            self.forget_asides();
        }
        for node in lost {
            self.let_go(node, newcomers.contains(&node));
        }
    }

    /// Keeps a member's record no longer; of a newcomer nobody was told yet.
    fn let_go(&mut self, node: NodeId, newcomer: bool) {
        if let Some(Entry { record, .. }) = self.registry.remove(node).filter(|_| !newcomer) {
            self.departed.retain(|d| d.node != node);
            if self.departed.len() >= DEPARTED {
                self.departed.pop_front();
            }
            self.departed.push_back(record);
            self.events.push_back(Event::MemberDown(node));
            self.exchange.handle_departure(self.last_run, node);
        }
    }

    /// A session number that this node has not used: SplitMix64 over the seed.
    fn new_session(&mut self) -> u32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) as u32).max(1)
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod rules;
#[cfg(test)]
pub(crate) mod tests;
