//! The other processors of the manager, met over the memory that they share: links without the host.
//!
//! | a neighbour is | its ring is offered for these lives | the table has another life of it, or none | a ring breaks |
//! | --- | --- | --- | --- |
//! | offered | linked | begins anew, or is forgotten | – |
//! | linked | – | the link closes; likewise | lost, the link closes |
//! | lost | – | likewise | – |
//!
//! A ring is offered once for a pair of lives; a pair that broke its rings is reached through the host until one of them has
//! another life.

use crate::{
    Bell, Ends, Station,
    board::{Page, Place},
    bus::{Layout, Way},
    table::{Entry, Table},
};
use alloc::vec::Vec;
use fabric_ring::{Consumer, Memory, Producer};
use messenger_core::{LinkId, Time};

/// The shared memory as one processor sees it.
pub trait Bus<M, B>: Page {
    /// A part of it.
    fn memory(&self, place: &Place) -> Option<M>;
    /// The bell of another processor on it.
    fn bell(&self, slot: u8) -> B;
}

/// All that are in the table.
pub struct Neighbours<M, B, U> {
    bus: U,
    layout: Layout,
    own: Option<Entry>,
    version: u32,
    all: Vec<Neighbour<M, B>>,
}

struct Neighbour<M, B> {
    entry: Entry,
    state: State<M, B>,
}

enum State<M, B> {
    Offered(Producer<M>, B),
    Linked(LinkId),
    Lost,
}

impl<M: Memory, B: Bell, U: Bus<M, B>> Neighbours<M, B, U> {
    /// On a memory with this layout; nobody is known yet.
    pub const fn new(bus: U, layout: Layout) -> Neighbours<M, B, U> {
        Neighbours { bus, layout, own: None, version: 0, all: Vec::new() }
    }

    /// Takes a new table, if there is one on the board, and looks for those who are not linked yet. Whether a new table was
    /// acted on.
    pub fn handle(&mut self, now: Time, station: &mut Station<M, B>, board: &impl Page) -> bool {
        let table = Table::read(board, self.version);
        if let Some(table) = &table {
            self.take(now, station, table);
            crate::table::set_seen(board, table.version);
        }
        let Some(own) = self.own else { return table.is_some() };
        for neighbour in &mut self.all {
            neighbour.advance(now, station, &self.bus, &self.layout, &own);
        }
        table.is_some()
    }

    /// The processor is to finish what is under way, and to take nothing new.
    pub fn is_to_go(&self) -> bool {
        self.own.is_some_and(|own| own.going)
    }

    fn take(&mut self, now: Time, station: &mut Station<M, B>, table: &Table) {
        self.version = table.version;
        let me = station.config().id;
        let own = table.entry(me).copied();
        let moved = |entry: Option<Entry>| entry.map(|entry| (entry.life, entry.slot));
        let stays = moved(own) == moved(self.own);
        self.own = own;
        let (bus, layout) = (&self.bus, &self.layout);
        self.all.retain(|known| {
            let there =
                table.entries.iter().any(|e| moved(Some(*e)) == moved(Some(known.entry)) && e.node == known.entry.node);
            if !(there && stays) {
                if let State::Linked(link) = known.state {
                    station.leave(now, link);
                }
                station.set_enabled(known.entry.node, true);
            }
            there && stays
        });
        let Some(own) = own else { return };
        for entry in table.entries.iter().filter(|entry| entry.node != me) {
            match self.all.iter_mut().find(|known| known.entry.node == entry.node) {
                Some(known) => known.entry = *entry,
                None => {
                    let state = offer(bus, layout, &own, entry).unwrap_or(State::Lost);
                    self.all.push(Neighbour { entry: *entry, state });
                }
            }
            station.set_enabled(entry.node, entry.enabled);
        }
    }
}

/// Offers a ring to a neighbour, and wakes it to look.
fn offer<M: Memory, B: Bell, U: Bus<M, B>>(bus: &U, layout: &Layout, own: &Entry, to: &Entry) -> Option<State<M, B>> {
    let way = Way { from: own.slot, to: to.slot };
    let memory = bus.memory(&layout.place(way)?)?;
    let size = 1 << memory.len().saturating_sub(fabric_ring::layout::DATA_AT).checked_ilog2()?;
    let producer = Producer::offer(memory, size).ok()?;
    layout.set_lives(bus, way, [own.life, to.life]);
    let mut bell = bus.bell(to.slot);
    bell.ring();
    Some(State::Offered(producer, bell))
}

impl<M: Memory, B: Bell> Neighbour<M, B> {
    fn advance<U: Bus<M, B>>(&mut self, now: Time, station: &mut Station<M, B>, bus: &U, layout: &Layout, own: &Entry) {
        match &self.state {
            State::Offered(..) => {
                let way = Way { from: self.entry.slot, to: own.slot };
                if layout.lives(bus, way) != [self.entry.life, own.life] {
                    return;
                }
                let State::Offered(producer, mut bell) = core::mem::replace(&mut self.state, State::Lost) else {
                    return;
                };
                let memory = layout.place(way).and_then(|place| bus.memory(&place));
                let Some(Ok(consumer)) = memory.map(Consumer::join) else { return };
                // It may have looked before this end was there.
                bell.ring();
                self.state = State::Linked(station.join(now, Ends::with(producer, [consumer].into(), bell)));
            }
            State::Linked(link) if station.is_broken(*link) => {
                station.leave(now, *link);
                self.state = State::Lost;
            }
            State::Linked(_) | State::Lost => {}
        }
    }
}

#[cfg(test)]
mod tests;
