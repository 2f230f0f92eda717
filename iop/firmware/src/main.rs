//! An I/O processor without an operating system: the image.
//!
//! It finds the memory that it shares with its host, reads there who it is, joins the host's node and serves its
//! interface. It has one thread, no files and a heap of a fixed size; it sleeps when there is nothing to do. What must
//! not happen stops it: its last words go to the console and into the shared memory, and its manager starts it again.
#![no_std]
#![no_main]
#![deny(unused_must_use)]

extern crate alloc;

mod arch;
mod clock;
mod console;
mod ivshmem;
mod link;
mod pci;
mod sys;

use alloc::{boxed::Box, format};
use arch::Interrupts;
use clock::Clock;
use core::{fmt::Write, panic::PanicInfo, time::Duration};
use iop_node::{Machine, board, ports::requests::Fault};
use link::{Board, Others};

/// Writes a line on the console.
macro_rules! say {
    ($($words:tt)*) => {{
        // The console takes what it can.
        let _ = writeln!(console::Console, $($words)*);
    }};
}

/// Without a doorbell the rings are looked at so often.
const LOOK: Duration = Duration::from_millis(1);
/// The longest sleep.
const LONGEST: Duration = Duration::from_secs(1);
/// Turns of the loop without work before it sleeps: another message often follows soon.
const IDLE_TURNS: u32 = 4;

/// All that the machine does, from when the processor is ready for Rust.
fn run() -> ! {
    sys::start_heap();
    let (interrupts, clock) = arch::start();
    let Some((board, others)) = link::find() else {
        panic!("there is no shared memory (ivshmem) on this machine");
    };
    let board: &'static Board = Box::leak(Box::new(board));
    sys::keep_for_last_words(board);
    match serve(board, others, &interrupts, clock) {
        Ok(()) => panic!("the host left the rings"),
        Err(error) => panic!("{error}"),
    }
}

fn serve(
    board: &Board,
    mut others: Option<Others>,
    interrupts: &Interrupts,
    clock: Clock,
) -> Result<(), Box<dyn core::error::Error>> {
    let mut stack = board.join(clock.now())?;
    let config = stack.station().config();
    say!("node {} (id {}) of fabric {} is ready after {}", config.name, config.id, config.fabric, clock.now());
    board.say(board::State::Ready);
    let machine = || Machine { kind: format!("bare {}, no operating system", arch::NAME), memory: sys::heap_used() };
    let (mut idle, mut gone) = (0, false);
    while !stack.station().is_lost() {
        board::beat(&board.page);
        let now = clock.now();
        let mut worked = others.as_mut().is_some_and(|all| all.handle(now, stack.station_mut(), &board.page));
        if worked {
            board.ring();
        }
        worked |= stack.handle(now, machine);
        board::set_pulse(&board.page, stack.pulse());
        match stack.fault() {
            Some(Fault::Panic) => panic!("somebody wanted it to"),
            Some(Fault::Spin) => loop {
                core::hint::spin_loop();
            },
            None => {}
        }
        if !gone && others.as_ref().is_some_and(Others::is_to_go) && stack.finish(clock.now()) {
            gone = true;
            board.say(board::State::Quiesced);
        }
        if worked {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle < IDLE_TURNS {
            continue;
        }
        let now = clock.now();
        let most = if board.has_doorbell() { LONGEST } else { LOOK };
        let most = stack.poll_timeout(now).map_or(most, |at| at.since(now).min(most));
        interrupts.sleep_if(most, || stack.arm());
    }
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("panic: {info}");
    sys::last_words(info);
    arch::halt()
}
