//! What is done with ports.

use super::{HoldId, Life, Port, PortSpec};
use crate::{
    PathId, PortId, Time,
    delivery::{Ask, Delivery, Received},
    exchange::{Exchange, Timer, Told},
    limits::PROPERTIES,
    message::Answer,
    status::{Code, Status},
    stream::Outgoing,
    table::Key,
    wire::{Entry, Flags, Kind, Scope, SubHeader},
};
use alloc::{sync::Arc, vec::Vec};

/// Where a port is in the table: place 0 on the wire is the node itself.
pub(crate) fn key(port: PortId) -> Option<Key> {
    let index = port.index.checked_sub(1)?;
    Some(Key { index: u32::from(index), generation: u32::from(port.generation) })
}

impl Exchange {
    /// All ports, by place.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().map(|(_, port)| port)
    }

    /// One port.
    pub fn port(&self, port: PortId) -> Option<&Port> {
        self.ports.get(key(port)?)
    }

    pub(crate) fn port_mut(&mut self, port: PortId) -> Result<&mut Port, Status> {
        let bad = Status::new(Code::BadHandle);
        self.ports.get_mut(key(port).ok_or(bad)?).ok_or(bad)
    }

    /// Opens a port with a receiver. Refusals: [`Code::Exists`], [`Code::Invalid`] (more properties than
    /// [`PROPERTIES`]), [`Code::Exhausted`], [`Code::NotOpen`].
    pub fn open_port(&mut self, now: Time, spec: PortSpec) -> Result<PortId, Status> {
        self.at(now)?;
        if spec.properties.len() > PROPERTIES {
            return Err(Status::with(Code::Invalid, PROPERTIES));
        }
        if let Some(name) = &spec.name {
            let taken = self.book.on_node(self.me, name).is_some()
                || (spec.scope == Scope::Fabric && self.book.owner(name).is_some());
            if taken {
                return Err(Status::new(Code::Exists));
            }
        }
        let entry = spec.name.clone().map(|name| {
            let (kind, properties) = (spec.kind.clone(), spec.properties.clone());
            let claim = if spec.scope == Scope::Fabric { self.book.next_claim() } else { 0 };
            Arc::new(Entry { name, scope: spec.scope, claim, kind, properties })
        });
        let key = self.ports.insert(Port::new(spec)).ok_or(Status::new(Code::Exhausted))?;
        let id = PortId { index: key.index as u16 + 1, generation: key.generation as u16 };
        if let Some(port) = self.ports.get_mut(key) {
            port.id = id;
        }
        if let Some(entry) = entry {
            self.name_port((self.me, id), entry);
            self.wake_all();
        }
        Ok(id)
    }

    /// Takes over a port that has no receiver. Refusals: [`Code::BadHandle`], [`Code::Busy`].
    pub fn attach(&mut self, now: Time, id: PortId) -> Result<(), Status> {
        self.at(now)?;
        let port = self.port_mut(id)?;
        if port.attached {
            return Err(Status::new(Code::Busy));
        }
        port.attached = true;
        let (waiting, context) = (!port.is_empty(), port.spec.context);
        if let Some(until) = port.until.take() {
            self.timers.remove(&(until, Timer::Port(id)));
        }
        if waiting {
            self.announce_waiting(id, context);
        }
        Ok(())
    }

    /// Tells a new receiver what waits for it.
    fn announce_waiting(&mut self, id: PortId, context: u64) {
        let Ok(port) = self.port_mut(id) else { return };
        match port.spec.mode {
            super::Mode::Held => self.tell(Delivery::Ready { port: id, context }),
            super::Mode::Handler => {
                let waiting: usize = port.depth().iter().sum();
                self.told.extend((0..waiting).map(|_| Told::Port(id)));
            }
        }
    }

    /// The receiver leaves; what becomes of the port is its [`Life`]. Refusals: [`Code::BadHandle`], [`Code::NotOpen`] (has
    /// no receiver).
    pub fn detach(&mut self, now: Time, id: PortId) -> Result<(), Status> {
        self.at(now)?;
        let port = self.port_mut(id)?;
        if !port.attached {
            return Err(Status::new(Code::NotOpen));
        }
        port.attached = false;
        port.release_all();
        match port.spec.life {
            Life::Receiver => self.end_port(id),
            Life::Persistent => {}
            Life::Retained(time) => {
                let until = now + time;
                port.until = Some(until);
                self.timers.insert((until, Timer::Port(id)));
            }
        }
        Ok(())
    }

    /// Closes a port: its paths' tickets are settled, then its paths close, then it does. Messages that wait are
    /// dropped; who waits for an answer is told. Refusal: [`Code::BadHandle`].
    pub fn close_port(&mut self, now: Time, id: PortId) -> Result<(), Status> {
        self.at(now)?;
        self.port_mut(id)?;
        self.end_port(id);
        Ok(())
    }

    /// Lets a port take and send nothing new, and closes it when the tickets of its paths are settled. Refusal:
    /// [`Code::BadHandle`].
    pub fn finish_port(&mut self, now: Time, id: PortId) -> Result<(), Status> {
        self.at(now)?;
        let port = self.port_mut(id)?;
        port.closing = true;
        let paths: Vec<PathId> = port.paths.iter().copied().collect();
        for path in paths {
            self.finish_path(now, path)?;
        }
        self.end_port_if_done(id);
        Ok(())
    }

    pub(crate) fn end_port_if_done(&mut self, id: PortId) {
        if !self.closing && self.port(id).is_some_and(|p| p.closing && p.paths.is_empty()) {
            self.end_port(id);
        }
    }

    pub(crate) fn end_port(&mut self, id: PortId) {
        let Ok(port) = self.port_mut(id) else { return };
        port.closing = true;
        let paths: Vec<PathId> = port.paths.iter().copied().collect();
        for path in &paths {
            self.settle_path(*path, Status::new(Code::Closed));
        }
        for path in paths {
            self.end_path(path);
        }
        let Some(port) = key(id).and_then(|key| self.ports.remove(key)) else { return };
        if let Some(until) = port.until {
            self.timers.remove(&(until, Timer::Port(id)));
        }
        for (node, transaction, slot) in &port.asks {
            if let Some(peer) = self.peers.get_mut(node) {
                peer.asks.remove(&(*transaction, *slot));
            }
            let refusal = SubHeader { status: Code::PortClosed.number(), ..SubHeader::default() };
            self.refuse(*node, *transaction, *slot, id, refusal);
        }
        self.unname_port((self.me, id));
        self.counts.dropped += port.depth().iter().sum::<usize>() as u64;
        self.tell(Delivery::PortClosed { port: id, context: port.spec.context });
        self.wake_all();
    }

    /// Takes the first message of a port that is `wanted`, the most urgent area first. `Ok(None)`: there is none now.
    /// Refusal: [`Code::BadHandle`].
    pub fn receive(
        &mut self,
        now: Time,
        id: PortId,
        wanted: impl FnMut(&Received) -> bool,
    ) -> Result<Option<Received>, Status> {
        self.at(now)?;
        Ok(self.port_mut(id)?.take(wanted))
    }

    /// As [`Exchange::receive`], but the message's room stays taken until [`Exchange::release_held`], or until the receiver
    /// leaves. Refusal: [`Code::BadHandle`].
    pub fn receive_held(
        &mut self,
        now: Time,
        id: PortId,
        wanted: impl FnMut(&Received) -> bool,
    ) -> Result<Option<(Received, HoldId)>, Status> {
        self.at(now)?;
        Ok(self.port_mut(id)?.take_held(wanted))
    }

    /// Gives back the room of a message that was taken held. Refusal: [`Code::BadHandle`] (of the port, or released before).
    pub fn release_held(&mut self, now: Time, id: PortId, hold: HoldId) -> Result<(), Status> {
        self.at(now)?;
        if self.port_mut(id)?.release(hold) { Ok(()) } else { Err(Status::new(Code::BadHandle)) }
    }

    /// Answers a request; its slot is settled with the answer's status. Refusals: [`Code::BadHandle`] (the port is
    /// gone), [`Code::NotFound`] (answered before, or the asker is gone), [`Code::TooLarge`].
    pub fn respond(&mut self, now: Time, ask: &Ask, answer: Answer) -> Result<(), Status> {
        self.at(now)?;
        if answer.payload.len() > self.limits.message {
            return Err(Status::with(Code::TooLarge, self.limits.message));
        }
        let port = self.port_mut(ask.asked)?;
        if !port.asks.remove(&ask.key()) {
            return Err(Status::new(Code::NotFound));
        }
        if let Some(peer) = self.peers.get_mut(&ask.node) {
            peer.asks.remove(&(ask.transaction, ask.slot));
        }
        let sub = SubHeader {
            opcode: answer.opcode,
            status: answer.status.code.number(),
            detail: answer.status.detail,
            tag: answer.tag,
            origin: answer.origin,
            origin_id: answer.origin_id,
            ..SubHeader::default()
        };
        let outgoing = Outgoing {
            kind: Kind::Response,
            priority: ask.priority,
            wants: Flags::default(),
            from: ask.asked,
            to: ask.port,
            transaction: ask.transaction,
            slot: ask.slot,
            sub,
            again: None,
            payload: answer.payload,
        };
        self.dispatch(ask.node, outgoing);
        Ok(())
    }
}
