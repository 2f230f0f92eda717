//! Private networks over UDP that are programs.

use crate::bench::rig::{OVERLAY, Rig, Standing, UNDERLAY};
use minet_tests::{Error, Result};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// The two ends: own place, other place.
const ENDS: [(usize, usize); 2] = [(0, 1), (1, 0)];

/// A switch of two nodes.
pub fn tinc(rig: &Rig, cipher: bool) -> Result<Standing> {
    let plain = if cipher { "" } else { "Cipher = none\nDigest = none\nMACLength = 0\n" };
    for (own, _) in ENDS {
        let dir = rig.file(&format!("tinc{own}"));
        let key = openssl(&["genrsa", "-traditional", "2048"])?;
        let file = dir.join("rsa_key.priv");
        secret(rig, &file, after_mark(&key))?;
        let public = openssl(&["rsa", "-in", &file.display().to_string(), "-RSAPublicKey_out"])?;
        let connect = if own == 0 { "" } else { "ConnectTo = n0\n" };
        let network = "Mode = switch\nDeviceType = tap\nAddressFamily = ipv4\n";
        let text = format!("Name = n{own}\nInterface = ti{own}\n{network}{connect}");
        rig.write(&dir.join("tinc.conf"), &text)?;
        let up = dir.join("tinc-up");
        rig.write(&up, "#!/bin/sh\nexit 0\n")?;
        permit(&up, 0o755)?;
        let host = format!("Address = {}\n{plain}{}", UNDERLAY[own], after_mark(&public));
        for (place, _) in ENDS {
            rig.write(&rig.file(&format!("tinc{place}/hosts/n{own}")), &host)?;
        }
    }
    let mut processes = Vec::new();
    for (space, (own, _)) in rig.ends().into_iter().zip(ENDS) {
        let dir = rig.file(&format!("tinc{own}"));
        let pid = format!("--pidfile={}.pid", dir.display());
        processes.push(rig.spawn(space, "tincd", &[&"-D", &"-c", &dir.display(), &pid])?);
    }
    rig.configure(["ti0", "ti1"], None)?;
    Ok(Standing::carried_by(processes).settling(6))
}

/// A tunnel with certificates that name each other.
pub fn openvpn(rig: &Rig, cipher: bool) -> Result<Standing> {
    let mut prints = Vec::new();
    for (own, _) in ENDS {
        let [key, certificate] = ["key", "crt"].map(|kind| rig.file(&format!("{own}.{kind}")).display().to_string());
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
        let subject = format!("/CN={own}");
        let rest = ["-nodes", "-days", "30", "-subj", &subject, "-keyout", &key, "-out", &certificate];
        openssl(&[&["req", "-x509"], curve.as_slice(), rest.as_slice()].concat())?;
        let said = openssl(&["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"])?;
        prints.push(said.trim().rsplit('=').next().unwrap_or_default().to_owned());
    }
    let mut processes = Vec::new();
    for (space, (own, other)) in rig.ends().into_iter().zip(ENDS) {
        let role: &[&str] = if own == 0 { &["--tls-server", "--dh", "none"] } else { &["--tls-client"] };
        let plain: &[&str] =
            if cipher { &[] } else { &["--data-ciphers", "none", "--cipher", "none", "--auth", "none"] };
        let line = format!(
            "--dev ov{own} --dev-type tap --proto udp4 --port 1194 --local {} --remote {} --cert {} --key {} \
             --peer-fingerprint {}",
            UNDERLAY[own],
            UNDERLAY[other],
            rig.file(&format!("{own}.crt")).display(),
            rig.file(&format!("{own}.key")).display(),
            prints[other],
        );
        let args: Vec<&str> = line.split_whitespace().chain(role.iter().chain(plain).copied()).collect();
        processes.push(space.spawn("openvpn", &args)?);
    }
    rig.configure(["ov0", "ov1"], None)?;
    Ok(Standing::carried_by(processes).settling(1))
}

