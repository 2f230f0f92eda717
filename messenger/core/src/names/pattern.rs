//! Patterns: which names, of which kind, with which properties.
//!
//! ```text
//! disk/*  kind=disk, speed>=100
//! ```
//!
//! A pattern is a list of terms between white space or commas, all of which must hold. A term with `=`, `!=`, `<`, `<=`, `>` or
//! `>=` compares a property (`kind` is the port's kind): as whole numbers when both sides are such, else as text. One other term
//! is compared with the name: `*` stands for any characters, `?` for one.

use crate::{
    Name,
    limits::PATTERN,
    status::{Code, Status},
    wire::Entry,
};
use alloc::{boxed::Box, vec::Vec};
use core::{cmp::Ordering, fmt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Is,
    IsNot,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    key: Name,
    compare: Compare,
    value: Name,
}

/// A pattern; see the module's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    glob: Option<Box<str>>,
    conditions: Vec<Condition>,
}

/// Longer operators before their beginnings.
const OPERATORS: [(&str, Compare); 6] = [
    ("!=", Compare::IsNot),
    ("<=", Compare::AtMost),
    (">=", Compare::AtLeast),
    ("=", Compare::Is),
    ("<", Compare::Less),
    (">", Compare::More),
];

impl Pattern {
    /// Reads a pattern. Refusals: [`Code::NameTooLong`] (detail: the most bytes), [`Code::Invalid`] (detail: the byte offset of
    /// the term that is not right).
    pub fn parse(text: &str) -> Result<Pattern, Status> {
        if text.len() > PATTERN {
            return Err(Status::with(Code::NameTooLong, PATTERN));
        }
        let (mut glob, mut conditions) = (None, Vec::new());
        let mut any = false;
        for term in text.split(|c: char| c.is_whitespace() || c == ',').filter(|t| !t.is_empty()) {
            let wrong = Status::with(Code::Invalid, term.as_ptr() as usize - text.as_ptr() as usize);
            any = true;
            if let Some((key, compare, value)) = split(term) {
                let name = |t| Name::new(t).map_err(|_| wrong);
                conditions.push(Condition { key: name(key)?, compare, value: name(value)? });
            } else if glob.is_some() || term.chars().any(char::is_control) || term.len() > Name::MAX {
                return Err(wrong);
            } else {
                glob = Some(term.into());
            }
        }
        if any { Ok(Pattern { text: text.into(), glob, conditions }) } else { Err(Status::new(Code::Invalid)) }
    }

    /// Whether a port is one of those meant.
    pub fn matches(&self, entry: &Entry) -> bool {
        self.glob.as_ref().is_none_or(|glob| is_like(glob, &entry.name))
            && self.conditions.iter().all(|c| c.holds(entry))
    }

    /// What every name that matches begins with.
    pub(crate) fn prefix(&self) -> &str {
        let glob = self.glob.as_deref().unwrap_or("*");
        &glob[..glob.find(['*', '?']).unwrap_or(glob.len())]
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn split(term: &str) -> Option<(&str, Compare, &str)> {
    let at = term.find(['=', '!', '<', '>'])?;
    let (key, rest) = term.split_at(at);
    OPERATORS.iter().find_map(|(op, compare)| Some((key, *compare, rest.strip_prefix(op)?)))
}

impl Condition {
    fn holds(&self, entry: &Entry) -> bool {
        let values = entry.properties.iter().filter(|(k, _)| *k == self.key).map(|(_, v)| v);
        let kind = entry.kind.iter().filter(|_| &*self.key == "kind");
        let mut there = values.chain(kind).map(|value| match (value.parse::<i64>(), self.value.parse::<i64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => (**value).cmp(&*self.value),
        });
        match self.compare {
            Compare::Is => there.any(Ordering::is_eq),
            Compare::IsNot => !there.any(Ordering::is_eq),
            Compare::Less => there.any(Ordering::is_lt),
            Compare::AtMost => there.any(Ordering::is_le),
            Compare::More => there.any(Ordering::is_gt),
            Compare::AtLeast => there.any(Ordering::is_ge),
        }
    }
}

/// Compares with wildcards, in at most the product of both lengths.
fn is_like(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                g += 1;
                n += 1;
            }
            _ => match star {
                // The last star takes one more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (g, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Scope;
    use proptest::prelude::*;
    use std::{string::String, vec};

    fn entry(name: &str) -> Entry {
        let n = |t: &str| Name::new(t).unwrap();
        let properties = vec![(n("speed"), n("1000")), (n("maker"), n("acme"))];
        Entry { name: n(name), scope: Scope::Node, claim: 0, kind: Some(n("disk")), properties }
    }

    fn holds(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&entry(name))
    }

    /// Rows: PP-1.
    #[test]
    fn wildcards_stand_for_names() {
        assert!(holds("disk/*", "disk/0") && holds("disk/*", "disk/1") && !holds("disk/*", "net/0"));
        assert!(holds("*", "x") && holds("d?sk/*0", "disk/a0b0") && !holds("d?sk", "dsk") && holds("*ö?", "größe/ön"));
        assert!(holds("disk/0", "disk/0") && !holds("disk/0", "disk/00"));
        assert_eq!(Pattern::parse("disk/a*b kind=x").unwrap().prefix(), "disk/a");
    }

    /// Rows: PP-2.
    #[test]
    fn kinds_and_properties_are_compared() {
        assert!(holds("kind=disk, speed>=100", "a") && !holds("kind=net, speed>=100", "a"));
        assert!(holds("speed>999 speed<1001 speed<=1000 maker!=other", "a"));
        assert!(!holds("speed>1000", "a") && !holds("speed=0100", "a") && !holds("colour=red", "a"));
        assert!(holds("colour!=red", "a") && holds("maker>abc", "a"));
    }

    /// Rows: PP-6.
    #[test]
    fn what_is_no_pattern_is_refused() {
        for (bad, at) in [("", 0), (" , ", 0), ("a b", 2), ("=x", 0), ("kind=", 0), ("a kind!x", 2), ("speed=a=b!", 99)]
        {
            let told = Pattern::parse(bad);
            if at == 99 {
                assert!(told.is_ok(), "a value may hold an operator");
            } else {
                assert_eq!(told, Err(Status::with(Code::Invalid, at)), "{bad:?}");
            }
        }
        assert_eq!(Pattern::parse("a\0"), Err(Status::new(Code::Invalid)));
        assert_eq!(Pattern::parse(&"x".repeat(65_536)), Err(Status::with(Code::NameTooLong, PATTERN)));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,60}", name in "[a-z/]{1,10}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&entry(&name));
            }
        }

        #[test]
        fn wildcards_agree_with_the_obvious_way(glob in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn obvious(g: &[u8], n: &[u8]) -> bool {
                match (g.first(), n.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => obvious(&g[1..], n) || (!n.is_empty() && obvious(g, &n[1..])),
                    (Some(c), Some(d)) => (*c == b'?' || c == d) && obvious(&g[1..], &n[1..]),
                    _ => false,
                }
            }
            let _ = String::new();
            prop_assert_eq!(is_like(&glob, &name), obvious(glob.as_bytes(), name.as_bytes()));
        }
    }
}
