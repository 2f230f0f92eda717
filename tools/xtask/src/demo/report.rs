//! The table of what was seen.

use super::stage::Door;
use crate::table;
use minet_tests::{Error, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The rows until now.
pub struct Report {
    begun: Instant,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    took: Duration,
    seen: Result<String>,
}

impl Report {
    /// Without rows.
    pub fn new() -> Self {
        Self { begun: Instant::now(), rows: Vec::new() }
    }

    /// Shows one thing, tells it at once on standard error and keeps it.
    pub fn add(&mut self, name: &'static str, show: impl FnOnce() -> Result<String>) {
        let begun = Instant::now();
        let seen = show();
        let took = begun.elapsed();
        match &seen {
            Ok(figure) => eprintln!("  {name}: {figure}"),
            Err(error) => eprintln!("  {name}: FAILED\n{error}"),
        }
        self.rows.push(Row { name, took, seen });
    }

    /// Whether every row was shown.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.seen.is_ok())
    }

    /// For a person.
    pub fn table(&self) -> String {
        let head = ["", "shown", "figure", "s"].map(str::to_owned);
        let line = |row: &Row| {
            let mark = if row.seen.is_ok() { "ok" } else { "FAILED" }.to_owned();
            [mark, row.name.to_owned(), figure(&row.seen), format!("{:.1}", row.took.as_secs_f64())]
        };
        let lines: Vec<_> = std::iter::once(head).chain(self.rows.iter().map(line)).collect();
        let good = self.rows.iter().filter(|row| row.seen.is_ok()).count();
        let seconds = self.begun.elapsed().as_secs();
        format!("\n{}\n{good} of {} shown in {seconds} s\n", table::columns(&lines), self.rows.len())
    }

    /// For a program; while the nodes run on, with the lines that lead to them and one that asks.
    pub fn json(&self, doors: &[Door], question: Option<String>) -> String {
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "ok": row.seen.is_ok(),
                "figure": row.seen.as_ref().ok(),
                "error": row.seen.as_ref().err().map(Error::to_string),
                "seconds": row.took.as_secs_f64(),
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let mut all = json!({ "ok": self.is_good(), "rows": rows, "seconds": self.begun.elapsed().as_secs_f64() });
        let door = |door: &Door| {
            json!({
                "node": door.node,
                "host": door.host,
                "ipv4": door.ipv4,
                "ipv6": door.ipv6,
                "namespace": door.space,
                "type": door.line,
            })
        };
        if let (Some(question), Some(fields)) = (question, all.as_object_mut()) {
            fields.insert("namespaces".to_owned(), doors.iter().map(door).collect::<Vec<Value>>().into());
            fields.insert("ask".to_owned(), question.into());
        }
        format!("{all}\n")
    }
}

/// A figure, or the first line of what went wrong.
fn figure(seen: &Result<String>) -> String {
    match seen {
        Ok(figure) => figure.clone(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_row_fails_the_report() {
        let mut report = Report::new();
        report.add("one", || Ok("7 µs".to_owned()));
        assert!(report.is_good());
        report.add("two", || Err(Error::unexpected("no reply\nand more")));
        assert!(!report.is_good());
        let table = report.table();
        assert!(table.contains("7 µs") && table.contains("FAILED") && table.contains("no reply"), "{table}");
        assert!(table.contains("1 of 2 shown"), "{table}");
        let json: Value = serde_json::from_str(&report.json(&[], None)).unwrap();
        assert_eq!(json["rows"][1]["ok"], false);
        assert_eq!(json["rows"][0]["figure"], "7 µs");
    }
}
