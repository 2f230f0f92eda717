//! The clauses of `PROTOCOL.md`, and where sources quote them: `PROTOCOL 4.2`, or several as `PROTOCOL 4.2, 4.3 and 7.1`.

use minet_tests::{Error, Result};
use std::{fs, path::Path};

/// The clauses of the protocol in their order, each number once.
///
/// # Errors
/// The file cannot be read, or two clauses have one number.
pub fn clauses(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))?;
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let number = line.strip_prefix("- **").and_then(|rest| rest.split_once("**"));
        let Some((number, _)) = number.filter(|(number, _)| is_number(number)) else { continue };
        if found.iter().any(|other| other == number) {
            return Err(Error::unexpected(format!("PROTOCOL.md has two clauses {number}")));
        }
        found.push(number.to_owned());
    }
    Ok(found)
}

/// The numbers that a line quotes, also as `"4.2 The highest version counts."` at its beginning.
pub fn quoted(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let words = line.trim_start().trim_start_matches(['/', '!']).trim_start().strip_prefix('"');
    found.extend(words.and_then(|words| words.split(' ').next()).filter(|word| is_number(word)).map(str::to_owned));
    for part in line.split("PROTOCOL").skip(1) {
        let part = part.strip_prefix(".md").unwrap_or(part);
        for word in part.split(' ').filter(|word| !word.is_empty()) {
            let number = word.trim_matches(|c: char| !c.is_ascii_digit());
            if is_number(number) {
                found.push(number.to_owned());
            } else if word != "and" {
                break;
            }
            // A list goes on behind a comma, or without anything; what ends it ends a sentence or a part of one.
            if word.ends_with([':', '.', ')', ';']) {
                break;
            }
        }
    }
    found
}

/// `4.12`.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(section, clause)| digits(section) && digits(clause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        coverage::claims::{self, sources},
        workspace::Workspace,
    };
    use std::collections::BTreeSet;

    /// Clauses that no test names, and why none can.
    const WITHOUT: &[(&str, &str)] = &[];

    #[test]
    fn quotes_are_found() {
        let of = |line: &str| quoted(line).join(" ");
        assert_eq!(of("/// `PROTOCOL 4.2`, `4.3`: the rest of 9.1"), "4.2 4.3");
        assert_eq!(of("/// Sent again: PROTOCOL 7.1, 7.2 and 7.3."), "7.1 7.2 7.3");
        assert_eq!(of("//! (PROTOCOL.md 13.2). PROTOCOL section 10, PROTOCOL 10.1: x"), "13.2 10.1");
        assert_eq!(of("    /// \"13.1 Different mailboxes have different ports.\""), "13.1");
        assert_eq!(of("/// nothing of 4.2") + &of("/// PROTOCOL 7.1 says that 7.2 is 7.3"), "7.1");
    }

    #[test]
    fn every_clause_has_a_test_and_every_quote_a_clause() {
        let workspace = Workspace::find().unwrap();
        let clauses: BTreeSet<String> = clauses(&workspace.root.join("PROTOCOL.md")).unwrap().into_iter().collect();
        assert!(clauses.len() > 100, "{clauses:?}");
        let mut wrong = Vec::new();
        // This file quotes what is no clause, to test that.
        let others =
            sources(&workspace.root).unwrap().into_iter().filter(|path| !path.ends_with("coverage/protocol.rs"));
        for path in others.filter(|path| !path.ends_with("coverage/claims.rs")) {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let unknown = quoted(line).into_iter().filter(|clause| !clauses.contains(clause));
                wrong.extend(
                    unknown.map(|clause| format!("{}:{}: there is no clause {clause}", path.display(), number + 1)),
                );
            }
        }
        let shown: BTreeSet<String> = claims::find(&workspace).unwrap().into_iter().flat_map(|c| c.clauses).collect();
        let without: BTreeSet<String> = WITHOUT.iter().map(|(clause, _)| (*clause).to_owned()).collect();
        let missing = clauses.iter().filter(|clause| !shown.contains(*clause) && !without.contains(*clause));
        wrong.extend(missing.map(|clause| format!("no test names clause {clause}")));
        let needless = without.iter().filter(|clause| shown.contains(*clause) || !clauses.contains(*clause));
        wrong.extend(needless.map(|clause| format!("{clause} needs no exception")));
        assert!(
            wrong.is_empty(),
            "{} of {} clauses shown:\n{}",
            clauses.intersection(&shown).count(),
            clauses.len(),
            wrong.join("\n")
        );
    }
}
