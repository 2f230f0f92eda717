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
mod settings;
mod sys;
mod timer;
mod uart;

use alloc::{boxed::Box, format};
use arch::Interrupts;
use clock::Clock;
use core::{convert::Infallible, fmt::Write, panic::PanicInfo, time::Duration};
use iop_node::{Config, Duty, Ends, Machine, Stack, Station, ports::requests::Fault};
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
/// The longest message on a serial line in bytes, as the host's carrier has it.
const LINE_MESSAGE: usize = 2048;
/// The longest sleep.
const LONGEST: Duration = Duration::from_secs(1);
/// Turns of the loop without work before it sleeps: another message often follows soon.
const IDLE_TURNS: u32 = 4;

/// All that the machine does, from when the processor is ready for Rust.
fn run() -> ! {
    sys::start_heap();
    uart::start();
    let (interrupts, clock) = arch::start();
    let Some((board, others)) = link::find() else {
        match serve_line(&interrupts, clock) {
            Ok(never) => match never {},
            Err(error) => panic!("{error}"),
        }
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
    others: Option<Others>,
    interrupts: &Interrupts,
    clock: Clock,
) -> Result<(), Box<dyn core::error::Error>> {
    let stack = board.join(clock.now())?;
    let config = stack.station().config();
    say!("node {} (id {}) of fabric {} is ready after {}", config.name, config.id, config.fabric, clock.now());
    let mut duty = Duty::new(stack, others, &board.page);
    board.ring();
    let machine = || Machine { kind: format!("bare {}, no operating system", arch::NAME), memory: sys::heap_used() };
    let (mut idle, mut seed) = (0, clock.now().as_nanos() | 1);
    while !duty.is_lost() {
        let turn = duty.turn(clock.now(), &board.page, machine);
        if turn.ring {
            board.ring();
        }
        match turn.fault {
            Some(Fault::Panic) => panic!("somebody wanted it to"),
            Some(Fault::Spin) => loop {
                core::hint::spin_loop();
            },
            Some(Fault::Garbage) => board.scribble(&mut seed),
            Some(Fault::Bells) => board.ring_all(),
            Some(Fault::Broadcasts | Fault::Mute) | None => {}
        }
        if turn.worked || turn.fault.is_some() {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle < IDLE_TURNS {
            continue;
        }
        let now = clock.now();
        let most = if board.has_doorbell() { LONGEST } else { LOOK };
        let most = duty.poll_timeout(now).map_or(most, |at| at.since(now).min(most));
        interrupts.sleep_if(most, || duty.arm());
    }
    Ok(())
}

/// The same on a machine without shared memory: messages go over its second serial line, and its configuration is what the machine was
/// started with.
fn serve_line(interrupts: &Interrupts, clock: Clock) -> Result<Infallible, Box<dyn core::error::Error>> {
    let (Some(line), Some(text)) = (uart::Line::find(), settings::settings()) else {
        return Err("this machine has neither shared memory (ivshmem) nor a serial line and a configuration".into());
    };
    let config = Config::parse(&text)?;
    let now = clock.now();
    say!("node {} (id {}) of fabric {} is on the line after {now}", config.name, config.id, config.fabric);
    let mut station: Station<sys::Window, link::PartyBell> = Station::new(config, now);
    station.join(now, Ends::line(line, LINE_MESSAGE));
    let mut stack = Stack::new(station, now);
    let machine = || Machine { kind: format!("bare {}, no operating system", arch::NAME), memory: sys::heap_used() };
    loop {
        if !stack.handle(clock.now(), machine) {
            let now = clock.now();
            let most = stack.poll_timeout(now).map_or(LOOK, |at| at.since(now).min(LOOK));
            interrupts.sleep_if(most, || stack.arm());
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("panic: {info}");
    sys::last_words(info);
    arch::halt()
}
