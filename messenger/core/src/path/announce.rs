//! What a path tells those at its other end, if it is to: that it opens, rests, goes on, is reset, closes.
//!
//! Each is a message of the path's own, without a payload, in one order with its other messages of [`Priority::Normal`]. Who is meant
//! later hears that the path opened before its first message. They are told once, and to those only who were told of the opening.

use super::PathId;
use crate::{
    PortId, Time,
    delivery::Received,
    exchange::Exchange,
    limits::MESSAGE_COST,
    message::Quality,
    path::{
        Choice,
        target::{Aim, Known},
    },
    status::{Code, Status},
    stream::Outgoing,
    wire::{Agent, Flags, Kind, Priority, SubHeader},
};
use alloc::vec::Vec;

/// What a path did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It was opened, or means this port from now on.
    Opened,
    /// It takes nothing new.
    Quiesced,
    /// It takes messages again.
    Enabled,
    /// What was under way is given up.
    Reset,
    /// It is no more.
    Closed,
}

/// The first of the opcodes.
const FIRST: u16 = 0xff00;

impl Control {
    const ALL: [Control; 5] = [Control::Opened, Control::Quiesced, Control::Enabled, Control::Reset, Control::Closed];

    /// The opcode of its message.
    pub const fn opcode(self) -> u16 {
        FIRST + self as u16
    }

    /// What a message of a path's own says; `None` for any other.
    pub fn of(origin: Agent, opcode: u16) -> Option<Control> {
        let number = opcode.checked_sub(FIRST).filter(|_| origin == Agent::Daemon)?;
        Control::ALL.get(usize::from(number)).copied()
    }
}

impl Received {
    /// What a path's own message says of its path, whose number is the tag.
    pub fn control(&self) -> Option<Control> {
        Control::of(self.origin, self.opcode)
    }
}

impl Exchange {
    /// Tells those a path means that it opened. Refusal, with nobody told: [`Code::WouldBlock`].
    pub(super) fn announce_opening(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        let Some(path) = self.path(id).filter(|path| path.spec.announced) else { return Ok(()) };
        let aims = self.aim(&path.spec.to, Choice::All, 0, Priority::Normal);
        let known = aims.iter().filter_map(|(node, port)| Some((*node, port.ok()?)));
        let all: Vec<Known> = known.collect();
        if all.iter().any(|one| !self.has_room_for_control(*one)) {
            self.close_path(now, id)?;
            return Err(Status::new(Code::WouldBlock));
        }
        self.introduce(id, &aims);
        Ok(())
    }

    /// Tells those whom a message goes to and who do not know of it yet that the path opened.
    pub(super) fn introduce(&mut self, id: PathId, aims: &[Aim]) {
        let Ok(path) = self.path_mut(id) else { return };
        if !path.spec.announced {
            return;
        }
        let meant = aims.iter().filter_map(|(node, port)| Some((*node, port.ok()?)));
        let new: Vec<Known> = meant.filter(|one| path.known.insert(*one)).collect();
        let from = path.spec.from;
        for one in new {
            self.tell_control(id, from, one, Control::Opened);
        }
    }

    /// Refuses what would be told while the way to one of them is full.
    pub(super) fn may_announce(&self, id: PathId) -> Result<(), Status> {
        let known = self.path(id).into_iter().flat_map(|path| &path.known);
        let full = known.into_iter().any(|one| !self.has_room_for_control(*one));
        if full { Err(Status::new(Code::WouldBlock)) } else { Ok(()) }
    }

    /// Tells all who know of a path what it does.
    pub(super) fn announce(&mut self, id: PathId, control: Control) {
        let Some(path) = self.path(id) else { return };
        let (from, known): (PortId, Vec<Known>) = (path.spec.from, path.known.iter().copied().collect());
        self.announce_to(id, from, known, control);
    }

    pub(super) fn announce_to(&mut self, id: PathId, from: PortId, known: Vec<Known>, control: Control) {
        for one in known {
            self.tell_control(id, from, one, control);
        }
    }

    fn has_room_for_control(&self, (node, _): Known) -> bool {
        // To one that is away nothing is sent, which takes no room.
        let waiting =
            self.peers.get(&node).filter(|peer| peer.up).map_or(0, |peer| peer.sender.waiting(Priority::Normal));
        waiting + MESSAGE_COST <= self.limits.queue
    }

    fn tell_control(&mut self, id: PathId, from: PortId, (node, to): Known, control: Control) {
        let message = Outgoing {
            kind: Kind::Message,
            priority: Priority::Normal,
            wants: Flags::default(),
            from,
            to,
            transaction: self.next_number(),
            slot: 0,
            sub: SubHeader {
                opcode: control.opcode(),
                origin: Agent::Daemon,
                tag: id.number(),
                ..SubHeader::default()
            },
            again: None,
            payload: crate::Payload::EMPTY,
        };
        self.launch(node, message, Quality::Reliable);
    }
}
