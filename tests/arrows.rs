//! The arrows between the rooms, compared with what cargo sees, and the other promises a reader can check by eye.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may know whom: every package of the workspace with exactly the packages of the workspace it depends on.
/// It is the table of ARCHITECTURE.md; a change here is a change there.
const ARROWS: &[(&str, &[&str])] = &[
    ("messenger-core", &[]),
    ("messenger", &["messenger-core"]),
    ("messenger-mps", &["messenger"]),
    ("messenger-mps-c", &["messenger-mps"]),
    ("messenger-vios", &["messenger"]),
    ("fabric-ring", &[]),
    ("fabric-seal", &[]),
    ("fabric", &["fabric-ring", "fabric-seal"]),
    ("netif", &[]),
    ("minet", &["messenger-core"]),
    ("iop-node", &["fabric-ring", "messenger-core", "minet"]),
    ("iop", &["fabric", "iop-node"]),
    ("minet-node", &["fabric", "fabric-seal", "iop", "iop-node", "messenger", "messenger-core", "minet", "netif"]),
    // The harness drives the command from outside, so it knows no room and xtask can use it.
    ("minet-tests", &[]),
    ("minet-pieces", &[]),
    ("xtask", &["minet-tests"]),
];

/// Packages whose *tests* may know others of the workspace.
const TESTERS: &[&str] = &["minet-tests", "minet-pieces"];

/// Pairs that must never know each other, in tests neither, whatever the table says one day: from, to.
const NEVER: &[(&str, &str)] = &[
    ("messenger-core", "fabric"),
    ("messenger-core", "fabric-ring"),
    ("fabric", "messenger-core"),
    ("fabric-ring", "messenger-core"),
    ("netif", "minet"),
    ("minet", "netif"),
    ("messenger-mps", "messenger-core"),
    ("messenger-mps-c", "messenger-core"),
];

/// Packages that are tools: nothing but tests and other tools may depend on them.
const TOOLS: &[&str] = &["minet-node", "xtask", "minet-tests", "minet-pieces"];

/// Packages that say `forbid(unsafe_code)` and `no_std`.
const PURE: &[&str] = &["messenger-core", "minet", "iop-node"];

const LONGEST: usize = 600;

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .unwrap()
}

fn rooms(metadata: &Metadata) -> BTreeMap<String, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), package)).collect()
}

/// The packages of the workspace that `package` depends on, by kind.
fn edges(package: &Package, rooms: &BTreeMap<String, &Package>, tests: bool) -> BTreeSet<String> {
    let wanted = |kind| (kind == DependencyKind::Development) == tests;
    let names = package.dependencies.iter().filter(|dependency| wanted(dependency.kind)).map(|d| d.name.clone());
    // A package may name itself, to test with a feature of its own.
    names.filter(|name| rooms.contains_key(name) && *name != *package.name).collect()
}

/// Messenger itself, the ring and the interface are built, tested and used without any other room; the data link needs the
/// core alone, the carriers the ring alone; the message passing service needs what applications use and nothing below that.
///
/// Rows: MA-20, MP-45.
#[test]
fn parts_stand_alone() {
    let metadata = metadata();
    let rooms = rooms(&metadata);
    let parts: [(&str, &[&str]); 8] = [
        ("messenger-core", &[]),
        ("messenger", &["messenger-core"]),
        ("messenger-mps", &["messenger"]),
        ("fabric-ring", &[]),
        ("netif", &[]),
        ("minet", &["messenger-core"]),
        ("fabric-seal", &[]),
        ("fabric", &["fabric-ring", "fabric-seal"]),
    ];
    for (part, needs) in parts {
        let package = rooms[part];
        assert!(package.targets.iter().any(|target| target.is_lib()), "{part} is a library of its own");
        let all: BTreeSet<String> = &edges(package, &rooms, false) | &edges(package, &rooms, true);
        assert_eq!(all, needs.iter().map(|name| (*name).to_owned()).collect(), "{part}");
    }
}

