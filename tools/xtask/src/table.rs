//! Tables for a terminal.

/// Lines up the cells of rows in columns, two spaces between them.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_in_columns() {
        let rows = [["a", "long cell", "x"], ["bcd", "é", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a    long cell  x\nbcd  é\n");
    }
}
