//! Links begin here: with peers of this host, over UDP in clear text or sealed, and on media.

use super::{Control, PRIORITY, STRANGERS};
use crate::{
    daemon::{
        SHM, UDP,
        local::Met,
        media::Seek,
        sealing::{Spot, Task},
        wires::{Wire, Wires},
    },
    lane::Command,
};
use fabric::{Address, Channel, Peer, shm, udp};
use messenger_core::{
    LinkId, LinkSpec, LinkState, Name, NodeId, Reason, Time,
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
                Task::Link { session, member, spot, lasting } => {
                    let expect = Some((member.node, member.name));
                    let linked = self.open_sealed(spot, &sealing.cipher(session), expect, lasting);
                    match linked {
                        Some((link, channel)) => sealing.linked(session, link, spot.carrier, channel),
                        None => sealing.close(session),
                    }
                }
                Task::Moved { channel, spot } => self.move_wire(channel, spot),
                Task::Close { link } => self.node.close_link(now, link, Reason::CarrierLost),
                Task::Message { link, bytes } => self.node.handle_message(now, link, &bytes),
            }
        }
        self.sealing = Some(sealing);
    }

    /// Links up with a peer that has keys for it.
    fn open_sealed(
        &mut self,
        Spot { carrier, at }: Spot,
        cipher: &str,
        expect: Option<(NodeId, Name)>,
        lasting: bool,
    ) -> Option<(LinkId, Channel)> {
        let (kind, priority, message, address) = match at {
            Address::Udp(address) => {
                let most = udp::message_most(address).saturating_sub(fabric_seal::OVERHEAD);
                ("udp", PRIORITY[UDP], u32::try_from(most).unwrap_or(u32::MAX), address.to_string())
            }
            at => {
                let (kind, priority, message) = self.media.describe(carrier)?;
                (kind, priority, message, self.media.address(carrier, at))
            }
        };
        let Some(number) = self.wires.channel(carrier) else {
            log::error!("{kind}: more peers than this node can carry");
            return None;
        };
        let spec = LinkSpec { carrier: kind, priority, message, expect, miss_limit: None, lasting };
        let mut wire = Wires::new_wire(carrier, number, format!("{address}{cipher}"));
        if let Address::Udp(address) = at {
            wire.socket = Some(address);
        }
        let peers = self.lanes.mailboxes.iter().map(|_| peer_at(at)).collect::<Option<Vec<Peer>>>()?;
        Some((self.link(spec, wire, peers), Channel(number)))
    }

    /// Notes for people that the peer of a sealed channel is somewhere else.
    pub(super) fn move_wire(&mut self, channel: Channel, spot: Spot) {
        match spot.at {
            Address::Udp(address) => self.wires.move_to(UDP, channel.0, address),
            at => self.wires.rename(spot.carrier, channel.0, self.media.address(spot.carrier, at)),
        }
    }

    /// What came from anybody over a sealed carrier: part of a handshake, or a word that seeks.
    pub(super) fn handle_stranger(&mut self, now: Time, from: Spot, bytes: Vec<u8>) {
        let Some(sealing) = &mut self.sealing else { return };
        if fabric_seal::kind_of(&bytes).is_some() {
            return sealing.handle_datagram(now, from, bytes);
        }
        let seeks = Header::parse(&bytes)
            .ok()
            .filter(|header| header.kind == Kind::Link && !matches!(from.at, Address::Udp(_)));
        let Some(header) = seeks else { return };
        if let Ok(Ok(LinkBody::Seek { fabric })) = header.body(&bytes).map(LinkBody::parse)
            && fabric == self.config.fabric
            && let Some(node) = header.source_node().filter(|node| *node != self.node.id())
        {
            sealing.sought(now, from, node);
        }
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
        let peers = self.lanes.mailboxes.iter().map(|_| peer_at(at)).collect::<Option<Vec<Peer>>>()?;
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
        for (carrier, seek) in self.media.take_seeks() {
            let bytes = self.node.seek();
            let command = match seek {
                Seek::All(channel) => Command::Send { carrier, channel, bytes },
                Seek::At(to) => Command::SendTo { carrier, to, bytes },
            };
            if let Some(mailbox) = self.lanes.mailboxes.first() {
                mailbox.give(command);
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

/// What a carrier is to hold of a peer there.
fn peer_at(at: Address) -> Option<Peer> {
    match at {
        Address::Udp(address) => Some(Peer::Address(address)),
        Address::Ether(mac) => Some(Peer::Ether(mac)),
        Address::Line => Some(Peer::Line),
        _ => None,
    }
}
