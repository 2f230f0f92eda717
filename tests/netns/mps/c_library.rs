//! The C library: a C program, compiled with the header and linked both ways, between two daemons.

use super::*;
use crate::topology::mesh;
use minet_tests::{Error as Failure, Process, run};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What a program that has `libmps.a` in it needs besides.
const SYSTEM: &[&str] = &["-lpthread", "-ldl", "-lm", "-lgcc_s"];

/// The folder with the library, which is built as `minet` is: before, or with the whole workspace.
fn library() -> Result<PathBuf> {
    let own = env::current_exe().map_err(Failure::io("find the running program"))?;
    let mut above = own.ancestors().skip(1).take(3);
    let found = above.find(|dir| dir.join("libmps.so").is_file() && dir.join("libmps.a").is_file());
    let none = || Failure::unexpected("there is no library `libmps`: build it (`cargo build -p messenger-mps-c`)");
    found.map(Path::to_path_buf).ok_or_else(none)
}

/// Compiles the program; no warning is let pass.
fn compiled(net: &Net, name: &str, link: impl FnOnce(&mut Command)) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = net.dir().join(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-o"]).arg(&program);
    cc.arg("-I").arg(root.join("../messenger/mps-c/include")).arg(root.join("c/mps.c"));
    link(&mut cc);
    run(cc)?;
    Ok(program)
}

/// Starts the program as a client of `node` that talks to one of `peer`.
fn started(program: &Path, role: &str, node: &Node, peer: &Node) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg(role).arg(node.run_dir()).args([node.name(), peer.name()]);
    let process = Process::spawn(command)?;
    eventually(SOON, "an open session", || Ok(process.output()?.stdout.starts_with("open ").then_some(())))?;
    Ok(process)
}

/// Rows: MP-22, MP-25, MP-29, MP-30, MP-36, MP-37, MP-39, MP-41, MP-42.
#[test]
fn a_c_program_exchanges_messages() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let folder = library()?;
    let shared = compiled(&net, "shared", |cc| {
        cc.arg("-L").arg(&folder).args(["-lmps", "-lpthread"]).arg(format!("-Wl,-rpath,{}", folder.display()));
    })?;
    let with_all = compiled(&net, "static", |cc| {
        cc.arg(folder.join("libmps.a")).args(SYSTEM);
    })?;
    for (server, asker) in [(&shared, &with_all), (&with_all, &shared)] {
        let serves = started(server, "serve", b, a)?;
        knows(a, "mps/MGMT/größe", "b")?;
        let asks = started(asker, "ask", a, b)?;
        let (asked, served) = (asks.finish(SOON)?, serves.finish(SOON)?);
        assert_eq!((&*asked.stdout, &*served.stdout), ("open 1 2\ndone\n", "open 2 1\ndone\n"));
    }
    Ok(())
}
