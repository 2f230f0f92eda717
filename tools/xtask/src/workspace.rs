//! Where things are, and cargo.

use minet_tests::{Error, Process, Result, command_line, run};
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// No build takes longer.
const BUILD: Duration = Duration::from_secs(3600);

/// The workspace this program was built from.
pub struct Workspace {
    /// Its top directory.
    pub root: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Every package of it with its targets.
    pub packages: Vec<Package>,
}

/// A package of the workspace.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its directory, where its tests run.
    pub dir: PathBuf,
    /// What cargo makes of it: target name and root source file.
    pub targets: Vec<(String, PathBuf)>,
    /// Those of them that are in `tests`.
    pub tests: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let mut command = Command::new(cargo());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
        let said = run(command)?.stdout;
        let said: Value = serde_json::from_str(&said).map_err(|e| Error::unexpected(format!("cargo metadata: {e}")))?;
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        let target = |target: &Value| Some((target["name"].as_str()?.to_owned(), path(&target["src_path"])?));
        let package = |package: &Value| {
            let all = package["targets"].as_array()?;
            let tests =
                all.iter().filter(|target| target["kind"][0] == "test").filter_map(target).map(|(name, _)| name);
            let (targets, tests) = (all.iter().filter_map(target).collect(), tests.collect());
            let dir = path(&package["manifest_path"])?.parent()?.to_owned();
            Some(Package { dir, name: package["name"].as_str()?.to_owned(), targets, tests })
        };
        let packages = said["packages"].as_array().map(|all| all.iter().filter_map(package).collect());
        let found = (|| {
            let (root, target) = (path(&said["workspace_root"])?, path(&said["target_directory"])?);
            Some(Self { root, target, packages: packages? })
        })();
        found.ok_or_else(|| Error::unexpected("cargo metadata does not name the workspace"))
    }

    /// Where tasks keep what other tasks read.
    pub fn records(&self) -> Result<PathBuf> {
        let dir = self.target.join("minet");
        std::fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        Ok(dir)
    }

    /// The commit that is checked out, and whether files are changed; for a tree without git, that.
    pub fn commit(&self) -> String {
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.args(args).current_dir(&self.root);
            run(command).map(|said| said.stdout.trim().to_owned())
        };
        match (git(&["rev-parse", "--short=12", "HEAD"]), git(&["status", "--porcelain"])) {
            (Ok(commit), Ok(changes)) if changes.is_empty() => commit,
            (Ok(commit), _) => format!("{commit} with changes"),
            (Err(_), _) => "no commit".to_owned(),
        }
    }

    /// A cargo command in the workspace.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(args).current_dir(&self.root);
        as_from_a_shell(&mut command);
        command
    }

    /// Runs cargo with its output shown.
    pub fn show_cargo(&self, args: &[&str]) -> Result<()> {
        show(self.cargo(args))
    }

    /// Builds the command `minet` and gives its path.
    pub fn build_minet(&self, release: bool) -> Result<PathBuf> {
        let profile: &[&str] = if release { &["--release"] } else { &[] };
        self.show_cargo(&[&["build", "--package", "minet-node", "--bin", "minet"], profile].concat())?;
        Ok(self.target.join(if release { "release" } else { "debug" }).join("minet"))
    }
}

/// Without what the cargo that runs this program says of it: some build scripts ask for that, and would run again, with all that
/// depends on them, whenever a person's own `cargo build` comes between two tasks.
fn as_from_a_shell(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let is_told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_told) {
            command.env_remove(name);
        }
    }
}

/// Runs a command with its output shown and checks its status.
pub fn show(command: Command) -> Result<()> {
    let line = command_line(&command);
    match Process::spawn_as_is(command)?.wait(BUILD)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Error::unexpected(format!("`{line}` failed, {status}"))),
        None => Err(Error::unexpected(format!("`{line}` did not end within {BUILD:?}"))),
    }
}

fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
