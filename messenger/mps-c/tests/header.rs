//! The header that C programs use is the one that belongs to the code.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use cbindgen::{Builder, Config, EnumConfig, Language, RenameRule, Style};
use std::{env, fs, path::Path};

const TOP: &str = "/* The Message Passing Service. Made from the code by cbindgen: change that, and run its test with
 * MPS_HEADER=write.
 *
 * Services return MPS_STATUS_SUCCESS or say why not. They may be used from any thread, those that wait for others too, but a
 * callback that waits keeps other callbacks waiting. A session without a callback has synchronous services only. */";

fn made() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        header: Some(TOP.to_owned()),
        include_guard: Some("MPS_H".to_owned()),
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: ["stddef.h", "stdint.h", "wchar.h"].map(str::to_owned).to_vec(),
        line_length: 110,
        style: Style::Both,
        documentation_style: cbindgen::DocumentationStyle::C99,
        enumeration: EnumConfig {
            prefix_with_name: true,
            rename_variants: RenameRule::ScreamingSnakeCase,
            ..EnumConfig::default()
        },
        export: cbindgen::ExportConfig {
            rename: [("Status".to_owned(), "MpsStatus".to_owned())].into(),
            include: vec!["Status".to_owned()],
            ..cbindgen::ExportConfig::default()
        },
        ..Config::default()
    };
    let sources =
        ["../mps/src/status.rs", "src/sys.rs", "src/sys/sessions.rs", "src/sys/buffers.rs", "src/sys/exchange.rs"];
    let builder = sources.iter().fold(Builder::new().with_config(config), |b, source| b.with_src(root.join(source)));
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_header_belongs_to_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/mps.h");
    let made = made();
    if env::var_os("MPS_HEADER").is_some_and(|what| what == "write") {
        fs::write(&file, &made).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == made, "include/mps.h is not what the code makes: run this test with MPS_HEADER=write");
}
