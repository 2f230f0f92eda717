//! What is recorded: `tests/instructions.toml`.

use minet_tests::{Error, Result};
use std::{fmt::Write, fs, io, path::Path};

/// Where it is, in the workspace.
pub const FILE: &str = "tests/instructions.toml";

/// Instructions of every piece, and who compiled it.
#[derive(Debug, PartialEq, Eq)]
pub struct Baseline {
    /// What `rustc --version` said.
    pub compiler: String,
    /// Instructions for one run of each piece.
    pub counts: Vec<(String, u64)>,
}

impl Baseline {
    /// Reads it; nothing where none is recorded.
    pub fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
        };
        let read = Self::parse(&text);
        read.map(Some).ok_or_else(|| Error::unexpected(format!("{} is not as it was recorded", path.display())))
    }

    /// Writes it.
    pub fn write(&self, root: &Path) -> Result<()> {
        let path = root.join(FILE);
        fs::write(&path, self.emit()).map_err(Error::io(format!("write {}", path.display())))
    }

    /// Instructions of one piece.
    pub fn of(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(piece, _)| piece == name).map(|(_, count)| *count)
    }

    fn emit(&self) -> String {
        let mut text = String::from("# Written by `cargo xtask instructions --record`: instructions a piece.\n");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "compiler = {:?}\n\n[pieces]", self.compiler);
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name:?} = {count}");
        }
        text
    }

    /// The lines that `emit` writes: a value each, names in quotes.
    fn parse(text: &str) -> Option<Self> {
        let (top, pieces) = text.split_once("[pieces]")?;
        let compiler = top.lines().find_map(|line| line.strip_prefix("compiler = ")).map(unquoted)?.to_owned();
        let row = |line: &str| {
            let (name, count) = line.rsplit_once(" = ")?;
            Some((unquoted(name).to_owned(), count.trim().parse().ok()?))
        };
        let lines = pieces.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        Some(Self { compiler, counts: lines.map(row).collect::<Option<_>>()? })
    }
}

fn unquoted(word: &str) -> &str {
    word.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = vec![("ring, one".to_owned(), 12), ("header".to_owned(), 3_000_000)];
        let baseline = Baseline { compiler: "rustc 1.95.0 (abc 2026-01-01)".to_owned(), counts };
        assert_eq!(Baseline::parse(&baseline.emit()), Some(baseline));
        assert_eq!(Baseline::parse("compiler = \"x\"\n[pieces]\n\"a\" = many\n"), None);
        assert_eq!(Baseline::parse("nothing"), None);
    }
}
