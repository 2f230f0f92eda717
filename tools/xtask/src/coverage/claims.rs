//! What tests say they show: `/// Rows: MA-01, MN-8.` above a `#[test]` function, and clauses of the protocol, `/// PROTOCOL 4.2, 7.1.`.
//!
//! A claim is matched with a test that ran by package, target and the whole path of the function. Functions that a
//! macro makes have no path in the source: they match by package and name.

use crate::{test::TestName, workspace::Workspace};
use minet_tests::{Error, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A test and the rows it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where it stands: file and line.
    pub place: String,
    /// The rows.
    pub rows: Vec<String>,
    /// The clauses.
    pub clauses: Vec<String>,
    package: String,
    target: String,
    path: String,
    by_macro: bool,
}

impl Claim {
    /// Whether it is this test.
    pub fn is(&self, test: &TestName) -> bool {
        if test.package != self.package {
            return false;
        }
        let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
        if self.by_macro {
            last(&test.path) == last(&self.path)
        } else {
            test.target == self.target && test.path == self.path
        }
    }

    /// The test for a reader.
    pub fn told(&self) -> String {
        format!("{} {}", self.package, self.path)
    }
}

/// All claims of the workspace.
pub fn find(workspace: &Workspace) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    for file in sources(&workspace.root)? {
        let Some((package, target, module)) = owner(workspace, &file) else { continue };
        let text = fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))?;
        let short = file.strip_prefix(&workspace.root).unwrap_or(&file).display().to_string();
        for found in scan(&text) {
            let path = module.iter().cloned().chain(found.modules).chain([found.function]).collect::<Vec<_>>();
            claims.push(Claim {
                place: format!("{short}:{}", found.line),
                rows: found.rows,
                clauses: found.clauses,
                package: package.clone(),
                target: target.clone(),
                path: path.join("::"),
                by_macro: found.by_macro,
            });
        }
    }
    Ok(claims)
}

/// What one file claims.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    rows: Vec<String>,
    clauses: Vec<String>,
    modules: Vec<String>,
    function: String,
    by_macro: bool,
}

/// Reads formatted source: a block that begins at some indentation ends with a brace at the same.
fn scan(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut blocks: Vec<(usize, Option<String>)> = Vec::new();
    let (mut rows, mut clauses): (Vec<String>, Vec<String>) = Default::default();
    let mut is_test = false;
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with('}') {
            blocks.retain(|(depth, _)| *depth < indent);
        } else if let Some(list) = code.strip_prefix("/// Rows:") {
            rows = list
                .split([',', ' ', '.'])
                .filter(|id| !id.is_empty())
                .map(|id| id.trim_end_matches('+').to_owned())
                .collect();
        } else if code.starts_with("///") {
            clauses.extend(super::protocol::quoted(code));
        } else if code.starts_with("#[test]") {
            is_test = true;
        } else if let Some(name) = function_name(code) {
            if is_test && !(rows.is_empty() && clauses.is_empty()) {
                let modules = blocks.iter().filter_map(|(_, name)| name.clone()).collect();
                let by_macro = blocks.iter().any(|(_, name)| name.is_none());
                let (rows, clauses) = (std::mem::take(&mut rows), std::mem::take(&mut clauses));
                found.push(Found { line: number + 1, rows, clauses, modules, function: name, by_macro });
            }
            rows.clear();
            clauses.clear();
            is_test = false;
        } else if code.starts_with("macro_rules!") || opens_macro(code) {
            blocks.push((indent, None));
        } else if let Some(name) = module_name(code) {
            blocks.push((indent, Some(name)));
        } else if !code.starts_with("#[") {
            // What stands above something else is not a test's.
            clauses.clear();
        }
    }
    found
}

fn function_name(code: &str) -> Option<String> {
    let code = code.strip_prefix("pub ").unwrap_or(code);
    let name = code.strip_prefix("fn ")?.split(['(', '<']).next()?;
    Some(name.trim().to_owned())
}

fn module_name(code: &str) -> Option<String> {
    let code = code.strip_prefix("pub ").unwrap_or(code);
    Some(code.strip_prefix("mod ")?.strip_suffix('{')?.trim().to_owned())
}

/// `name! {`, as `proptest! {`: functions inside stand where they would without it.
fn opens_macro(code: &str) -> bool {
    code.ends_with("! {") && !code.starts_with("proptest!")
}

