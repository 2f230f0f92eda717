//! The fuzz targets with the inputs of their corpus: what once was found stays mended, and every target compiles.
//!
//! What a fuzzer adds to `fuzz/corpus` is tried, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

#[path = "../../fuzz/targets/board.rs"]
mod board;
#[path = "../../fuzz/targets/book.rs"]
mod book;
#[path = "../../fuzz/targets/config.rs"]
mod config;
#[path = "../../fuzz/targets/control.rs"]
mod control;
#[path = "../../fuzz/targets/ether.rs"]
mod ether;
#[path = "../../fuzz/targets/exchange.rs"]
mod exchange;
#[path = "../../fuzz/targets/frame.rs"]
mod frame;
#[path = "../../fuzz/targets/guest.rs"]
mod guest;
#[path = "../../fuzz/targets/image.rs"]
mod image;
#[path = "../../fuzz/targets/key_file.rs"]
mod key_file;
#[path = "../../fuzz/targets/machine.rs"]
mod machine;
#[path = "../../fuzz/targets/mailbox.rs"]
mod mailbox;
#[path = "../../fuzz/targets/netlink.rs"]
mod netlink;
#[path = "../../fuzz/targets/node.rs"]
mod node;
#[path = "../../fuzz/targets/pattern.rs"]
mod pattern;
#[path = "../../fuzz/targets/reassembly.rs"]
mod reassembly;
#[path = "../../fuzz/targets/ring_attack.rs"]
mod ring_attack;
#[path = "../../fuzz/targets/ring_model.rs"]
mod ring_model;
#[path = "../../fuzz/targets/seal_data.rs"]
mod seal_data;
#[path = "../../fuzz/targets/seal_handshake.rs"]
mod seal_handshake;
#[path = "../../fuzz/targets/serial.rs"]
mod serial;
#[path = "../../fuzz/targets/shm_greeting.rs"]
mod shm_greeting;
#[path = "../../fuzz/targets/token.rs"]
mod token;
#[path = "../../fuzz/targets/tun.rs"]
mod tun;
#[path = "../../fuzz/targets/vios.rs"]
mod vios;
#[path = "../../fuzz/targets/virtio.rs"]
mod virtio;
#[path = "../../fuzz/targets/wire.rs"]
mod wire;
#[path = "../../fuzz/targets/words.rs"]
mod words;

use std::{collections::BTreeSet, fs, path::Path};

type Target = fn(&[u8]);

/// Every target: its name, and what it does with an input.
const TARGETS: [(&str, Target); 28] = [
    ("board", board::run),
    ("book", book::run),
    ("config", config::run),
    ("control", control::run),
    ("ether", ether::run),
    ("exchange", exchange::run),
    ("frame", frame::run),
    ("guest", guest::run),
    ("image", image::run),
    ("key_file", key_file::run),
    ("machine", machine::run),
    ("mailbox", mailbox::run),
    ("netlink", netlink::run),
    ("node", node::run),
    ("pattern", pattern::run),
    ("reassembly", reassembly::run),
    ("ring_attack", ring_attack::run),
    ("ring_model", ring_model::run),
    ("seal_data", seal_data::run),
    ("seal_handshake", seal_handshake::run),
    ("serial", serial::run),
    ("shm_greeting", shm_greeting::run),
    ("token", token::run),
    ("tun", tun::run),
    ("vios", vios::run),
    ("virtio", virtio::run),
    ("wire", wire::run),
    ("words", words::run),
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
    let mut wrong = Vec::new();
    for (name, run) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                wrong.push(path);
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
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
