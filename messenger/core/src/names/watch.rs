//! Watches: who wants to know of names that come and go.

use super::Pattern;
use crate::{
    NodeId, PortId, Time,
    delivery::Delivery,
    exchange::Exchange,
    status::{Code, Status},
    table::Key,
    wire::Entry,
};
use alloc::{sync::Arc, vec::Vec};

/// The handle of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u64);

/// What a watch saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The port's node.
    pub node: NodeId,
    /// The port.
    pub port: PortId,
    /// Its name, kind and properties.
    pub entry: Arc<Entry>,
    /// It came; otherwise it went.
    pub up: bool,
    /// It is the first one, or was the last one, that the pattern matches.
    pub edge: bool,
}

/// A watch.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pattern: Pattern,
    context: u64,
    matches: usize,
}

impl Exchange {
    /// Watches a pattern; whoever is there already is told at once. Refusals: [`Code::Exhausted`], [`Code::NotOpen`].
    pub fn open_watch(&mut self, now: Time, pattern: Pattern, context: u64) -> Result<WatchId, Status> {
        self.at(now)?;
        let there = self.book.matching(&pattern);
        let watch = Watch { pattern, context, matches: there.len() };
        let key = self.watches.insert(watch).ok_or(Status::new(Code::Exhausted))?;
        let watch = WatchId(key.to_u64());
        for (n, place) in there.into_iter().enumerate() {
            let Some(entry) = self.book.get(place).cloned() else { continue };
            let change = Change { node: place.0, port: place.1, entry, up: true, edge: n == 0 };
            self.tell(Delivery::Watch { watch, context, change });
        }
        Ok(watch)
    }

    /// Ends a watch. What it saw and was not told yet is still told. Refusal: [`Code::BadHandle`].
    pub fn close_watch(&mut self, now: Time, watch: WatchId) -> Result<(), Status> {
        self.at(now)?;
        self.watches.remove(Key::from_u64(watch.0)).map(|_| ()).ok_or(Status::new(Code::BadHandle))
    }

    /// Tells everybody who watches of a name that came or went.
    pub(super) fn tell_watches(&mut self, (node, port): (NodeId, PortId), entry: &Arc<Entry>, up: bool) {
        let mut told = Vec::new();
        for key in self.watches.keys() {
            let Some(watch) = self.watches.get_mut(key).filter(|w| w.pattern.matches(entry)) else { continue };
            watch.matches = if up { watch.matches + 1 } else { watch.matches.saturating_sub(1) };
            let edge = watch.matches == usize::from(up);
            let change = Change { node, port, entry: entry.clone(), up, edge };
            told.push(Delivery::Watch { watch: WatchId(key.to_u64()), context: watch.context, change });
        }
        for delivery in told {
            self.tell(delivery);
        }
    }
}