/// The package, target and module path of a file: the target whose root is nearest above it.
fn owner(workspace: &Workspace, file: &Path) -> Option<(String, String, Vec<String>)> {
    let depth = |root: &PathBuf| root.parent().filter(|dir| file.starts_with(dir)).map(|dir| dir.components().count());
    let targets = workspace.packages.iter().flat_map(|p| p.targets.iter().map(move |(name, root)| (p, name, root)));
    // A root itself is its own; otherwise the nearest, a library before a binary beside it.
    let best = targets.filter_map(|(package, name, root)| {
        let is_lib = root.file_name().is_some_and(|name| name == "lib.rs");
        Some(((root == file, depth(root)?, is_lib), package, name, root))
    });
    let (_, package, name, root) = best.max_by_key(|(rank, ..)| *rank)?;
    if root == file {
        return Some((package.name.clone(), name.clone(), Vec::new()));
    }
    let inside = file.strip_prefix(root.parent()?).ok()?.with_extension("");
    let parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    Some((package.name.clone(), name.clone(), parts.filter(|part| part != "mod").collect()))
}

/// Every Rust file below a directory, also of what is outside the workspace.
pub fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("read {}", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(what()))? {
        let path = entry.map_err(Error::io(what()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(sources(&path)?);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r"
/// Rows: MN-99.
fn helper() {}

mod tests {
    mod inner {
        /// What it shows.
        /// Rows: MA-01, MQ-12+.
        #[test]
        fn deep() {
        }
    }

    /// A field (`PROTOCOL 4.2`, `4.3`) is not one of a test.
    field: u32,

    /// Sent again: PROTOCOL 7.1, 7.2.
    /// Rows: MN-8.
    #[test]
    #[ignore]
    fn shallow() -> Result<()> {
    }
}

macro_rules! suite {
    ($name:ident) => {
        /// Rows: MA-10.
        #[test]
        fn made() {}
    };
}
";

    #[test]
    fn claims_are_found_with_their_modules() {
        let rows = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let found = scan(SOURCE);
        let of = |name: &str| found.iter().find(|found| found.function == name).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            (of("deep").rows.clone(), of("deep").modules.clone()),
            (rows(&["MA-01", "MQ-12"]), rows(&["tests", "inner"]))
        );
        assert_eq!((of("shallow").rows.clone(), of("shallow").modules.clone()), (rows(&["MN-8"]), rows(&["tests"])));
        assert_eq!((of("shallow").clauses.clone(), of("deep").clauses.len()), (rows(&["7.1", "7.2"]), 0));
        assert!(of("made").by_macro && !of("deep").by_macro);
    }

    #[test]
    fn a_claim_is_the_test_with_its_whole_path() {
        let claim = Claim {
            place: String::new(),
            rows: vec![],
            clauses: vec![],
            package: "p".into(),
            target: "t".into(),
            path: "a::tests::f".into(),
            by_macro: false,
        };
        let test =
            |target: &str, path: &str| TestName { package: "p".into(), target: target.into(), path: path.into() };
        assert!(claim.is(&test("t", "a::tests::f")));
        assert!(!claim.is(&test("t", "b::tests::f")) && !claim.is(&test("u", "a::tests::f")));
        let made = Claim { by_macro: true, ..claim };
        assert!(made.is(&test("u", "b::f")) && !made.is(&test("u", "b::g")));
    }

    #[test]
    fn files_belong_to_the_nearest_root() {
        let package = |name: &str, targets: &[(&str, &str)]| crate::workspace::Package {
            dir: "x".into(),
            name: name.into(),
            targets: targets.iter().map(|(name, root)| ((*name).to_owned(), PathBuf::from(root))).collect(),
            tests: Vec::new(),
        };
        let workspace = Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            packages: vec![
                package("node", &[("minet", "/w/node/src/main.rs"), ("minet_node", "/w/node/src/lib.rs")]),
                package(
                    "tests",
                    &[
                        ("lib", "/w/tests/harness/lib.rs"),
                        ("arrows", "/w/tests/arrows.rs"),
                        ("netns", "/w/tests/netns/main.rs"),
                    ],
                ),
            ],
        };
        let of = |file: &str| {
            let (package, target, module) = owner(&workspace, Path::new(file)).unwrap();
            format!("{package} {target} {}", module.join("::"))
        };
        assert_eq!(of("/w/node/src/main.rs"), "node minet ");
        assert_eq!(of("/w/node/src/lane/mod.rs"), "node minet_node lane");
        assert_eq!(of("/w/node/src/lane/tap.rs"), "node minet_node lane::tap");
        assert_eq!(of("/w/tests/netns/bridge.rs"), "tests netns bridge");
        assert_eq!(of("/w/tests/harness/ping.rs"), "tests lib ping");
        assert_eq!(of("/w/tests/arrows.rs"), "tests arrows ");
    }
}
