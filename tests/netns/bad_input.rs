//! What a user can get wrong: one clear line, no interface left, never a panic or a hang.

use minet_tests::{Config, Error, Iperf, Net, Netns, Node, Ping, Process, Result, SOON, cable, eventually};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Runs `minet run` with these arguments until it ends and gives what it said. It must fail.
fn refused(net: &Net, space: &Netns, args: &[&str]) -> Result<String> {
    let mut process: Process = space.spawn(net.minet()?, &[&["run"], args].concat())?;
    let status = process.wait(SOON)?;
    let said = process.output()?;
    let said = said.stderr + &said.stdout;
    let Some(status) = status else { return Err(Error::unexpected(format!("{args:?} runs on: {said}"))) };
    assert!(!status.success(), "{args:?} ended well: {said}");
    assert!(status.code().is_some(), "{args:?} ended by {status}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    Ok(said)
}

fn no_interface(space: &Netns) {
    assert!(space.flags("minet0").is_err(), "it left an interface");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_key() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let file = net.dir().join("config.toml");
    let long = format!("name = {:?}", "n".repeat(300));
    let cases: &[(&str, &str)] = &[
        ("colour = \"red\"", "colour"),
        ("[shm]\nring_kb = 4", "ring_kb"),
        ("[[segment]]\nname = \"lan\"\naddresses = [\"10.77.0.300/16\"]", "10.77.0.300"),
        ("[[segment]]\nname = \"lan\"\naddresses = [\"10.77.0.1/40\"]", "10.77.0.1/40"),
        ("[[segment]]\nname = \"lan\"\nmtu = 20", "mtu"),
        ("[[segment]]\nname = \"lan\"\nmtu = 70000", "mtu"),
        ("[[segment]]\nname = \"lan\"\nmode = \"bridge\"", "mode"),
        ("[[segment]]\nname = \"lan\"\ninterface = \"a-name-that-is-too-long\"", "interface"),
        ("[[segment]]\nname = \"lan\"\ninterface = \"a/b\"", "interface"),
        ("[[segment]]\nname = \"lan\"\n[[segment]]\nname = \"lan\"", "lan"),
        ("[udp]\nlisten = \"not an address\"", "listen"),
        ("[udp]\nlisten = \"127.0.0.1:7400\"", "insecure"),
        ("[[peer]]\naddress = \"127.0.0.1\"", "address"),
        ("id = 0", "id"),
        ("id = -4", "id"),
        ("id = 4294967295", "id"),
        ("name = \"\"", "name"),
        (&long, "name"),
        ("name = \"no spaces\"", "name"),
        ("name = \"../up\"", "name"),
        ("name = \"a\" b", "line"),
        ("\u{0}\u{1}", "line"),
    ];
    for (text, key) in cases {
        fs::write(&file, text).map_err(Error::io("write a configuration"))?;
        let run_dir = net.dir().join("run").display().to_string();
        let said = refused(&net, &space, &["--config", &file.display().to_string(), "--run-dir", &run_dir])?;
        assert!(said.contains(key), "{text:?} is refused without {key:?}: {said}");
    }
    let said = refused(&net, &space, &["--config", "/nonexistent/config.toml"])?;
    assert!(said.contains("/nonexistent/config.toml"), "{said}");
    no_interface(&space);
    Ok(())
}

#[test]
fn a_run_dir_that_cannot_be_used_is_named() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let file = net.dir().join("file");
    fs::write(&file, "").map_err(Error::io("write a file"))?;
    for dir in [file.display().to_string(), "/proc/minet".to_owned(), file.join("below").display().to_string()] {
        let said = refused(&net, &space, &["--name", "a", "--run-dir", &dir])?;
        assert!(said.contains(&dir), "{said}");
    }
    let long = net.dir().join("x".repeat(120)).display().to_string();
    let said = refused(&net, &space, &["--name", "a", "--run-dir", &long])?;
    assert!(said.contains("long") || said.contains(&long), "{said}");
    no_interface(&space);
    Ok(())
}

/// Runs a command line to its end in a shell of the namespace (which has mounts of its own); it must end with status 1 and one
/// line of words.
fn fails(space: &Netns, script: &str) -> Result<String> {
    let mut process = space.spawn("sh", &["-c", script])?;
    let status = process.wait(SOON)?;
    let said = process.output()?.stderr;
    assert!(status.is_some_and(|status| status.code() == Some(1)), "{script}: {status:?} {said}");
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("minet: ")).collect();
    assert!(told.len() == 1 && !said.contains("panicked"), "{script}: {said}");
    no_interface(space);
    Ok(told[0].to_owned())
}

