//! I/O processors that are processes of their host: the same node, manager and commands as bare machines, without QEMU.

use crate::bare_machine::{
    ask, curl,
    direct::talk_without_their_host,
    hostile::{deaf_at_messages, floods_do_no_harm, garbage_from_inside},
    swap::{Rig, any_disk, control_utility, deaf_is_found, extraction, four_come_up, panic_is_told, reset_in_order},
    wait_life_of,
};
use iop_node::ports::{disk, requests};
use minet_tests::{Config, Error, Net, Node, Ping, Process, Result, SOON, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, time::Duration};

/// A processor that is a process answers `ping`, HTTP and requests, has a disk, and is listed, shown and counted like any other.
/// It has no privilege and no interface.
///
/// Rows: CB-1, IM-3.
/// PROTOCOL 9.13.
#[test]
fn a_process_is_a_processor_like_a_machine() -> Result<()> {
    let rig = Rig::processes(1)?;
    let a = &rig.node;
    for ip in ["10.77.0.9", "fd4d::9"] {
        let report = Ping::new(ip, 20).every(Duration::from_millis(20)).run(a.space())?;
        assert_eq!(report.received, 20, "{report:?}");
    }
    let page = curl(a, "http://10.77.0.9/")?.stdout;
    for part in ["node io1 (id 9) of fabric default", "process ", "member a"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let bytes: Vec<u8> = (0..100_000).map(|n| (n % 251) as u8).collect();
    assert!(ask(a, "iop/io1/requests", requests::ECHO, &bytes)?.answers.remove(0).payload == bytes);
    let blocks = vec![7; 64 * 512];
    assert!(ask(a, "iop/io1/disk", disk::WRITE, &disk::write_request(3, &blocks))?.status().is_good());
    let read = ask(a, "iop/io1/disk", disk::READ, &disk::read_request(3, 64))?.answers.remove(0).payload;
    assert!(read == blocks);

    let shown = a.ask(&["iop", "show", "io1"])?;
    assert_eq!((&shown["kind"], &shown["state"]), (&"process".into(), &"operational".into()));
    let pid = &shown["pid"];
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(Error::io("read a status"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_eq!(
        (field("CapEff:"), field("CapPrm:"), field("NoNewPrivs:")),
        ("0000000000000000", "0000000000000000", "1")
    );
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).map_err(Error::io("read a command line"))?;
    assert!(line.contains("iop-process\0io1"), "{line}");
    Ok(())
}

/// Rows: IM-1, IM-6.
#[test]
fn four_processes_come_up_without_an_operator() -> Result<()> {
    four_come_up(&Rig::processes(4)?)
}

/// Rows: IM-4, IM-13.
/// PROTOCOL 9.12.
#[test]
fn a_process_is_reset_in_order() -> Result<()> {
    reset_in_order(&Rig::processes(2)?)
}

/// Rows: IM-8.
#[test]
fn processes_are_taken_out_in_order_and_by_surprise() -> Result<()> {
    extraction(&Rig::processes(2)?)
}

/// Rows: HB-1, HB-2, HB-4.
#[test]
fn a_deaf_process_is_found_in_three_heartbeats() -> Result<()> {
    deaf_is_found(&Rig::processes(1)?)
}

/// Rows: IM-5, IM-7.
#[test]
fn the_panic_of_a_process_is_told_and_mended() -> Result<()> {
    panic_is_told(&Rig::processes(1)?)
}

/// Rows: IM-9, IM-12, MA-02, MN-6.
#[test]
fn processes_talk_while_their_host_stands_still() -> Result<()> {
    talk_without_their_host(&Rig::processes(2)?)
}

/// Rows: IM-10.
#[test]
fn any_disk_of_a_process_is_as_good_as_another() -> Result<()> {
    any_disk(&Rig::processes(2)?)
}

/// Rows: CU-1, CU-2.
#[test]
fn the_control_utility_shows_and_tells_of_processes() -> Result<()> {
    control_utility(&Rig::processes(1)?)
}

/// A process writes garbage over all that it shares with its host, again and again.
#[test]
fn garbage_from_inside_a_process_ends_its_life_only() -> Result<()> {
    garbage_from_inside(&Rig::processes(2)?)
}

/// A process rings its host without end, another time it broadcasts without end.
#[test]
fn floods_of_a_process_do_no_harm() -> Result<()> {
    floods_do_no_harm(&Rig::processes(2)?)
}

/// A process that lives and runs no requests.
#[test]
fn a_process_that_answers_no_messages_keeps_nobody() -> Result<()> {
    deaf_at_messages(&Rig::processes(1)?)
}

/// Two processors of two managers have one number: one of them gives way, and the others do not notice.
#[test]
fn of_two_processors_of_one_number_one_gives_way() -> Result<()> {
    let net = Net::new()?;
    let a = Node::start(&net, &net.space("a")?, Config::new("a", 1).iop_process("io1", 9))?;
    wait_life_of(&a, "io1", 1)?;
    let b = Node::start(&net, &net.space("b")?, Config::new("b", 2).iop_process("io9", 9))?;
    a.wait_state("b", "up", SOON)?;
    let pings = Ping::new("10.77.0.2", 200).every(Duration::from_millis(20)).start(a.space())?;
    let owner = |node: &Node| {
        let said = node.ask(&["nodes"])?;
        let all = said["nodes"].as_array().into_iter().flatten();
        let names: Vec<String> = all.filter(|n| n["id"] == 9).map(|n| n["name"].to_string()).collect();
        Ok::<_, Error>(names)
    };
    eventually(SOON, "one owner of the number everywhere", || {
        let (at_a, at_b) = (owner(&a)?, owner(&b)?);
        if at_a == at_b && at_a.len() == 1 {
            Ok(Some(()))
        } else {
            Err(Error::unexpected(format!("{at_a:?} {at_b:?}")))
        }
    })
    .map_err(|error| b.with_log(error.to_string()))?;
    assert_eq!(pings.finish(SOON)?.received, 200);
    let page = curl(&a, "http://10.77.0.9/")?.stdout;
    assert!(page.contains("node io1 (id 9)") || page.contains("node io9 (id 9)"), "{page}");
    Ok(())
}

/// A process that has an image of its own is sent it, from where a transfer was interrupted; an altered part is found out. It runs
/// what it was sent.
///
/// Rows: CB-2.
/// PROTOCOL 9.14.
#[test]
fn an_image_is_sent_to_a_process_and_goes_on_where_it_stopped() -> Result<()> {
    let rig = Rig::processes(1)?;
    let a = &rig.node;
    let image = minet_tests::minet_binary()?;
    let bytes = fs::read(&image).map_err(Error::io("read the image"))?;
    let path = image.display().to_string();
    let said = |a: &Node, words: &str| {
        eventually(SOON, &format!("`{words}` on the console"), || {
            let console = a.ask(&["iop", "console", "io2"])?;
            let lines = console["lines"].as_array().cloned().unwrap_or_default();
            let told = lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains(words)));
            if told { Ok(Some(())) } else { Err(Error::unexpected(console.to_string())) }
        })
    };
    let kept = || {
        let dir = a.run_dir().join("default");
        let all = fs::read_dir(&dir).map_err(Error::io("read the run-time directory"))?;
        let mut all = all.flatten().map(|entry| entry.path());
        let found = all.find(|path| path.to_string_lossy().ends_with(".image"));
        found.ok_or_else(|| Error::unexpected("no image is kept"))
    };
    a.ask(&["iop", "add", "io2", "--id", "10", "--process", "--image", &path])?;
    let pid = wait_life_of(a, "io2", 1)?["pid"].clone();
    said(a, &format!("image: 0 of {} bytes are there already", bytes.len()))?;
    let runs = fs::read_link(format!("/proc/{pid}/exe")).map_err(Error::io("look at a process"))?;
    assert_eq!(runs, kept()?, "it runs what it was sent");
    assert!(fs::read(kept()?).map_err(Error::io("read what is kept"))? == bytes);
    assert_eq!(Ping::new("10.77.0.10", 5).run(a.space())?.received, 5);

    // As a transfer leaves it that was interrupted; then with a part that was altered.
    for (life, altered) in [(2, false), (3, true)] {
        a.ask(&["iop", "hold", "io2"])?;
        let half = bytes.len() / 2;
        let mut part = bytes.get(..half).unwrap_or_default().to_vec();
        if altered {
            part.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        }
        fs::write(kept()?, &part).map_err(Error::io("leave a part"))?;
        a.ask(&["iop", "boot", "io2"])?;
        wait_life_of(a, "io2", life)?;
        said(a, &format!("image: {half} of {} bytes are there already", bytes.len()))?;
        assert!(fs::read(kept()?).map_err(Error::io("read what is kept"))? == bytes);
    }
    assert_eq!(ask(a, "iop/io2/requests", requests::ECHO, b"x")?.status(), messenger::Status::GOOD);
    Ok(())
}

