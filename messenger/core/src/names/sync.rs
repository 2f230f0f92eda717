//! How names come and go: by this node's own ports, and by what others tell.

use super::book::Place;
use crate::{
    NodeId, Payload, PortId,
    delivery::Delivery,
    exchange::Exchange,
    limits::PROPERTIES,
    stream::Outgoing,
    wire::{Entry, Flags, Kind, Names, Priority, Scope, SubHeader},
};
use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

/// Names of one node: as many as it can have ports.
const NAMES: usize = 65_535;
/// So many tellings of names may be under way to one peer; meanwhile changes gather.
const UNDER_WAY: usize = 2;

impl Exchange {
    /// Every known name: node, port, entry; by node and port.
    pub fn names(&self) -> impl Iterator<Item = (NodeId, PortId, &Entry)> {
        self.book.iter().map(|((node, port), entry)| (node, port, &**entry))
    }

    /// Raised at each change of this node's own names.
    pub fn names_version(&self) -> u64 {
        self.book.version()
    }

    /// Writes a name down and follows up what that changes.
    pub(crate) fn name_port(&mut self, place: Place, entry: Arc<Entry>) {
        if self.book.get(place) == Some(&entry) {
            return;
        }
        self.unname_port(place);
        self.book.insert(place, entry.clone());
        self.tell_watches(place, &entry, true);
        self.follow_paths(&entry, true);
        if entry.scope == Scope::Fabric {
            self.yield_name(&entry);
        }
    }

    pub(crate) fn unname_port(&mut self, place: Place) {
        if let Some(entry) = self.book.remove(place) {
            self.tell_watches(place, &entry, false);
            self.follow_paths(&entry, false);
        }
    }

    /// Gives up this node's port's name if another one has the better claim.
    fn yield_name(&mut self, entry: &Entry) {
        let Some((owner, _)) = self.book.owner(&entry.name) else { return };
        let Some(mine) = self.book.on_node(self.me, &entry.name).filter(|_| owner != self.me) else { return };
        if self.book.get((self.me, mine)).is_none_or(|e| e.scope == Scope::Node) {
            return;
        }
        self.unname_port((self.me, mine));
        self.wake_all();
        if let Ok(port) = self.port_mut(mine) {
            port.nameless = true;
            let context = port.spec.context;
            self.tell(Delivery::NameLost { port: mine, context });
        }
    }

    /// Takes what a member tells of its names. False when it makes no sense.
    pub(crate) fn handle_names(&mut self, node: NodeId, payload: &Payload) -> bool {
        let Ok(names) = Names::parse(&payload.to_vec()) else { return false };
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        if !names.all && !peer.named {
            return true;
        }
        peer.named = true;
        if names.all && peer.gathered.len() < NAMES {
            peer.gathered.extend(names.changes.iter().map(|(port, _)| *port));
        }
        if names.all && !names.more {
            let there: BTreeSet<PortId> = core::mem::take(&mut peer.gathered);
            let gone: Vec<PortId> = self.book.of(node).map(|(port, _)| port).filter(|p| !there.contains(p)).collect();
            for port in gone {
                self.unname_port((node, port));
            }
        }
        for (port, entry) in names.changes {
            match entry {
                // More than a node can have is a lie.
                Some(e) if self.book.count(node) >= NAMES || e.properties.len() > PROPERTIES => {}
                Some(entry) => self.name_port((node, port), entry),
                None => self.unname_port((node, port)),
            }
        }
        true
    }

    /// Forgets a member's names.
    pub(crate) fn forget_names(&mut self, node: NodeId) {
        let gone: Vec<PortId> = self.book.of(node).map(|(port, _)| port).collect();
        for port in gone {
            self.unname_port((node, port));
        }
    }

    /// Tells a member what it does not know of this node's names yet, if not too much of that is under way.
    pub(crate) fn refresh_names(&mut self, node: NodeId) {
        let (version, me) = (self.book.version(), PortId::NODE);
        let Some(peer) = self.peers.get_mut(&node).filter(|p| p.up && p.told != Some(version)) else { return };
        // Who took the member for gone and has no names says so: the member learns by it that it was taken for gone.
        let nothing_to_say = version == 0 && peer.floor == 0;
        if nothing_to_say || peer.sender.names() >= UNDER_WAY {
            return;
        }
        for part in self.book.since(peer.told).parts(crate::limits::NAMES) {
            let mut body = Vec::new();
            part.emit(&mut body);
            peer.sender.push(Outgoing {
                kind: Kind::Message,
                priority: Priority::High,
                wants: Flags::default(),
                from: me,
                to: me,
                transaction: version,
                slot: 0,
                sub: SubHeader { opcode: Names::OPCODE, ..SubHeader::default() },
                again: None,
                payload: body.into(),
            });
        }
        peer.told = Some(version);
    }
}
