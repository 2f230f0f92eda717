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
    registry::{LEAP, VERSION_TOLD},
    wire::{LinkBody, Record, Refusal},
};
use alloc::vec::Vec;
use core::time::Duration;

/// Another record of this node's number that comes so often is somebody's who lives. Leavings of one earlier life are
/// fewer: each time, this node's version is raised beyond what that life can have written.
const PROOF: u8 = 3;
/// How many lives, and names, are remembered.
const LIVES: usize = 4;
/// A node writes over records of its number so often at the most.
const OVERWRITE_EVERY: Duration = Duration::from_millis(100);
/// How long who gave way stays away: at first, and after it happened again and again.
const AWAY_FIRST: Duration = Duration::from_secs(30);
const AWAY_LONGEST: Duration = Duration::from_secs(300);
/// How often it is told that another node has this node's number.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a node knows of others of its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Rivals {
    /// Whose records were overwritten, and how often; the latest last.
    met: Vec<(Incarnation, u8)>,
    /// Who was told of, and when; the latest last.
    told: Vec<(Name, Time)>,
    away: Option<Away>,
    /// Nothing is written over before then.
    calm_until: Option<Time>,
    /// This node's record is to be written then.
    is_due: bool,
}

impl Rivals {
    /// When this node's record is to be written, if it is.
    pub(super) fn overwrite_at(&self) -> Option<Time> {
        self.calm_until.filter(|_| self.is_due)
    }

    /// This node's record was written.
    pub(super) fn wrote(&mut self) {
        self.is_due = false;
    }

    /// This node was let in again: nobody won over it any more.
    pub(super) fn forget_winner(&mut self) {
        if let Some(away) = &mut self.away {
            away.rival = None;
        }
    }

    /// Notes that another life's record is overwritten; returns how often it was by now.
    fn meet(&mut self, life: Incarnation) -> u8 {
        let before = self.met.iter().position(|(who, _)| *who == life).map_or(0, |at| self.met.remove(at).1);
        if self.met.len() >= LIVES {
            self.met.remove(0);
        }
        self.met.push((life, before.saturating_add(1)));
        before.saturating_add(1)
    }
}

#[derive(Clone, Debug)]
struct Away {
    rival: Option<Name>,
    until: Time,
    wait: Duration,
}

impl Node {
    /// The living node that has this node's number and to which this node gave way: it has no link since.
    pub fn rival(&self) -> Option<&Name> {
        self.rivals.away.as_ref().and_then(|a| a.rival.as_ref()).filter(|_| self.conduits.is_empty())
    }

    /// Until when it takes no part, if it gave way to another node of its number.
    pub(super) fn away_until(&self, now: Time) -> Option<Time> {
        self.rivals.away.as_ref().map(|a| a.until).filter(|until| *until > now)
    }

    /// Tells that another node has this one's number; of the same one once a minute.
    pub(super) fn tell_duplicate(&mut self, now: Time, name: &Name) {
        let told = &mut self.rivals.told;
        told.retain(|(_, at)| now.since(*at) < TELL_EVERY);
        if told.len() < LIVES && told.iter().all(|(who, _)| who != name) {
            told.push((name.clone(), now));
            self.events.push_back(Event::DuplicateNode { name: name.clone() });
        }
    }

    /// A record of this node's number, newer than its own, that another life wrote: writes over it, or gives way.
    pub(super) fn handle_rival(&mut self, now: Time, record: &Record) {
        if self.rivals.meet(record.incarnation) >= PROOF {
            self.tell_duplicate(now, &record.name);
            if (self.me.incarnation.get(), &self.me.name) < (record.incarnation.get(), &record.name) {
                return self.give_way(now, &record.name);
            }
        }
        // Beyond what others may tell, every step counts.
        let leap = record.version.saturating_add(LEAP);
        self.overwrite(now, if leap < VERSION_TOLD { leap } else { record.version.max(VERSION_TOLD) + 1 });
    }

    /// Writes this node's record with a version of at least that: at once, or when the last such time is long enough ago.
    pub(super) fn overwrite(&mut self, now: Time, version: u64) {
        // What is met meanwhile counts once, and a change of this node's own is written with a version beyond it.
        self.version = version;
        self.rivals.is_due = true;
        self.overwrite_if_due(now);
    }

    pub(super) fn overwrite_if_due(&mut self, now: Time) {
        if self.rivals.is_due && self.rivals.calm_until.is_none_or(|until| until <= now) {
            self.rivals.calm_until = Some(now + OVERWRITE_EVERY);
            self.rewrite_own_record(now);
        }
    }

    fn give_way(&mut self, now: Time, rival: &Name) {
        let recent = self.rivals.away.as_ref().filter(|a| now.since(a.until) < AWAY_LONGEST);
        let wait = recent.map_or(AWAY_FIRST, |a| (a.wait * 2).min(AWAY_LONGEST));
        let until = now + wait;
        self.rivals.away = Some(Away { rival: Some(rival.clone()), until, wait });
        self.rivals.met.clear();
        self.rivals.is_due = false;
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