#[test]
fn arrows_are_as_drawn() {
    let metadata = metadata();
    let rooms = rooms(&metadata);
    let drawn: BTreeMap<&str, BTreeSet<String>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().map(|name| (*name).to_owned()).collect())).collect();
    let mut wrong = Vec::new();
    for (name, package) in &rooms {
        match drawn.get(name.as_str()) {
            None => wrong.push(format!("{name} is a new room: draw its arrows in ARCHITECTURE.md and here")),
            Some(drawn) => {
                let built = edges(package, &rooms, false);
                wrong.extend(built.difference(drawn).map(|to| format!("{name} -> {to} is not drawn")));
                wrong.extend(drawn.difference(&built).map(|to| format!("{name} -> {to} is drawn but not built")));
            }
        }
        // What a room knows its tests may know, too.
        let tested: BTreeSet<String> =
            edges(package, &rooms, true).difference(&edges(package, &rooms, false)).cloned().collect();
        if !tested.is_empty() && !TESTERS.contains(&name.as_str()) {
            wrong.push(format!("the tests of {name} know {tested:?}: such tests belong in tests/"));
        }
    }
    wrong.extend(drawn.keys().filter(|name| !rooms.contains_key(**name)).map(|name| format!("{name} is gone")));
    assert!(wrong.is_empty(), "arrows differ from the table:\n{}", wrong.join("\n"));
}

/// The image is outside the workspace, since it is built for a bare machine: its manifest is read.
#[test]
fn the_image_knows_the_rooms_without_an_operating_system_only() {
    let manifest = fs::read_to_string(root().join("iop/firmware/Cargo.toml")).unwrap();
    let rooms =
        manifest.lines().filter(|line| line.contains("path = \"../")).map(|line| line.split(' ').next().unwrap());
    assert_eq!(rooms.collect::<Vec<_>>(), ["fabric-ring", "iop-node", "messenger-core"]);
}

/// All that depends on the processor is in the folder of its architecture, assembly and linker script too, and is little.
#[test]
fn architecture_code_is_short() {
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for folder in entries(&root().join("iop/firmware/src/arch")).iter().filter(|path| path.is_dir()) {
        let lines: usize = entries(folder).iter().map(|path| fs::read_to_string(path).unwrap().lines().count()).sum();
        assert!(lines < 400, "{}: {lines} lines", folder.display());
    }
}

#[test]
fn some_never_know_each_other() {
    let metadata = metadata();
    let rooms = rooms(&metadata);
    for (from, package) in &rooms {
        let all: BTreeSet<String> = [false, true].into_iter().flat_map(|kind| edges(package, &rooms, kind)).collect();
        for (_, to) in NEVER.iter().filter(|(never, _)| never == from) {
            assert!(!all.contains(*to), "{from} must never know {to}");
        }
        if !TOOLS.contains(&from.as_str()) {
            let tool = TOOLS.iter().find(|tool| all.contains(**tool));
            assert_eq!(tool, None, "{from} must not know a tool");
        }
    }
}

#[test]
fn pure_rooms_forbid_unsafe_and_std() {
    let metadata = metadata();
    for (name, package) in rooms(&metadata) {
        if PURE.contains(&name.as_str()) {
            let root = package.manifest_path.parent().unwrap().join("src/lib.rs");
            let text = fs::read_to_string(&root).unwrap();
            for attribute in ["#![forbid(unsafe_code)]", "no_std"] {
                assert!(text.contains(attribute), "{root} lacks {attribute}");
            }
        }
    }
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let root = root();
    let allowed = |path: &Path| {
        path.starts_with("fabric/ring")
            || path.starts_with("iop/firmware/src/arch")
            || path.file_name().is_some_and(|name| name == "sys.rs")
            || path.components().any(|part| part.as_os_str() == "sys")
    };
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let short = path.strip_prefix(&root).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| has_unsafe(line));
        if !allowed(short) {
            wrong.extend(lines.map(|(number, line)| format!("{}:{}: {}", short.display(), number + 1, line.trim())));
        }
    }
    assert!(wrong.is_empty(), "`unsafe` outside fabric/ring, the image's arch and sys:\n{}", wrong.join("\n"));
}

/// No source says what is true of one processor only, but in a directory `arch`; and nothing that a core crate reads or
/// writes has the machine's own byte order.
#[test]
fn no_code_asks_for_the_processor() {
    let root = root();
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let short = path.strip_prefix(&root).unwrap();
        let pure = [Path::new("messenger/core"), Path::new("minet")].iter().any(|room| short.starts_with(room));
        let text = fs::read_to_string(&path).unwrap();
        // Which cipher is fast is asked when it runs, and both ends agree on one: nothing else depends on it.
        let cipher = short == Path::new("fabric/seal/src/suite.rs");
        if cipher || short.components().any(|part| part.as_os_str() == "arch") {
            continue;
        }
        let found = text.lines().enumerate().filter(|(_, line)| asks_for_processor(line, pure));
        wrong.extend(found.map(|(number, line)| format!("{}:{}: {}", short.display(), number + 1, line.trim())));
    }
    assert!(wrong.is_empty(), "code for one processor:\n{}", wrong.join("\n"));
}

