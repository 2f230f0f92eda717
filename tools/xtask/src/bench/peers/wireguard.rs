//! WireGuard that is a program. It carries IP packets, not frames.

use crate::bench::rig::{Rig, Standing, UNDERLAY};
use minet_tests::{Error, Netns, Process, Result, SOON, eventually};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// The one in Go.
pub fn wireguard_go(rig: &Rig) -> Result<Standing> {
    stand(rig, |space, interface| {
        let mut command = space.command("wireguard-go", &["-f", interface]);
        command.env("WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD", "1");
        command
    })
}

/// The one in Rust.
pub fn boringtun(rig: &Rig) -> Result<Standing> {
    stand(rig, |space, interface| space.command("boringtun-cli", &["-f", "--disable-drop-privileges", interface]))
}

fn stand(rig: &Rig, program: impl Fn(&Netns, &str) -> Command) -> Result<Standing> {
    // Their sockets are in one directory for all namespaces, so the names are our own.
    let names = ["l", "r"].map(|end| format!("mn{end}{}", std::process::id()));
    let (mut processes, mut keys, mut publics) = (Vec::new(), Vec::new(), Vec::new());
    for (space, name) in rig.ends().into_iter().zip(&names) {
        let file = rig.file(&format!("{name}.key"));
        let key = space.run("wg", &["genkey"])?.stdout;
        rig.write(&file, &key)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(Error::io("protect a key"))?;
        let from = "wg pubkey < \"$0\"";
        publics.push(space.run("sh", &["-c", from, &file.display().to_string()])?.stdout.trim().to_owned());
        keys.push(file.display().to_string());
        processes.push(Process::spawn(program(space, name))?);
        let socket = socket_of(name);
        let there = || Ok(Path::new(&socket).exists().then_some(()));
        eventually(SOON, &socket, there)?;
    }
    for (own, (space, name)) in rig.ends().into_iter().zip(&names).enumerate() {
        let other = 1 - own;
        let endpoint = format!("{}:51820", UNDERLAY[other]);
        let peer = ["peer", &publics[other], "allowed-ips", "10.97.0.0/24", "endpoint", &endpoint];
        let line = ["set", name, "listen-port", "51820", "private-key", &keys[own]];
        space.run("wg", &[line.as_slice(), peer.as_slice()].concat())?;
    }
    // It is asked for nothing more, and nobody would remove it when the programs are killed.
    for name in &names {
        let _ = fs::remove_file(socket_of(name));
    }
    rig.configure([&names[0], &names[1]], Some(1420))?;
    Ok(Standing::carried_by(processes).settling(1))
}

fn socket_of(interface: &str) -> String {
    format!("/var/run/wireguard/{interface}.sock")
}
