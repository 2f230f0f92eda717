//! What a processor does in its loop, whatever it runs on: a bare machine, or a process of a host.

use crate::{
    Bell, Bus, Ends, Machine, Neighbours, Stack,
    board::{self, Page, State},
    ports::requests::Fault,
};
use fabric_ring::Memory;
use messenger_core::Time;

/// A stack, those it meets without its host, and the board that it shares with the host.
pub struct Duty<M, B, U> {
    stack: Stack<M, B>,
    others: Option<Neighbours<M, B, U>>,
    joined: bool,
    gone: bool,
}

/// Words of garbage, and rings, of a turn.
const AT_ONCE: usize = 256;

/// Garbage for memory of so many bytes: where, and what. All of it follows from `seed`.
pub fn garbage(seed: &mut u64, memory: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
    (0..AT_ONCE).map(move |_| {
        // Xorshift: any numbers will do.
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let at = (*seed >> 32) as usize % (memory / 4).max(1) * 4;
        // The headers are a small part of it and what is worth most.
        let at = if *seed & 1 == 0 { at } else { at & !0xfff | at & 0xfc };
        (at, (*seed >> 8) as u32)
    })
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// There was something to do, and there may be more.
    pub worked: bool,
    /// The host is to be rung: it has something to read on the page.
    pub ring: bool,
    /// It is to fail now: somebody wanted that, and the configuration allows it.
    pub fault: Option<Fault>,
}

impl<M: Memory + 'static, B: Bell + 'static, U: Bus<M, B>> Duty<M, B, U> {
    /// Ready to begin; says so on the board. The host is to be rung.
    pub fn new(stack: Stack<M, B>, others: Option<Neighbours<M, B, U>>, page: &impl Page) -> Duty<M, B, U> {
        board::set_state(page, State::Ready);
        Duty { stack, others, joined: false, gone: false }
    }

    /// Goes on with another host, or another life of it: the node stays what it is, and joins over these ends. The new host is to be
    /// rung.
    pub fn move_to(&mut self, now: Time, ends: Ends<M, B>, others: Option<Neighbours<M, B, U>>, page: &impl Page) {
        let station = self.stack.station_mut();
        station.leave_all(now);
        station.join(now, ends);
        (self.others, self.joined, self.gone) = (others, false, false);
        board::set_state(page, State::Ready);
    }

    /// Its stack.
    pub const fn stack(&self) -> &Stack<M, B> {
        &self.stack
    }

    /// Whether its host can be reached no more: it has nothing to do.
    pub fn is_lost(&self) -> bool {
        self.stack.station().is_lost()
    }

    /// One turn: takes what came, serves it, and says on the board what the host is to know.
    pub fn turn(&mut self, now: Time, page: &impl Page, machine: impl Fn() -> Machine) -> Turn {
        board::beat(page);
        let told = self.others.as_mut().is_some_and(|all| all.handle(now, self.stack.station_mut(), page));
        let worked = self.stack.handle(now, machine) | told;
        board::set_pulse(page, self.stack.pulse());
        let mut ring = told;
        if !self.joined && self.stack.station().reaches_somebody() {
            self.joined = true;
            board::set_state(page, State::Joined);
            ring = true;
        }
        if !self.gone && self.others.as_ref().is_some_and(Neighbours::is_to_go) && self.stack.finish(now) {
            self.gone = true;
            board::set_state(page, State::Quiesced);
            ring = true;
        }
        Turn { worked, ring, fault: self.stack.fault() }
    }

    /// Asks peers to ring; `false` when there is something to do already.
    pub fn arm(&mut self) -> bool {
        self.stack.arm()
    }

    /// When the next turn is due though nobody rings.
    pub fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        self.stack.poll_timeout(now)
    }
}
