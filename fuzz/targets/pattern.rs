//! A pattern and a port by anybody: a pattern means what its text says, compared with the obvious way.

use messenger_core::{
    Name, PATTERN, Pattern,
    wire::{Entry, Scope},
};

/// Wildcards by a table of all beginnings of both.
fn is_like(glob: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for c in glob.chars() {
        let end = |n: usize| match c {
            '*' => ends[..=n].contains(&true),
            '?' => n > 0 && ends[n - 1],
            c => n > 0 && ends[n - 1] && name[n - 1] == c,
        };
        ends = (0..=name.len()).map(end).collect();
    }
    ends[name.len()]
}

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((name, pattern)) = text.split_once('\n') else { return };
    let mut words = name.split(' ').filter_map(|word| Name::new(word).ok());
    let (Some(name), kind) = (words.next(), words.next()) else { return };
    let rest: Vec<Name> = words.take(16).collect();
    let properties: Vec<(Name, Name)> = rest.chunks_exact(2).map(|two| (two[0].clone(), two[1].clone())).collect();
    let entry = Entry { name, scope: Scope::Node, claim: 0, kind, properties };
    match Pattern::parse(pattern) {
        Ok(read) => {
            assert!(pattern.len() <= PATTERN && read.to_string() == pattern);
            assert_eq!(Pattern::parse(&read.to_string()).as_ref(), Ok(&read));
            let matches = read.matches(&entry);
            let terms = || pattern.split(|c: char| c.is_whitespace() || c == ',').filter(|term| !term.is_empty());
            let is_glob = |term: &&str| !term.contains(['=', '!', '<', '>']);
            assert!(terms().filter(is_glob).count() <= 1);
            if let Some(glob) = terms().find(is_glob) {
                assert!(!matches || is_like(glob, &entry.name), "{glob}");
                let alone = Pattern::parse(glob).map(|glob| glob.matches(&entry));
                assert_eq!(alone, Ok(is_like(glob, &entry.name)), "{glob}");
            }
            // All terms must hold: each of them alone does, then.
            let mut each = terms().map(|term| Pattern::parse(term).is_ok_and(|term| term.matches(&entry)));
            assert_eq!(each.all(|one| one), matches);
        }
        Err(status) => assert!(!status.is_good()),
    }
}