/// Two edges and the node that introduces them.
pub fn n2n(rig: &Rig) -> Result<Standing> {
    let mut processes = vec![rig.spawn(&rig.left, "supernode", &[&"-l", &"7654"])?];
    for (space, (own, _)) in rig.ends().into_iter().zip(ENDS) {
        let line = format!(
            "-d nn{own} -a {} -c bench -k benchkey -l {}:7654 -u 0 -g 0 -m 02:00:00:00:00:0{own}",
            OVERLAY[own], UNDERLAY[0]
        );
        processes.push(space.spawn("edge", &line.split_whitespace().collect::<Vec<_>>())?);
    }
    // It configures its interface itself.
    Ok(Standing::carried_by(processes).settling(1))
}

/// Two nodes that know each other's address.
pub fn nebula(rig: &Rig) -> Result<Standing> {
    let at = |name: &str| rig.file(name).display().to_string();
    let (crt, key) = (at("ca.crt"), at("ca.key"));
    tool("nebula-cert", &["ca", "-name", "bench", "-out-crt", &crt, "-out-key", &key])?;
    let mut processes = Vec::new();
    for (space, (own, other)) in rig.ends().into_iter().zip(ENDS) {
        let [own_crt, own_key, file] = ["crt", "key", "yml"].map(|kind| at(&format!("{own}.{kind}")));
        let (name, address) = (own.to_string(), format!("{}/24", OVERLAY[own]));
        let by = ["sign", "-ca-crt", &crt, "-ca-key", &key, "-name", &name, "-ip", &address];
        tool("nebula-cert", &[by.as_slice(), &["-out-crt", &own_crt, "-out-key", &own_key]].concat())?;
        let anyone = "[{port: any, proto: any, host: any}]";
        let text = format!(
            "pki: {{ca: {crt}, cert: {own_crt}, key: {own_key}}}\n\
             static_host_map: {{\"{}\": [\"{}:4242\"]}}\n\
             lighthouse: {{am_lighthouse: false, hosts: []}}\nlisten: {{host: 0.0.0.0, port: 4242}}\n\
             tun: {{dev: ne{own}}}\nfirewall: {{outbound: {anyone}, inbound: {anyone}}}\n",
            OVERLAY[other], UNDERLAY[other],
        );
        rig.write(Path::new(&file), &text)?;
        processes.push(space.spawn("nebula", &["-config", &file])?);
    }
    Ok(Standing::carried_by(processes).settling(2))
}

/// A switch of two nodes that share a password.
pub fn vpncloud(rig: &Rig) -> Result<Standing> {
    let mut processes = Vec::new();
    for (space, (own, other)) in rig.ends().into_iter().zip(ENDS) {
        // It looks up its own address by a route.
        space.ip(&["route", "add", "default", "dev", "u0"])?;
        let line = format!(
            "-t tap -m switch -d vc{own} -l {}:3210 -c {}:3210 -p bench --no-auto-claim --no-port-forwarding \
             --algorithm plain",
            UNDERLAY[own], UNDERLAY[other],
        );
        processes.push(space.spawn("vpncloud", &line.split_whitespace().collect::<Vec<_>>())?);
    }
    rig.configure(["vc0", "vc1"], None)?;
    Ok(Standing::carried_by(processes).settling(1))
}

fn openssl(args: &[&str]) -> Result<String> {
    tool("openssl", args)
}

fn tool(program: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args);
    Ok(minet_tests::run(command)?.stdout)
}

/// From the first mark of a key on.
fn after_mark(text: &str) -> &str {
    text.find("-----BEGIN").and_then(|at| text.get(at..)).unwrap_or(text)
}

fn secret(rig: &Rig, path: &Path, text: &str) -> Result<()> {
    rig.write(path, text)?;
    permit(path, 0o600)
}

fn permit(path: &Path, mode: u32) -> Result<()> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(Error::io(format!("permit {}", path.display())))
}
