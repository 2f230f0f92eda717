//! What joins two stations.

use messenger_core::{LinkId, LinkSpec};

/// How its ends come to be links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both ends have the other configured: a link at each end that lasts.
    Configured,
    /// The first end has the other configured; the other opens a link when a stranger greets.
    Stranger,
    /// Shared memory: the end of a process is known at once, and ends the link.
    Local,
}

/// What a cable does to messages, in parts of a thousand and microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub loss: u32,
    pub duplicate: u32,
    /// A message takes up to so much longer than another: they overtake each other.
    pub jitter: u64,
}

#[derive(Clone, Debug)]
pub struct Cable {
    /// The stations at its ends.
    pub ends: [usize; 2],
    /// The links there, while there are.
    pub links: [Option<LinkId>; 2],
    pub kind: Kind,
    pub priority: u8,
    /// Largest message, in bytes.
    pub message: u32,
    pub cut: bool,
    /// Microseconds that every message takes.
    pub delay: u64,
    pub faults: Faults,
    /// Raised when the memory between two processes is made anew: what was in it is gone.
    pub generation: u32,
}

impl Cable {
    pub fn new(a: usize, b: usize) -> Cable {
        Cable {
            ends: [a, b],
            links: [None; 2],
            kind: Kind::Configured,
            priority: 30,
            message: 1472,
            cut: false,
            delay: 100,
            faults: Faults::default(),
            generation: 0,
        }
    }

    pub fn spec(&self, end: usize) -> LinkSpec {
        let lasting = self.kind != Kind::Stranger || end == 0;
        LinkSpec {
            carrier: "cable",
            priority: self.priority,
            message: self.message,
            expect: None,
            miss_limit: None,
            lasting,
        }
    }

    /// Which end a station is.
    pub fn end_of(&self, station: usize) -> Option<usize> {
        self.ends.iter().position(|s| *s == station)
    }
}
