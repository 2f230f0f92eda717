//! Keys, invitations, revocation.

use crate::sealed::{AT_A, AT_B, Rig, logged};
use minet_tests::{Config, Error, Node, Output, Ping, Process, Result, SOON, eventually};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Runs `minet ARGS` that must fail, and gives what it said.
fn refused(rig: &Rig, args: &[&str]) -> Result<String> {
    let mut process: Process = rig.b.spawn(rig.net.minet()?, args)?;
    let status = process.wait(SOON + SOON)?;
    let Output { stderr, .. } = process.output()?;
    assert!(status.is_some_and(|s| s.code() == Some(1)), "{status:?} {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ok(stderr)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change a mode"))
}

#[test]
fn a_key_is_made_and_shown_and_a_bad_file_is_a_clear_error() -> Result<()> {
    let rig = Rig::new()?;
    let (file, public) = &rig.keys[1];
    let shown = rig.b.run(rig.net.minet()?, &["key", "show", &text(file)])?.stdout;
    assert_eq!(shown.trim(), public);
    assert!(refused(&rig, &["key", "new", &text(file)])?.contains("cannot make the key file"));
    let config = rig.net.dir().join("b.toml");
    fs::write(&config, rig.configs().1.toml()).map_err(Error::io("write a configuration"))?;
    let run_dir = text(&rig.net.subdir("run")?);
    let run = ["run", "--config", &text(&config), "--run-dir", &run_dir];
    let whole = fs::read(file).map_err(Error::io("read a key"))?;
    for (bytes, bits, words) in [
        (&whole[..], 0o644, "chmod 600"),
        (&whole[..whole.len() / 2], 0o600, "damaged or cut short"),
        (&b""[..], 0o600, "damaged or cut short"),
    ] {
        fs::write(file, bytes).map_err(Error::io("write a key"))?;
        mode(file, bits)?;
        for args in [&run[..], &["key", "show", &text(file)]] {
            let said = refused(&rig, args)?;
            assert!(said.contains(words) && said.contains(&text(file)), "{said}");
        }
    }
    fs::remove_file(file).map_err(Error::io("remove a key"))?;
    assert!(refused(&rig, &run)?.contains("minet key new"));
    assert!(rig.b.flags("minet0").is_err(), "it left an interface");
    Ok(())
}

#[test]
fn a_stranger_is_told_why_and_both_logs_say_so() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, b) = rig.configs();
    a.trust.as_mut().unwrap().members.clear();
    let (a, b) = rig.start((a, b))?;
    logged(&a, "is not let in: the public key is not on the list")?;
    logged(&b, "a does not let this node in: the public key is not on the list")?;
    assert!(b.log()?.contains(&rig.keys[1].1), "its own key is shown, to be put on the list");
    Ok(())
}

/// `minet invite` and `minet join`: each has the other's key, the node runs with what was written; the text is good once.
#[test]
fn an_invited_node_joins_once_and_runs() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, _) = rig.configs();
    a.trust.as_mut().unwrap().members.clear();
    let mut a = Node::start(&rig.net, &rig.a, a)?;
    let invited = a.ask(&["invite", "new", "--id", "5", "--minutes", "5"])?;
    let text_of = invited["invitation"].as_str().unwrap().to_owned();
    let etc = text(&rig.net.subdir("etc")?);
    let join = |invitation: &str, dir: &str| -> Vec<String> {
        ["join", "--dir", dir, "--listen", AT_B, invitation].map(str::to_owned).to_vec()
    };
    fn args(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    // Altered: it says so, and costs nothing.
    let altered = format!("{}A", &text_of[..text_of.len() - 2]);
    assert!(refused(&rig, &args(&join(&altered, &etc)))?.contains("altered or cut short"));
    let joined = rig.b.run(rig.net.minet()?, &args(&join(&text_of, &etc)))?.stdout;
    assert!(joined.contains("joined fabric default as new (id 5)"), "{joined}");
    logged(&a, "new (id 5) joined from 10.99.0.2")?;
    // Used.
    let other = text(&rig.net.subdir("other")?);
    assert!(refused(&rig, &args(&join(&text_of, &other)))?.contains("used already"));
    assert!(refused(&rig, &args(&join(&text_of, &etc)))?.contains("is there already"));
    // The node runs with what was written, also after the one that invited began anew.
    a.stop()?;
    a.relaunch()?;
    a.wait_ready()?;
    let run_dir = text(&rig.net.subdir("run-new")?);
    let config = format!("{etc}/new.toml");
    let _new = rig.b.spawn(rig.net.minet()?, &["run", "--config", &config, "--run-dir", &run_dir])?;
    a.wait_members(2, SOON)?;
    let address = a.member("new")?["addresses"][0].as_str().unwrap().to_owned();
    eventually(SOON, "an answer", || Ping::new(&address, 1).with(&["-W", "1"]).run(&rig.a).map(Some))?;
    Ok(())
}

