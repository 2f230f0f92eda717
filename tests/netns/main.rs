//! Nodes in network namespaces, tried with the kernel and real programs. Needs root and a built `minet`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod bad_input;
mod bare_machine;
mod behind;
mod command;
mod conduit;
mod counters;
mod crash;
mod crowd;
mod demo;
mod drain;
mod ethernet;
mod examples;
mod flags;
mod harness;
mod hostile;
mod iop;
mod life;
mod load;
mod looks;
mod media;
mod messages;
mod mps;
mod mtu;
mod path;
mod privileges;
mod process_iop;
mod programs;
mod relay;
mod scripts;
mod sealed;
mod sealed_media;
mod topology;
mod trust;
mod userspace;
mod vios;
