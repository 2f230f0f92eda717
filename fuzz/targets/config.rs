//! A configuration file by anybody.

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(e) = minet_node::Config::from_toml(text) {
        assert!(!e.to_string().is_empty());
    }
}
