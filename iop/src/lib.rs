//! The manager of I/O processors: it starts them, tells them who they are, watches over them and starts them again.
//!
//! [`Machine`] is the state machine, pure and without a clock. [`Processor`] puts it into effect: it makes the memory
//! ([`fabric::shm::Board`]), writes the configuration there, launches the machine ([`Kind`]: QEMU, or a process of this host, which meets the memory as a [`Visitor`]), and gives the rings to whoever
//! carries frames. [`Bus`] is the memory that processors share with each other, and [`Table`] tells each who else is on it. The manager does *not* know the fabric's core: whether a processor answers is told to it, since only the core
//! hears its signs of life.

mod bus;
mod child;
mod door;
pub mod image;
mod interrupts;
mod machine;
mod page;
mod platform;
mod processor;
pub mod qemu;
mod sys;
pub mod transfer;
mod visitor;

pub use bus::Bus;
pub use child::{LOADER, PROCESS};
pub use door::Door;
pub use iop_node::{
    Config, ports,
    table::{Entry, Table},
};
pub use machine::{Act, Event, Machine, Policy, State, Traffic, Transition};
pub use page::FirstPage;
pub use platform::{HotSwap, Platform};
pub use processor::{Kind, Processor, ProcessorError, Spec, Want};
pub use visitor::Visitor;