/// Of another user, of root's own on a disk that cannot be written, and with a file in it that is not ours.
#[test]
fn a_run_dir_without_permission_is_told_with_what_would_be_right() -> Result<()> {
    const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let net = Net::new()?;
    let space = net.space("a")?;
    let minet = net.dir().join("minet");
    fs::copy(net.minet()?, &minet).map_err(Error::io("copy minet"))?;
    let (closed, open) = (net.subdir("closed")?, net.subdir("open")?);
    fs::create_dir(open.join("default")).map_err(Error::io("make a directory"))?;
    for (dir, mode) in [(net.dir(), 0o755), (&closed, 0o700), (&open, 0o755)] {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(Error::io("change a mode"))?;
    }
    let run = |dir: &Path| format!("{} run --name a --run-dir {}", minet.display(), dir.display());
    let (read_only, below) = (net.subdir("read-only")?, closed.join("below"));
    let mount = format!("mount -t tmpfs -o ro none {} && exec", read_only.display());
    for (script, dir, words) in [
        (format!("exec {NOBODY} {}", run(&closed)), &closed, ["user 65534", "Permission denied"]),
        (format!("exec {NOBODY} {}", run(&below)), &below, ["user 65534", "Permission denied"]),
        (format!("exec {NOBODY} {}", run(&open)), &open.join("default"), ["user 65534", "Permission denied"]),
        (format!("{mount} {}", run(&read_only)), &read_only, ["user 0", "Read-only file system"]),
    ] {
        let said = fails(&space, &script)?;
        assert!(said.contains(&dir.display().to_string()), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(said.contains("`--run-dir` chooses another directory"), "{said}");
    }
    assert!(!closed.join("default").exists() && !below.exists());
    Ok(())
}

/// As in a container that was not given the device, for each kind of interface; and one that this user may not open.
#[test]
fn a_missing_tun_device_is_told_with_what_would_be_right() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let (minet, run_dir) = (net.minet()?.display().to_string(), net.subdir("run")?);
    let run = format!("{minet} run --name a --run-dir {}", run_dir.display());
    for mode in ["tap", "plain", "tun"] {
        let said = fails(&space, &format!("mount -t tmpfs none /dev/net && exec {run} --mode {mode}"))?;
        let right = "/dev/net/tun is not there: load the kernel module `tun`, or give this container the device";
        assert!(said.contains(right), "{mode}: {said}");
    }
    // There, but with no driver behind it: a number that no device has.
    let device = "mount -t tmpfs -o dev none /dev/net && mknod /dev/net/tun c 240 200";
    let said = fails(&space, &format!("{device} && exec {run}"))?;
    assert!(said.contains("/dev/net/tun is not there: load the kernel module `tun`"), "{said}");
    let all = fs::read_dir(run_dir.join("default")).map_err(Error::io("list the run-time directory"))?;
    let names = all.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn a_missing_capability_is_named() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    let (minet, run_dir) = (net.minet()?.display().to_string(), net.subdir("run")?.display().to_string());
    let args = ["--bounding-set=-net_admin", &minet, "run", "--name", "a", "--run-dir", &run_dir];
    let mut process = space.spawn("setpriv", &args)?;
    let status = process.wait(SOON)?;
    let said = process.output()?.stderr;
    assert!(status.is_some_and(|status| status.code() == Some(1)), "{status:?} {said}");
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    cable((&left, "u0", &["10.99.0.1/24"]), (&right, "u0", &[]))?;
    let _taken = left.inside(|| std::net::UdpSocket::bind("10.99.0.1:7400"))?;
    let run_dir = net.subdir("run")?.display().to_string();
    let args = ["--name", "a", "--run-dir", &run_dir, "--insecure", "--listen"];
    for (address, words) in
        [("10.99.0.1:7400", ["in use", "7400"]), ("10.99.0.77:7400", ["does not have", "10.99.0.77"])]
    {
        let said = refused(&net, &left, &[&args[..], &[address]].concat())?;
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    no_interface(&left);
    Ok(())
}

#[test]
fn an_interface_name_of_another_kind_is_left_alone() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("a")?;
    space.ip(&["link", "add", "minet0", "type", "bridge"])?;
    let before = space.ip_json(&["-details", "link", "show", "dev", "minet0"])?;
    let said = refused(&net, &space, &["--name", "a", "--run-dir", &net.subdir("run")?.display().to_string()])?;
    assert!(said.contains("minet0") && said.contains("bridge"), "{said}");
    let after = space.ip_json(&["-details", "link", "show", "dev", "minet0"])?;
    assert_eq!(before[0]["linkinfo"]["info_kind"], after[0]["linkinfo"]["info_kind"]);
    assert_eq!((&before[0]["address"], &before[0]["mtu"]), (&after[0]["address"], &after[0]["mtu"]));
    Ok(())
}

