//! Random fabrics under random trouble; when the trouble ends, everything is as it should be.

use crate::{
    cable::{Cable, Faults, Kind},
    world::World,
};
use messenger_core::{NodeConfig, Policy};
use std::{env, time::Duration};

/// Seeds of a normal run.
const RUNS: u64 = 300;
/// Longer than silence, the rarest greeting and a few of the rarest comparisons of registries take together.
const CALM: Duration = Duration::from_secs(30);

pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// A fabric of 2 to 12 nodes, not always in one piece.
fn build(seed: u64) -> World {
    let mut w = World::new(seed);
    let n = 2 + w.rng.place(11);
    let message = [Some(600), Some(1472), Some(65_600), None][w.rng.place(4)];
    let some_do_not_relay = w.rng.permille(250);
    for _ in 0..n {
        let relay = !(some_do_not_relay && w.rng.permille(300));
        let interval = Duration::from_millis(100 + w.rng.below(900));
        let config = NodeConfig { relay, interval, ..w.config() };
        let place = w.add_with(config);
        // Half of the fabrics judge their links.
        if seed.is_multiple_of(2) {
            let now = w.now;
            w.stations[place].demand(now, Policy::default());
        }
    }
    for b in 1..n {
        // Long lines and stars, and now and then two pieces.
        let a = if w.rng.permille(500) { b - 1 } else { w.rng.place(b) };
        if !w.rng.permille(50) {
            join(&mut w, a, b, message);
        }
    }
    for _ in 0..w.rng.place(n) {
        let (a, b) = (w.rng.place(n), w.rng.place(n));
        if a != b {
            join(&mut w, a, b, message);
        }
    }
    w
}

/// A cable; where the fabric has no one size of message, it has its own.
fn join(w: &mut World, a: usize, b: usize, message: Option<u32>) {
    let faults = match w.rng.place(3) {
        0 => Faults::default(),
        1 => Faults { loss: w.rng.below(300) as u32, duplicate: w.rng.below(200) as u32, jitter: w.rng.below(50_000) },
        _ => Faults { loss: w.rng.below(50) as u32, duplicate: 0, jitter: w.rng.below(2_000) },
    };
    let message = message.unwrap_or_else(|| [400, 600, 1472, 65_600][w.rng.place(4)]);
    let kind = [Kind::Configured, Kind::Stranger, Kind::Local][w.rng.place(3)];
    let faults = if kind == Kind::Local { Faults::default() } else { faults };
    let (priority, delay) = (10 + 20 * w.rng.below(2) as u8, 20 + w.rng.below(5_000));
    w.join_with(Cable { kind, priority, delay, message, faults, ..Cable::new(a, b) });
}

/// One thing goes wrong, or right again.
fn trouble(w: &mut World) {
    let (place, other) = (w.rng.place(w.stations.len()), w.rng.place(w.stations.len()));
    let cable = w.rng.place(w.cables.len());
    let set_back = w.rng.permille(250);
    match w.rng.place(10) {
        0 | 1 if !w.cables.is_empty() => w.cut(cable),
        2 | 3 if !w.cables.is_empty() => w.mend(cable),
        4 if w.stations[place].alive => w.kill(place),
        5 if !w.stations[place].alive => w.start(place, set_back),
        6 if w.stations[place].runs() => {
            w.kill(place);
            w.start(place, set_back);
        }
        7 if w.stations[place].runs() => w.freeze(place),
        8 if w.stations[place].frozen => w.thaw(place),
        _ if place != other && w.stations[place].runs() => {
            for _ in 0..5 {
                let len = w.rng.place(1600);
                // Where no way leads, this is refused; that is what the answer says.
                let _ = w.send_to(place, other, len);
                let _ = w.send(place, messenger_core::Mac::BROADCAST, len);
            }
        }
        _ => {}
    }
}

fn calm(w: &mut World) {
    for cable in &mut w.cables {
        cable.faults = Faults::default();
    }
    for place in 0..w.stations.len() {
        if w.stations[place].frozen {
            w.thaw(place);
        }
        if !w.stations[place].alive && w.rng.permille(500) {
            w.start(place, false);
        }
    }
    w.run(CALM);
}

fn story(seed: u64) {
    let mut w = build(seed);
    let first = Duration::from_millis(w.rng.below(5_000));
    w.run(first);
    for _ in 0..w.rng.place(25) {
        let pause = if w.rng.permille(300) { w.rng.below(4_000) } else { w.rng.below(200) };
        w.run(Duration::from_millis(pause));
        trouble(&mut w);
    }
    calm(&mut w);
    w.check_members();
    w.check_stories();
    let len = w.rng.place(1600);
    w.check_frames(len);
    w.check_silence(Duration::from_secs(12));
    w.check_members();
}

/// Members, registries, unicast, broadcast, silence: see the checks of [`crate::check`].
///
/// Rows: MA-21, MN-11.
#[test]
fn after_any_trouble_everybody_knows_and_reaches_everybody() {
    if let Some(seed) = number("MINET_SIM_SEED") {
        return story(seed);
    }
    let first = number("MINET_SIM_FIRST").unwrap_or(1);
    for seed in first..first + number("MINET_SIM_RUNS").unwrap_or(RUNS) {
        // What panics inside a core has no chance to tell the seed.
        let told = std::panic::catch_unwind(|| story(seed));
        if let Err(cause) = told {
            eprintln!("seed {seed}: MINET_SIM_SEED={seed} replays it");
            std::panic::resume_unwind(cause);
        }
    }
}
