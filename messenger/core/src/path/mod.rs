//! Paths: a sender's end towards one port or a set of ports.
//!
//! Whom a path means is found anew at every send, and frozen then: the send's ticket has one slot for each target.
//!
//! | from \ event | a target appears | the last target goes | quiesce | enable | reset |
//! | --- | --- | --- | --- | --- | --- |
//! | Opening | Enabled | – | Quiesced | *nothing* | Opening |
//! | Enabled | *nothing* | Failed; one that hunts goes on to Opening | Quiesced | *nothing* | Enabled |
//! | Quiesced | *nothing* | *nothing* | *nothing* | Enabled, or Opening or Failed without a target | as enable |
//! | Failed | *nothing* | – | Quiesced | *nothing* | Enabled with a target |
//!
//! Reset settles every ticket of the path with [`crate::Code::Reset`] and may find a Failed path its way again. A path to a
//! port by number, to a list of nodes or to everywhere always has a target. Quiesced paths take nothing new; what is under way
//! finishes. A closed path is no more.

mod announce;
mod commands;
mod send;
mod target;

pub use announce::Control;
pub use send::Sent;
pub use target::{Choice, Target};

use crate::{PortId, table::Key};
use alloc::collections::BTreeSet;
use core::fmt;

/// The handle of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u64);

impl PathId {
    pub(crate) fn of(key: Key) -> PathId {
        PathId(key.to_u64())
    }

    /// What the tag of the path's own messages is: of no other open path of its node.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn key(self) -> Key {
        Key::from_u64(self.0)
    }
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key().index, self.key().generation)
    }
}

/// How a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathState {
    /// It waits for a target to appear.
    Opening,
    /// It takes messages.
    Enabled,
    /// It takes nothing new.
    Quiesced,
    /// It lost its last target.
    Failed,
}

/// What a path is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// The port it begins at; it closes with it. [`PortId::NODE`] for none.
    pub from: PortId,
    /// Whom it means.
    pub to: Target,
    /// Which of them gets a message.
    pub choice: Choice,
    /// It waits for a target to appear, now and whenever it lost the last one.
    pub hunt: bool,
    /// Those it means are told that it opens, is quiesced, enabled, reset and closes; see [`Control`].
    pub announced: bool,
    /// Told with everything that concerns the path; the client's own number.
    pub context: u64,
}

impl PathSpec {
    /// A path from no port to the first of whom `to` means.
    pub fn to(to: Target) -> PathSpec {
        PathSpec { from: PortId::NODE, to, choice: Choice::First, hunt: false, announced: false, context: 0 }
    }
}

/// What went over a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Sends that were taken.
    pub sends: u64,
    /// Messages, one a target.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Sends refused on the spot.
    pub refused: u64,
}

impl PathCounts {
    /// Adds what another path counted.
    pub fn add(&mut self, other: PathCounts) {
        self.sends += other.sends;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.refused += other.refused;
    }
}

/// A path.
#[derive(Clone, Debug)]
pub struct Path {
    pub(crate) spec: PathSpec,
    pub(crate) state: PathState,
    /// Takes nothing new and closes when its tickets are settled.
    pub(crate) closing: bool,
    /// Ports that it means now, where names decide.
    pub(crate) matches: usize,
    /// Who was told that it opened.
    pub(crate) known: BTreeSet<target::Known>,
    /// Whose turn it is.
    pub(crate) turn: usize,
    pub(crate) tickets: BTreeSet<u64>,
    pub(crate) counts: PathCounts,
}

impl Path {
    /// What it was made from.
    pub fn spec(&self) -> &PathSpec {
        &self.spec
    }

    /// How it is.
    pub fn state(&self) -> PathState {
        self.state
    }

    /// Ports that it means now; 1 where names do not decide.
    pub fn matches(&self) -> usize {
        self.matches
    }

    /// Tickets that are not settled.
    pub fn outstanding(&self) -> usize {
        self.tickets.len()
    }

    /// What went over it.
    pub fn counts(&self) -> PathCounts {
        self.counts
    }
}
