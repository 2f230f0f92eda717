//! What the I/O processors know of each other: the system table, and who is sent nothing new meanwhile.
//!
//! Before one is reset or taken out, this node and all other processors stop to send it anything new (*quiesce*), and it
//! finishes what is under way; when it is a member of the fabric again, they send again (*enable*). One that fails is not
//! quiesced: whoever waits for it is told that it is down.

use super::{Iops, One, Task};
use iop::{Entry, Event, State, Table, Traffic};
use std::time::Duration;

impl One {
    /// Whether it is to be sent nothing new, from what is known now.
    fn is_to_be_quiesced(&self) -> bool {
        match (self.processor.traffic(), self.processor.state().0) {
            (Traffic::Quiesced | Traffic::Draining, _) => true,
            (Traffic::Enabled, State::Operational | State::Failed | State::Faulted) => false,
            // On its way from where it was quiesced to where it is enabled, or the other way round.
            (Traffic::Enabled, State::Reset | State::Initializing | State::Ready | State::Hold) => self.quiesced,
        }
    }

    fn entry(&self) -> Option<Entry> {
        self.processor.pid()?;
        Some(Entry {
            node: self.config.id,
            life: u32::try_from(self.processor.state().2).unwrap_or(u32::MAX).max(1),
            slot: self.slot,
            enabled: !self.quiesced,
            going: self.processor.traffic() == Traffic::Draining,
        })
    }
}

impl Iops {
    /// Tells what changed: people, this node, and all processors.
    pub(super) fn settle(&mut self, now: Duration) {
        for one in &mut self.all {
            let (name, node) = (&one.config.name, one.config.id);
            // What is quiesced is told before what follows from it, and what is enabled after.
            let quiesce = one.is_to_be_quiesced();
            if quiesce && !one.quiesced {
                self.tasks.push_back(Task::Quiesce(node));
                self.tasks.push_back(Task::Tell("iop-quiesce", node, format!("iop {name}: sent nothing new by all")));
            }
            while let Some(change) = one.processor.poll_transition() {
                let text = format!("iop {name}: {} -> {}: {}", change.from, change.to, change.reason);
                self.tasks.push_back(Task::Tell("iop-state", node, text));
            }
            if !quiesce && one.quiesced {
                self.tasks.push_back(Task::Enable(node));
                self.tasks.push_back(Task::Tell("iop-enable", node, format!("iop {name}: sent to again by all")));
            }
            one.quiesced = quiesce;
        }
        self.tell_table();
        self.finish_drains(now);
    }

    /// Gives a changed table to all, and the present one to those who are new.
    fn tell_table(&mut self) {
        let entries: Vec<Entry> = self.all.iter().filter_map(One::entry).collect();
        if entries != self.table.entries {
            self.table = Table { version: self.table.version.wrapping_add(1).max(1), entries };
            self.all.iter().for_each(|one| one.processor.tell_table(&self.table));
        }
    }

    /// Those that are to go do so when they have nothing under way and all others know.
    fn finish_drains(&mut self, now: Duration) {
        let version = self.table.version;
        let knows = |one: &One| one.processor.state().0 != State::Operational || one.processor.table_seen() == version;
        if !self.all.iter().all(knows) {
            return;
        }
        for one in &mut self.all {
            if one.processor.traffic() == Traffic::Draining && one.processor.is_drained() {
                one.processor.handle(now, Event::Drained);
            }
        }
    }
}