/// The machine's own byte order stands only where a kernel of this machine is spoken to: eventfds, socket options, netlink. All
/// else is written least byte first and says so, or is an address as networks have it.
///
/// Rows: MA-08.
#[test]
fn the_machines_byte_order_is_for_its_kernel_only() {
    const KERNELS: [(&str, usize); 9] = [
        ("fabric/src/bell.rs", 1),
        ("fabric/src/sys/datagram.rs", 1),
        ("iop/src/child.rs", 1),
        ("iop/src/door.rs", 1),
        ("iop/src/processor.rs", 1),
        ("iop/src/visitor.rs", 1),
        ("messenger/guest/src", 2),
        ("netif/src/link.rs", 1),
        ("tools/minet/src/lane/mailbox.rs", 1),
    ];
    let root = root();
    let (mut wrong, mut found) = (Vec::new(), [0; KERNELS.len()]);
    for path in sources(&root) {
        let short = path.strip_prefix(&root).unwrap();
        let place = KERNELS.iter().position(|(place, _)| short.starts_with(place));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| has_native_order(line)) {
            match place {
                Some(place) => found[place] += 1,
                None => wrong.push(format!("{}:{}: {}", short.display(), number + 1, line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "the machine's own byte order:\n{}", wrong.join("\n"));
    assert_eq!(found, KERNELS.map(|(_, count)| count), "{KERNELS:?}");
}

#[test]
fn the_search_for_processors_finds_them() {
    let line = |pieces: [&str; 2]| pieces.concat();
    assert!(asks_for_processor(&line(["#[cfg(target_", "arch = \"riscv64\")]"]), false));
    assert!(asks_for_processor(&line(["use std::", "arch::x86_64::_rdtsc;"]), false));
    assert!(asks_for_processor(&line(["    as", "m!(\"nop\");"]), false));
    let native = line(["let bytes = n.to_n", "e_bytes();"]);
    assert!(asks_for_processor(&native, true) && !asks_for_processor(&native, false), "the kernel wants it so");
    assert!(!asks_for_processor(&line(["// as", "m!(...) is not used"]), true));
    assert!(!asks_for_processor("#[cfg(target_os = \"linux\")]", true));
}

#[test]
fn files_are_short_or_say_why() {
    let root = root();
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        let count = text.lines().count();
        let says_why =
            text.lines().take(8).any(|line| line.starts_with("//") && line.to_lowercase().contains("long because"));
        if count > LONGEST && !says_why {
            wrong.push(format!("{}: {count} lines", path.strip_prefix(&root).unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "over {LONGEST} lines without `Long because …` at the top:\n{}", wrong.join("\n"));
}

#[test]
fn the_search_for_unsafe_finds_it() {
    let word = ["un", "safe"].concat();
    assert!(has_unsafe(&format!("    {word} {{ f() }};")));
    assert!(has_unsafe(&format!("let x = ({word} {{ g() }}); // why")));
    assert!(!has_unsafe(&format!("#![forbid({word}_code)]")));
    assert!(!has_unsafe(&format!("// {word} is not used here")));
    assert!(!has_unsafe(&format!("let text = \"{word}\";")));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every Rust file of the project, also outside the workspace.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

/// Whether a line of code has the keyword, outside comments and plain strings.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let outside: String = code.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    outside.split(word).any(|token| token == ["un", "safe"].concat())
}

/// Whether a line of code, comments left out, is for one processor; in a `pure` room, also for one byte order.
fn asks_for_processor(line: &str, pure: bool) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    // Put together here, so that this file is not found.
    let words = [["target_", "arch"], ["target_", "endian"], ["std::", "arch"], ["core::", "arch"], ["as", "m!("]];
    has(code, &words) || pure && has_native_order(line)
}

/// Whether a line of code, comments left out, reads or writes bytes in the machine's own order.
fn has_native_order(line: &str) -> bool {
    has(line.split("//").next().unwrap_or_default(), &[["_n", "e_bytes"], ["trans", "mute"]])
}

fn has(code: &str, words: &[[&str; 2]]) -> bool {
    words.iter().any(|word| code.contains(&word.concat()))
}
