//! Paths that last: what is said of them.

use super::{To, plain};
use messenger_core::{Choice, PathState, PortId};
use serde::{Deserialize, Serialize};

/// A path of this guest. Send over it with [`To::Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path(pub u64);

/// What a path is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSpec {
    /// From which port of the guest; [`PortId::NODE`] for none. It closes with its port.
    #[serde(with = "plain::port")]
    pub from: PortId,
    /// Whom it means; no path.
    pub to: To,
    /// Which of them gets a message.
    #[serde(with = "plain::choice")]
    pub choice: Choice,
    /// It waits for a target to appear, now and whenever it lost the last one.
    pub hunt: bool,
    /// Those it means get messages of its own when it opens, is quiesced, enabled, reset and closes: see
    /// [`super::Head::control`].
    pub announced: bool,
}

impl PathSpec {
    /// A path from no port to the first of whom `to` means.
    pub fn to(to: To) -> PathSpec {
        PathSpec { from: PortId::NODE, to, choice: Choice::First, hunt: false, announced: false }
    }
}

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathCommand {
    /// It takes nothing new; what is under way finishes.
    Quiesce,
    /// It takes messages again.
    Enable,
    /// All that is under way is settled as reset, and the path is as if it were opened now.
    Reset,
    /// What is under way is settled as closed, then the path closes.
    Close,
    /// It takes nothing new, and closes when what is under way is settled.
    Finish,
    /// How it is.
    Ask,
}

/// How a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// Its state.
    #[serde(with = "plain::path_state")]
    pub state: PathState,
    /// Its number in messages of its own.
    pub number: u32,
    /// Ports that it means now; 1 where names do not decide.
    pub matches: u32,
    /// Tickets that are not settled.
    pub outstanding: u32,
    /// Sends that were taken.
    pub sends: u64,
    /// Messages, one a target.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Sends refused on the spot.
    pub refused: u64,
}
