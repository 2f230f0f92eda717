//! The rows of `tests/checklist.tsv`: id, section, text.

use minet_tests::{Error, Result};
use std::{fs, path::Path};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Such as `MN-8`.
    pub id: String,
    /// Such as `A.5`.
    pub section: String,
    /// What must exist, shortly.
    pub text: String,
}

/// Reads the file.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let row = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        match (cells.next(), cells.next(), cells.next(), cells.next()) {
            (Some(id), Some(section), Some(text), None) => Ok(Row { id, section, text }),
            _ => Err(Error::unexpected(format!("not a row of the checklist: {line}"))),
        }
    };
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_checklist_has_its_256_rows() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/checklist.tsv");
        let rows = read(&path).unwrap();
        let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((rows.len(), ids.len()), (256, 256));
        for row in &rows {
            assert!(row.section.starts_with("A.") && !row.text.is_empty(), "{row:?}");
        }
    }

    #[test]
    fn a_broken_row_is_told() {
        assert!(parse("MN-1\tA.5").is_err());
        assert_eq!(parse("# about\nMN-1\tA.5\ttext\n").unwrap().len(), 1);
    }
}
