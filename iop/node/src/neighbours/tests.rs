//! Stations that have nobody but each other, over a bus on the heap, in virtual time.

use super::*;
use crate::{board::tests::Sheet, config::tests::config};
use alloc::boxed::Box;
use core::{cell::RefCell, time::Duration};
use fabric_ring::model::Heap;
use messenger_core::{Incarnation, NodeId};
use std::{collections::BTreeMap, format, rc::Rc};

type Ring = Box<dyn FnMut()>;

/// The memory that all share: rings are made when they are first looked at.
#[derive(Clone)]
struct Shared(Rc<(Sheet, RefCell<BTreeMap<usize, Heap>>)>);

impl Page for Shared {
    fn read(&self, at: usize) -> u32 {
        self.0.0.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.0.0.write(at, word);
    }
}

impl Bus<Heap, Ring> for Shared {
    fn memory(&self, place: &Place) -> Option<Heap> {
        let ring = || Heap::new(place.len - fabric_ring::layout::DATA_AT);
        Some(self.0.1.borrow_mut().entry(place.at).or_insert_with(ring).clone())
    }

    fn bell(&self, _: u8) -> Ring {
        Box::new(|| {})
    }
}

struct Machine {
    station: Station<Heap, Ring>,
    neighbours: Neighbours<Heap, Ring, Shared>,
    board: Sheet,
}

struct World {
    now: Time,
    shared: Shared,
    machines: BTreeMap<u32, Machine>,
    table: Table,
}

impl World {
    fn new() -> World {
        let shared = Shared(Rc::new((Sheet::new(0), RefCell::default())));
        Layout::new().write(&shared);
        World { now: Time::from_millis(5), shared, machines: BTreeMap::new(), table: Table::default() }
    }

    /// A new life of a machine; all are told.
    fn start(&mut self, id: u32) {
        let mut config = config(id, &format!("io{id}"));
        let before = self.table.entries.iter().find(|e| e.node == config.id).map_or(0, |e| e.life);
        (config.incarnation, config.seed) = (Incarnation::new(before + 1), u64::from(id * 100 + before));
        config.version = u64::from(before + 1) << 32;
        self.table.entries.retain(|e| e.node != config.id);
        let entry = Entry { node: config.id, life: before + 1, slot: id as u8, enabled: true, going: false };
        self.table.entries.push(entry);
        let neighbours = Neighbours::new(self.shared.clone(), Layout::read(&self.shared, 1 << 27).unwrap());
        let machine = Machine { station: Station::new(config, self.now), neighbours, board: Sheet::new(0) };
        self.machines.insert(id, machine);
        self.tell();
    }

    fn tell(&mut self) {
        self.table.version += 1;
        self.machines.values().for_each(|machine| self.table.write(&machine.board));
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            for Machine { station, neighbours, board } in self.machines.values_mut() {
                neighbours.handle(self.now, station, board);
                station.handle(self.now);
                station.flush();
            }
        }
    }

    /// Whom a machine has a direct, live link to, with the incarnation.
    fn linked(&self, id: u32) -> Vec<(u32, u32)> {
        let links = self.machines[&id].station.node().links();
        let peers = links.filter(|link| link.is_live()).filter_map(|link| link.peer());
        let mut all: Vec<(u32, u32)> = peers.map(|peer| (peer.node.get(), peer.incarnation.get())).collect();
        all.sort_unstable();
        all
    }
}

/// PROTOCOL 9.9.
#[test]
fn all_in_the_table_meet_and_a_new_life_is_met_anew() {
    let mut world = World::new();
    world.start(1);
    world.start(2);
    world.run(500);
    assert_eq!((world.linked(1), world.linked(2)), ([(2, 1)].into(), [(1, 1)].into()));
    world.start(3);
    world.run(500);
    assert_eq!(world.linked(1), [(2, 1), (3, 1)]);
    assert_eq!(world.linked(3), [(1, 1), (2, 1)]);
    assert!(world.machines.values().all(|m| crate::table::seen(&m.board) == world.table.version));
    for life in 2..6 {
        world.start(2);
        world.run(500);
        assert_eq!(world.linked(2), [(1, 1), (3, 1)]);
        assert_eq!((world.linked(1), world.linked(3)), ([(2, life), (3, 1)].into(), [(1, 1), (2, life)].into()));
    }
    // One that is taken out is left at once, not by its silence.
    world.machines.remove(&2);
    world.table.entries.retain(|entry| entry.node.get() != 2);
    world.tell();
    world.run(2);
    assert_eq!((world.linked(1), world.linked(3)), ([(3, 1)].into(), [(1, 1)].into()));
}

/// What is written over a ring ends that pair and nothing else; a new life of either mends it.
///
/// PROTOCOL 9.9.
#[test]
fn a_broken_ring_is_given_up_until_there_is_another_life() {
    let mut world = World::new();
    (1..=3).for_each(|id| world.start(id));
    world.run(500);
    let way = Layout::new().place(Way { from: 1, to: 2 }).unwrap();
    world.shared.memory(&way).unwrap().poke(128, &[0x11; 4]);
    world.run(3_000);
    assert_eq!((world.linked(2), world.linked(3)), ([(3, 1)].into(), [(1, 1), (2, 1)].into()));
    world.start(1);
    world.run(500);
    assert_eq!((world.linked(1), world.linked(2)), ([(2, 1), (3, 1)].into(), [(1, 2), (3, 1)].into()));
}

/// PROTOCOL 9.10.
#[test]
fn who_is_quiesced_is_sent_nothing_new_and_who_is_to_go_knows_it() {
    let mut world = World::new();
    (1..=2).for_each(|id| world.start(id));
    world.run(500);
    let quiesced = |world: &World| {
        world.machines[&1].station.node().exchange().quiesced_nodes().map(NodeId::get).collect::<Vec<_>>()
    };
    let entry = world.table.entries.iter_mut().find(|entry| entry.node.get() == 2).unwrap();
    (entry.enabled, entry.going) = (false, true);
    world.tell();
    world.run(1);
    assert_eq!((quiesced(&world), world.linked(1)), ([2].into(), [(2, 1)].into()));
    assert!(world.machines[&2].neighbours.is_to_go() && !world.machines[&1].neighbours.is_to_go());
    world.start(2);
    world.run(1);
    assert!(quiesced(&world).is_empty());
}
