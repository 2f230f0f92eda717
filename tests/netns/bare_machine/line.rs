//! A bare machine with no shared memory at all: all that it has to its host is a serial line, a pty of QEMU's.

use super::{curl, image};
use iop_node::Config as Told;
use messenger_core::{Incarnation, Name, NodeId};
use minet_tests::{Config, Error, Net, Netns, Node, Ping, Process, Result, SOON, eventually};
use std::{fs, net::IpAddr, path::Path, time::Duration};

/// A machine on a line takes some seconds longer for everything.
const LONG: Duration = Duration::from_secs(60);

fn told() -> Told {
    Told {
        id: NodeId::new(9).unwrap(),
        name: Name::new("io1").unwrap(),
        fabric: Name::new("default").unwrap(),
        segment: Name::new("lan").unwrap(),
        incarnation: Incarnation::new(7),
        version: 1,
        seed: 99,
        interval: Duration::from_millis(500),
        miss_limit: 4,
        mtu: 1500,
        faults: false,
        addresses: vec![(IpAddr::from([10, 77, 0, 9]), 16), ("fd4d::9".parse().unwrap(), 64)],
    }
}

/// A machine of QEMU with two serial lines: a console in a file, and a pty; its path.
fn machine(net: &Net, space: &Netns, image: &Path) -> Result<(Process, String)> {
    let file = |name: &str| net.dir().join(name).display().to_string();
    fs::write(file("told"), told().emit()).map_err(Error::io("write a configuration"))?;
    let (console, told) = (format!("file,id=console,path={}", file("console")), format!("file={}", file("told")));
    let image = image.display().to_string();
    let process = space.spawn(
        "qemu-system-x86_64",
        &[
            &["-accel", "tcg", "-machine", "q35", "-m", "16", "-smp", "1", "-nodefaults", "-no-user-config"][..],
            &["-display", "none", "-no-reboot", "-kernel", &image, "-fw_cfg", &format!("name=opt/minet/config,{told}")],
            &["-chardev", &console, "-serial", "chardev:console", "-chardev", "pty,id=line", "-serial", "chardev:line"],
        ]
        .concat(),
    )?;
    let path = eventually(SOON, "a pty", || {
        let said = process.output()?;
        let words = [said.stdout, said.stderr].concat();
        Ok(words.split_whitespace().find(|word| word.starts_with("/dev/pts/")).map(str::to_owned))
    })?;
    Ok((process, path))
}

/// It joins over the line alone, answers `ping` and HTTP, and comes back when its host's daemon is started again. PROTOCOL 11.6.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_bare_machine_joins_over_a_serial_line_alone() -> Result<()> {
    let image = image()?;
    let net = Net::new()?;
    let space = net.space("a")?;
    let (_machine, line) = machine(&net, &space, &image)?;
    let mut a = Node::start(&net, &space, Config::new("a", 1).serial(&line, None).without_shm())?;
    let console = || fs::read_to_string(net.dir().join("console")).unwrap_or_default();
    for _ in 0..2 {
        a.wait_members(2, LONG).map_err(|error| Error::unexpected(format!("{error}\n{}", console())))?;
        assert_eq!(a.member("io1")?["carrier"], "serial");
        for ip in ["10.77.0.9", "fd4d::9"] {
            let report = Ping::new(ip, 10).every(Duration::from_millis(100)).run(a.space())?;
            assert_eq!(report.received, 10, "{report:?}\n{}", console());
        }
        assert!(curl(&a, "http://10.77.0.9/")?.stdout.contains("bare x86_64, no operating system"));
        a.stop()?;
        a.relaunch()?;
        a.wait_ready()?;
    }
    Ok(())
}