#[test]
fn an_expired_or_withdrawn_invitation_is_refused() -> Result<()> {
    let rig = Rig::new()?;
    let (a, _) = rig.configs();
    let book = a.trust.as_ref().unwrap().book.clone();
    let mut a = Node::start(&rig.net, &rig.a, a)?;
    let etc = text(&rig.net.subdir("etc")?);
    let token = a.ask(&["invite", "late", "--id", "6"])?["invitation"].as_str().unwrap().to_owned();
    // The clock of the node that invites goes on by an hour while it is down: so the book says.
    a.stop()?;
    let said = fs::read_to_string(&book).map_err(Error::io("read the book"))?;
    let past: String = said
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((key @ ("made" | "until"), n)) => format!("{key} = {}\n", n.parse::<u64>().unwrap() - 4000),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(&book, past).map_err(Error::io("write the book"))?;
    a.relaunch()?;
    a.wait_ready()?;
    assert!(refused(&rig, &["join", "--dir", &etc, &token])?.contains("has expired"));
    let token = a.ask(&["invite", "never", "--id", "7"])?["invitation"].as_str().unwrap().to_owned();
    a.ask(&["revoke", "never"])?;
    assert!(refused(&rig, &["join", "--dir", &etc, &token])?.contains("not one that this node made"));
    // Nobody is there.
    a.stop()?;
    assert!(refused(&rig, &["join", "--dir", &etc, &token])?.contains("no answer from"));
    Ok(())
}

#[test]
fn an_invitation_needs_a_free_name_and_an_address() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, _) = rig.configs();
    a.listen = Some("0.0.0.0:7400".to_owned());
    let a = Node::start(&rig.net, &rig.a, a)?;
    let refused = |args: &[&str]| a.ask(args).unwrap_err().to_string();
    assert!(refused(&["invite", "new"]).contains("--contact"));
    assert!(refused(&["invite", "b", "--contact", AT_A]).contains("the name b is that of the member b"));
    assert!(refused(&["invite", "c", "--id", "2", "--contact", AT_A]).contains("number 2"));
    assert!(refused(&["invite", "a", "--contact", AT_A]).contains("itself"));
    assert!(refused(&["revoke", "nobody"]).contains("nobody"));
    Ok(())
}

/// The link is gone when the command returns, and stays gone when the node begins anew.
#[test]
fn revocation_ends_a_running_link_at_once() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, b) = rig.start(rig.configs())?;
    a.wait_members(2, SOON)?;
    let revoked = a.ask(&["revoke", "b"])?;
    assert_eq!(revoked["keys"][0], rig.keys[1].1.as_str());
    assert_eq!(a.ask(&["links"])?["links"].as_array().unwrap().len(), 0);
    a.wait_members(1, SOON)?;
    assert!(Ping::new(&a.config().ipv4(), 2).with(&["-W", "1"]).run(&rig.b).map_or(true, |r| r.received == 0));
    logged(&b, "the public key was revoked")?;
    a.stop()?;
    a.relaunch()?;
    a.wait_ready()?;
    logged(&a, "is not let in: the public key was revoked")?;
    a.wait_members(1, SOON)
}

/// A third node with its own key and the name and number of a member does not get in, and disturbs nobody.
#[test]
fn a_stolen_id_is_worth_nothing() -> Result<()> {
    let rig = Rig::new()?;
    let (a, b) = rig.start(rig.configs())?;
    a.wait_members(2, SOON)?;
    let thief_space = rig.net.space("t")?;
    minet_tests::cable((&rig.a, "u1", &["10.98.0.1/24"]), (&thief_space, "u0", &["10.98.0.2/24"]))?;
    let thief = crate::sealed::key(&rig.net, &thief_space, "thief")?;
    let (_, stolen) = rig.configs();
    let mut stolen: Config = stolen;
    let trust = stolen.trust.as_mut().unwrap();
    (trust.key, trust.book) = (thief.0.clone(), thief.0.with_extension("trust"));
    (stolen.fabric, stolen.listen) = ("default".to_owned(), Some("10.98.0.2:7400".to_owned()));
    let stolen = stolen.run_dir(rig.net.subdir("thief")?);
    // Its file and log have names of their own.
    let file = rig.net.dir().join("stolen.toml");
    fs::write(&file, stolen.toml()).map_err(Error::io("write a configuration"))?;
    rig.a.run("sysctl", &["-q", "-w", "net.ipv4.ip_forward=1"])?;
    thief_space.ip(&["route", "add", "10.99.0.0/24", "via", "10.98.0.1"])?;
    let _thief = thief_space.spawn(rig.net.minet()?, &["run", "--config", &text(&file)])?;
    logged(&a, &format!("with key {} is not let in", thief.1))?;
    assert_eq!(Ping::new(&b.config().ipv4(), 5).one_by_one(&rig.a)?.received, 5);
    assert_eq!(a.ask(&["links"])?["links"].as_array().unwrap().len(), 1);
    Ok(())
}
