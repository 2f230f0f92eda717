//! Two living nodes of one number, each let in by a part of the fabric that did not know the other.
//!
//! When the parts are joined, each meets the other's record. A record of an earlier life is met a few times at most: nobody
//! answers when this node writes a newer one. A living rival does, and then one of the two gives way, the same one
//! wherever that is decided: that with the lower incarnation, of equal ones that with the lower name. It closes its links,
//! stays away for a while, and greets again: the others refuse it while they know the rival, and let it in when it is gone.

use super::{Event, Node};
use crate::{
    Incarnation, LinkId, Name, Time,
    link::Reason,
    wire::{LinkBody, Record, Refusal},
};
use alloc::vec::Vec;
use core::time::Duration;

/// Another record of this node's number that comes so often is somebody's who lives. Leavings of one earlier life are
/// fewer: each time, this node's version is raised beyond what that life can have written.
const PROOF: u8 = 3;
/// Versions that one life does not use up.
const LEAP: u64 = 1 << 20;
/// How long who gave way stays away: at first, and after it happened again and again.
const AWAY_FIRST: Duration = Duration::from_secs(30);
const AWAY_LONGEST: Duration = Duration::from_secs(300);
/// How often it is told that another node has this node's number.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a node knows of others of its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Rivals {
    /// Whose record was overwritten last, and how often.
    met: Option<(Incarnation, u8)>,
    /// Who was told of last, and when.
    told: Option<(Name, Time)>,
    away: Option<Away>,
}

#[derive(Clone, Debug)]
struct Away {
    rival: Name,
    until: Time,
    wait: Duration,
}

impl Node {
    /// The living node that has this node's number and to which this node gave way: it has no link since.
    pub fn rival(&self) -> Option<&Name> {
        self.rivals.away.as_ref().map(|a| &a.rival).filter(|_| self.conduits.is_empty())
    }

    /// Until when it takes no part, if it gave way to another node of its number.
    pub(super) fn away_until(&self, now: Time) -> Option<Time> {
        self.rivals.away.as_ref().map(|a| a.until).filter(|until| *until > now)
    }

    /// Tells that another node has this one's number; of the same one once a minute.
    pub(super) fn tell_duplicate(&mut self, now: Time, name: &Name) {
        let told = self.rivals.told.as_ref();
        if told.is_none_or(|(who, at)| who != name || now.since(*at) >= TELL_EVERY) {
            self.rivals.told = Some((name.clone(), now));
            self.events.push_back(Event::DuplicateNode { name: name.clone() });
        }
    }

    /// A record of this node's number, newer than its own, that another life wrote: writes over it, or gives way.
    pub(super) fn handle_rival(&mut self, now: Time, record: &Record) {
        let before = self.rivals.met.filter(|(who, _)| *who == record.incarnation).map_or(0, |(_, times)| times);
        let times = before.saturating_add(1);
        self.rivals.met = Some((record.incarnation, times));
        if times >= PROOF {
            self.tell_duplicate(now, &record.name);
            if (self.me.incarnation.get(), &self.me.name) < (record.incarnation.get(), &record.name) {
                return self.give_way(now, &record.name);
            }
        }
        self.version = record.version.saturating_add(LEAP);
        self.rewrite_own_record(now);
    }

    fn give_way(&mut self, now: Time, rival: &Name) {
        let recent = self.rivals.away.as_ref().filter(|a| now.since(a.until) < AWAY_LONGEST);
        let wait = recent.map_or(AWAY_FIRST, |a| (a.wait * 2).min(AWAY_LONGEST));
        let until = now + wait;
        self.rivals.away = Some(Away { rival: rival.clone(), until, wait });
        self.rivals.met = None;
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for id in all {
            if let Some(link) = self.links.get_mut(&id).filter(|l| l.is_live()) {
                link.say(now, &self.me, &LinkBody::Bye, &mut self.out);
            }
            self.lose_link(now, id, Reason::Refused(Refusal::DuplicateNode));
            if let Some(link) = self.links.get_mut(&id) {
                link.wait_until(until);
            }
        }
    }
}
