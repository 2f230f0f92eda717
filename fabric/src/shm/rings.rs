//! The rings of one peer, as one lane holds them.

use crate::{bell::Bell, sys::Mapping};
use fabric_ring::{Consumer, Producer};
use std::{fmt, sync::Arc};

/// What one lane holds of one peer: a ring to send on, rings to read, and the doorbells of their other ends. Dropping it
/// closes the rings.
pub struct Rings {
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Vec<Incoming>,
}

pub(crate) struct Outgoing {
    pub(crate) producer: Producer<Mapping>,
    pub(crate) bell: Arc<Bell>,
}

pub(crate) struct Incoming {
    pub(crate) consumer: Consumer<Mapping>,
    pub(crate) bell: Arc<Bell>,
    /// Something was handed out and not released.
    pub(crate) held: bool,
}

impl fmt::Debug for Rings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rings")
            .field("outgoing", &self.outgoing.producer)
            .field("incoming", &self.incoming.len())
            .finish()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.producer.close();
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.consumer.close();
    }
}