/// The manager is killed and started again while its processors run: they are found again and not rebooted. They are the same
/// processes of the same incarnation, with all that they held. PROTOCOL 9.15.
#[test]
fn a_manager_that_is_started_again_finds_its_processors() -> Result<()> {
    let mut rig = Rig::processes(2)?;
    let seen = |node: &Node| -> Result<Vec<(Value, Value)>> {
        let one = |name: &str| {
            let pid = wait_life_of(node, name, 1)?["pid"].clone();
            Ok((pid, node.member(name)?["incarnation"].clone()))
        };
        ["io1", "io2"].into_iter().map(one).collect()
    };
    let before = seen(&rig.node)?;
    let blocks: Vec<u8> = (0..64 * 512).map(|n| (n % 251) as u8).collect();
    assert!(ask(&rig.node, "iop/io1/disk", disk::WRITE, &disk::write_request(9, &blocks))?.status().is_good());
    for _ in 0..3 {
        rig.node.kill();
        rig.node.relaunch()?;
        rig.node.wait_ready()?;
        for name in ["io1", "io2"] {
            wait_life_of(&rig.node, name, 1)?;
        }
        rig.node.wait_members(3, SOON)?;
        assert_eq!(seen(&rig.node)?, before, "{}", rig.node.log()?);
        let read = ask(&rig.node, "iop/io1/disk", disk::READ, &disk::read_request(9, 64))?.answers.remove(0).payload;
        assert!(read == blocks, "its disk holds what was written");
        assert_eq!(Ping::new("10.77.0.10", 5).run(rig.node.space())?.received, 5);
    }
    // They meet each other without their host as before, obey, and go with their node when that is told to stop.
    talk_without_their_host(&rig)?;
    rig.node.ask(&["iop", "reset", "io1"])?;
    wait_life_of(&rig.node, "io1", 2)?;
    rig.node.stop()?;
    let second = &before[1].0;
    let gone = || Ok((!std::path::Path::new(&format!("/proc/{second}")).exists()).then_some(()));
    eventually(SOON, "its end", gone)
}

