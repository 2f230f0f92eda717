//! The fuzz targets with the inputs of their corpus: what once was found stays mended, and every target compiles.
//!
//! What a fuzzer adds to `fuzz/corpus` is tried, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

#[path = "../../fuzz/targets/config.rs"]
mod config;
#[path = "../../fuzz/targets/control.rs"]
mod control;
#[path = "../../fuzz/targets/frame.rs"]
mod frame;
#[path = "../../fuzz/targets/guest.rs"]
mod guest;
#[path = "../../fuzz/targets/node.rs"]
mod node;
#[path = "../../fuzz/targets/reassembly.rs"]
mod reassembly;
#[path = "../../fuzz/targets/ring_attack.rs"]
mod ring_attack;
#[path = "../../fuzz/targets/ring_model.rs"]
mod ring_model;
#[path = "../../fuzz/targets/seal_handshake.rs"]
mod seal_handshake;
#[path = "../../fuzz/targets/shm_greeting.rs"]
mod shm_greeting;
#[path = "../../fuzz/targets/tun.rs"]
mod tun;
#[path = "../../fuzz/targets/vios.rs"]
mod vios;
#[path = "../../fuzz/targets/virtio.rs"]
mod virtio;
#[path = "../../fuzz/targets/wire.rs"]
mod wire;

use std::{collections::BTreeSet, fs, path::Path};

type Target = fn(&[u8]);

/// Every target: its name, and what it does with an input.
const TARGETS: [(&str, Target); 14] = [
    ("config", config::run),
    ("control", control::run),
    ("frame", frame::run),
    ("guest", guest::run),
    ("node", node::run),
    ("reassembly", reassembly::run),
    ("ring_attack", ring_attack::run),
    ("ring_model", ring_model::run),
    ("seal_handshake", seal_handshake::run),
    ("shm_greeting", shm_greeting::run),
    ("tun", tun::run),
    ("vios", vios::run),
    ("virtio", virtio::run),
    ("wire", wire::run),
];

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"))
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).unwrap();
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(&entry.unwrap().path())).collect()
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, run) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            std::panic::catch_unwind(|| run(&input)).unwrap_or_else(|_| panic!("{}", path.display()));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}

#[test]
fn every_target_is_here_and_has_a_program() {
    let here: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("targets"), here);
    assert_eq!(names("fuzz_targets"), here);
    assert_eq!(names("corpus"), here);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in here {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} has no [[bin]]");
    }
}