#[test]
fn a_name_or_interface_in_use_is_refused_and_its_holder_lives_on() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    let mut first = Node::start(&net, &left, Config::new("a", 1))?;
    let run_dir = first.run_dir().display().to_string();
    let said = refused(&net, &right, &["--name", "a", "--id", "9", "--run-dir", &run_dir])?;
    assert!(said.contains("a node named a is already running"), "{said}");
    // The same interface, held by the first.
    let said = refused(&net, &left, &["--name", "other", "--id", "9", "--run-dir", &run_dir])?;
    assert!(said.contains("minet0"), "{said}");
    assert!(first.is_running() && first.ask(&["status"])?["node"]["name"] == "a");
    let second = Node::start(&net, &right, Config::new("b", 2))?;
    second.wait_members(2, SOON)
}

/// The first stays the member that it was. The second runs on and is nobody's member; its log says why, and so do its links when
/// it is asked.
#[test]
fn two_nodes_with_one_id_do_not_disturb_the_first() -> Result<()> {
    let net = Net::new()?;
    let (one, two, twin) = (net.space("a")?, net.space("b")?, net.space("c")?);
    let a = Node::start(&net, &one, Config::new("a", 1))?;
    let b = Node::start(&net, &two, Config::new("b", 2))?;
    b.wait_members(2, SOON)?;
    let before = a.member("b")?["incarnation"].clone();
    let mut c = Node::launch(&net, &twin, Config::new("c", 2))?;
    let told = eventually(SOON, "a word about the id that is taken", || {
        let logs = [c.log()?, a.log()?, b.log()?].concat().to_lowercase();
        let lines = logs.lines().filter(|line| line.contains("error") || line.contains("warn"));
        Ok(lines
            .map(str::to_owned)
            .find(|line| line.contains("id 2") || line.contains("same id") || line.contains("taken")))
    });
    told.map_err(|error| c.with_log(error.to_string()))?;
    let pings = Ping::new(&b.config().ipv4(), 20).one_by_one(a.space())?;
    assert!(pings.received == 20, "{pings:?}");
    let row = a.member("b")?;
    assert_eq!((&row["state"], &row["id"], &row["incarnation"]), (&"up".into(), &2.into(), &before));
    assert!(a.member("c").is_err() && b.member("c").is_err(), "the second is nobody's member");
    assert_eq!(b.ask(&["status"])?["members"], 2);
    c.wait_ready()?;
    let status = c.ask(&["status"])?;
    assert_eq!(
        (&status["members"], &status["links"]["up"], &status["interfaces"][0]["carrier"]),
        (&1.into(), &0.into(), &false.into())
    );
    let links = c.ask(&["links"])?;
    let reasons: Vec<&str> = links["links"].as_array().unwrap().iter().filter_map(|l| l["reason"].as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("the node id is in use by another living node")), "{links}");
    c.stop()
}

/// The capture lies on a disk of 64 KiB that only the daemon sees.
#[test]
fn a_full_disk_under_the_capture_file_is_told() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = (net.space("a")?, net.space("b")?);
    let (disk, run_dir, minet) = (net.subdir("disk")?, net.dir().join("run"), net.minet()?);
    let script = format!(
        "mount -t tmpfs -o size=64k none {disk} && exec {minet} run --name a --id 1 --run-dir {run_dir} --pcap {disk}/a",
        disk = disk.display(),
        minet = minet.display(),
        run_dir = run_dir.display(),
    );
    let mut full = left.spawn("sh", &["-c", &script])?;
    let other = Node::start(&net, &right, Config::new("b", 2))?;
    other.wait_members(2, SOON)?;
    Iperf::new(&right, "10.77.0.2", 1).run(&left)?;
    let said = eventually(SOON, "a word about the capture", || {
        let said = full.output()?.stderr;
        Ok(said.contains("capture").then_some(said))
    })?;
    assert!(said.to_lowercase().contains("no space") && !said.contains("panicked"), "{said}");
    assert!(said.lines().count() < 40, "{said}");
    assert!(full.is_running());
    assert_eq!(Ping::new("10.77.0.1", 3).one_by_one(&right)?.received, 3);
    Ok(())
}