/// A file that is put into the directory of slots is a processor that is put in; taken away, it is taken out in order.
///
/// Rows: IM-9.
#[test]
fn a_file_in_a_slot_is_a_processor() -> Result<()> {
    let net = Net::new()?;
    let slots = net.subdir("slots")?;
    let mut config = Config::new("a", 1);
    config.extra = format!("iop_slots = {:?}", slots.display().to_string());
    let a = Node::start(&net, &net.space("a")?, config)?;
    let file = slots.join("io7.toml");
    fs::write(&file, "kind = 'process'\nid = 9\n").map_err(Error::io("write a file"))?;
    let pid = wait_life_of(&a, "io7", 1)?["pid"].clone();
    a.wait_members(2, SOON)?;
    assert_eq!(Ping::new("10.77.0.9", 5).run(a.space())?.received, 5);
    fs::remove_file(&file).map_err(Error::io("remove a file"))?;
    eventually(SOON, "its end", || Ok((!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())))?;
    a.wait_state("io7", "down", SOON)?;
    let events = a.ask(&["events"])?.to_string();
    assert!(events.contains("iop io7: inserted") && events.contains("iop io7: taken out"), "{events}");
    assert!(events.contains("iop io7: sent nothing new by all"), "in order: {events}");
    Ok(())
}

/// A node of a user without rights, without an interface, with processors that are processes: nothing of it needs root.
#[test]
fn nothing_of_it_needs_root() -> Result<()> {
    let net = Net::new()?;
    let config = crate::userspace::unprivileged(&net, "u", 7)?;
    let config = config.udp("127.0.0.1:7400", &[]).userspace("forward = [\"8080:io1:80\"]").iop_process("io1", 9);
    let u = Node::start(&net, &net.space("u")?, config)?;
    let pid = wait_life_of(&u, "io1", 1)?["pid"].clone();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(Error::io("read a status"))?;
    assert!(status.lines().any(|line| line.starts_with("Uid:\t65534")), "{status}");
    u.wait_members(2, SOON)?;
    assert!(curl(&u, "http://127.0.0.1:8080/")?.stdout.contains("node io1 (id 9)"));
    Ok(())
}

/// Who watches is told what happens as it happens. The end of the processor is a good end; that of the daemon is not.
#[test]
fn who_watches_is_told_and_knows_the_end() -> Result<()> {
    let mut rig = Rig::processes(2)?;
    let watch = |node: &Node, name: &str| Process::spawn(node.command(&["iop", "watch", name, "--json"]));
    let (mut first, mut second) = (watch(&rig.node, "io1")?, watch(&rig.node, "io2")?);
    let told = |process: &Process, kind: &str| {
        eventually(SOON, &format!("a told {kind}"), || {
            let said = process.output()?.stdout;
            let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(events.into_iter().any(|event| event["kind"] == kind).then_some(()))
        })
    };
    // Until it listens nothing is told to it.
    eventually(SOON, "a watch that listens", || {
        let enabled = ["quiesce", "enable"].map(|what| rig.node.ask(&["iop", what, "io1"]).map(drop));
        enabled.into_iter().collect::<Result<()>>()?;
        Ok(first.output()?.stdout.contains("iop-enable").then_some(()))
    })?;
    eventually(SOON, "a watch that listens", || {
        let enabled = ["quiesce", "enable"].map(|what| rig.node.ask(&["iop", what, "io2"]).map(drop));
        enabled.into_iter().collect::<Result<()>>()?;
        Ok(second.output()?.stdout.contains("iop-enable").then_some(()))
    })?;
    rig.node.ask(&["iop", "remove", "io1"])?;
    told(&first, "iop-removed")?;
    assert!(first.wait(SOON)?.is_some_and(|status| status.success()));
    assert!(second.is_running());
    rig.node.signal(Signal::KILL);
    assert!(rig.node.wait_end(SOON).is_ok());
    let ended = second.wait(SOON)?;
    assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
    assert!(second.output()?.stderr.contains("the daemon did not answer"), "{:?}", second.output()?);
    Ok(())
}
