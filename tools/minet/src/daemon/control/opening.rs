//! Links begin here: with peers of this host, over UDP in clear text or sealed, and on media.

use super::{Control, PRIORITY, STRANGERS};
use crate::{
    daemon::{
        SHM, UDP,
        local::Met,
        sealing::Task,
        wires::{Wire, Wires},
    },
    lane::Command,
};
use fabric::{Address, Channel, Peer, shm, udp};
use messenger_core::{
    LinkId, LinkSpec, LinkState, Reason,
    wire::{Header, Kind, LinkBody, WireError},
};
use std::net::SocketAddr;

impl Control {
    pub(super) fn shm_link(&self) -> LinkSpec {
        let message = shm::MESSAGE_MOST.min(self.config.ring / 4) as u32;
        LinkSpec { carrier: "shm", priority: PRIORITY[SHM], message, expect: None, miss_limit: None, lasting: true }
    }

    /// Links up with local peers that were met.
    pub(super) fn meet(&mut self, met: impl IntoIterator<Item = Met>) {
        for Met { token, name, session } in met {
            let shm::Session { peer, rings, life, .. } = *session;
            let Some(channel) = self.wires.channel(SHM) else {
                log::error!("shm: more peers than this node can carry");
                continue;
            };
            let spec = self.shm_link();
            let mut wire = Wires::new_wire(SHM, channel, format!("{name}, process {}", peer.pid));
            wire.life = Some(token);
            self.local.keep(token, name, life);
            self.link(spec, wire, rings.into_iter().map(Peer::Shm).collect());
        }
    }

    /// Does what the gate has to do.
    pub(super) fn follow_sealing(&mut self) {
        let Some(mut sealing) = self.sealing.take() else { return };
        let now = self.clock.now();
        while let Some(task) = sealing.next_task(now, &self.lanes) {
            match task {
                Task::Link { session, member, address, lasting } => {
                    let Some(channel) = self.wires.channel(UDP) else {
                        log::error!("udp: more peers than this node can carry");
                        continue;
                    };
                    let most = udp::message_most(address).saturating_sub(fabric_seal::OVERHEAD);
                    let message = u32::try_from(most).unwrap_or(u32::MAX);
                    let expect = Some((member.node, member.name));
                    let spec = LinkSpec {
                        carrier: "udp",
                        priority: PRIORITY[UDP],
                        message,
                        expect,
                        miss_limit: None,
                        lasting,
                    };
                    let mut wire = Wires::new_wire(UDP, channel, format!("{address}{}", sealing.cipher(session)));
                    wire.socket = Some(address);
                    let peers = self.lanes.mailboxes.iter().map(|_| Peer::Address(address)).collect();
                    let link = self.link(spec, wire, peers);
                    sealing.linked(session, link, Channel(channel));
                }
                Task::Moved { channel, address } => self.wires.move_to(UDP, channel.0, address),
                Task::Close { link } => self.node.close_link(now, link, Reason::CarrierLost),
                Task::Message { link, bytes } => self.node.handle_message(now, link, &bytes),
            }
        }
        self.sealing = Some(sealing);
    }

    /// Links up with a UDP peer.
    pub(super) fn open_udp(&mut self, address: SocketAddr, lasting: bool) -> Option<LinkId> {
        let channel = self.wires.channel(UDP)?;
        let message = u32::try_from(udp::message_most(address)).unwrap_or(u32::MAX);
        let spec =
            LinkSpec { carrier: "udp", priority: PRIORITY[UDP], message, expect: None, miss_limit: None, lasting };
        let mut wire = Wires::new_wire(UDP, channel, address.to_string());
        (wire.socket, wire.origin) = (Some(address), Some(address.into()));
        let peers = self.lanes.mailboxes.iter().map(|_| Peer::Address(address)).collect();
        Some(self.link(spec, wire, peers))
    }

    /// Links up with a peer on a carrier that stands on a medium, while that is there.
    pub(super) fn open_on_medium(&mut self, carrier: usize, at: Address, lasting: bool) -> Option<LinkId> {
        let (kind, priority, message) = self.media.describe(carrier)?;
        let peer = || match at {
            Address::Ether(mac) => Some(Peer::Ether(mac)),
            Address::Line => Some(Peer::Line),
            _ => None,
        };
        let peers = self.lanes.mailboxes.iter().map(|_| peer()).collect::<Option<Vec<Peer>>>()?;
        let channel = self.wires.channel(carrier)?;
        let address = self.media.address(carrier, at);
        let mut wire = Wires::new_wire(carrier, channel, address);
        wire.origin = Some(at);
        let spec = LinkSpec { carrier: kind, priority, message, expect: None, miss_limit: None, lasting };
        Some(self.link(spec, wire, peers))
    }

    /// Opens the links that a medium which came is to have, and seeks peers where it is time to.
    pub(super) fn tend_media(&mut self) {
        for (carrier, at) in self.media.take_unopened() {
            if self.wires.of_origin(carrier, at).is_none() {
                self.open_on_medium(carrier, at, true);
            }
        }
        for (carrier, channel) in self.media.take_seeks() {
            let bytes = self.node.seek();
            if let Some(mailbox) = self.lanes.mailboxes.first() {
                mailbox.give(Command::Send { carrier, channel, bytes });
            }
        }
    }

    pub(super) fn link(&mut self, spec: LinkSpec, wire: Wire, peers: Vec<Peer>) -> LinkId {
        let link = self.node.open_link(self.clock.now(), spec);
        self.wires.attach(&self.lanes, link, wire, peers);
        self.dirty = true;
        link
    }

    /// A link for a stranger that greets, or seeks nodes of this fabric.
    pub(super) fn welcome(&mut self, carrier: usize, from: Address, bytes: &[u8]) -> Option<LinkId> {
        let greets = match Header::parse(bytes) {
            Ok(header) if header.kind == Kind::Link => match header.body(bytes).map(LinkBody::parse) {
                Ok(Ok(LinkBody::Hello(_))) => true,
                Ok(Ok(LinkBody::Seek { fabric })) => {
                    fabric == self.config.fabric && header.source_node().is_some_and(|n| n != self.node.id())
                }
                _ => false,
            },
            Ok(_) => false,
            // Another version's node is to be told so.
            Err(WireError::Version(_)) => bytes.len() >= Header::LEN && bytes.get(1) == Some(&0),
            Err(_) => false,
        };
        let greeting = |l: &&messenger_core::Link| l.state() == LinkState::Greeting && !l.spec().lasting;
        if !greets || self.node.links().filter(greeting).count() >= STRANGERS {
            return None;
        }
        match from {
            Address::Udp(from) => self.open_udp(from, false),
            // At a line there is one peer, and always the same end.
            from => self.open_on_medium(carrier, from, from == Address::Line),
        }
    }
}
