//! A configuration file by anybody.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(e) = minet_node::Config::from_toml(text) {
        assert!(!e.to_string().is_empty());
    }
});
