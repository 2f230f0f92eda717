//! What happened of late, for people and programs that ask.

use crate::control::{EventReport, EventsReport};
use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

/// Events that are remembered.
const MOST: usize = 1024;

/// The latest events, numbered.
#[derive(Default)]
pub(super) struct Journal {
    events: VecDeque<EventReport>,
    next: u64,
}

impl Journal {
    /// Notes an event.
    pub(super) fn note(&mut self, kind: &'static str, link: Option<u32>, peer: Option<u32>, text: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        if self.events.len() >= MOST {
            self.events.pop_front();
        }
        self.events.push_back(EventReport { number: self.next, unix_ms: now, kind: kind.into(), link, peer, text });
        self.next += 1;
    }

    /// What is remembered of a node from an event on, the latest last.
    pub(super) fn of(&self, peer: u32, since: u64) -> EventsReport {
        let wanted = |event: &&EventReport| event.number >= since && event.peer == Some(peer);
        EventsReport { events: self.events.iter().filter(wanted).cloned().collect() }
    }

    /// The number that the next event will have.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// All that is remembered, the latest last.
    pub(super) fn report(&self) -> EventsReport {
        EventsReport { events: self.events.iter().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_numbers_go_on() {
        let mut journal = Journal::default();
        for n in 0..3000 {
            journal.note("test", None, None, n.to_string());
        }
        let events = journal.report().events;
        assert_eq!((events.len(), events[0].number, events[MOST - 1].number), (MOST, 3000 - MOST as u64, 2999));
        assert_eq!(events[MOST - 1].text, "2999");
    }
}
