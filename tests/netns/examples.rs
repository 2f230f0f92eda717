//! The examples of the crate `messenger`, each with processes of several nodes.

use crate::topology::{mesh, udp_pair};
use messenger::{Answer, Guest, GuestError, Message, PortSpec, To};
use minet_tests::{Error, Net, Node, Process, Result, SOON, eventually};
use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Thousands of confirmed messages, in a build that is not optimized.
const LONG: Duration = Duration::from_secs(300);

/// The example of this name, built beside `minet`.
fn example(net: &Net, name: &str) -> Result<PathBuf> {
    let path = net.minet()?.with_file_name("examples").join(name);
    if path.is_file() { Ok(path) } else { Err(Error::unexpected("build them: `cargo build --workspace --examples`")) }
}

/// An example as a guest of a node: `NAME NODE ARGS`.
fn command(net: &Net, node: &Node, name: &str, args: &[&str]) -> Result<Command> {
    let mut command = Command::new(example(net, name)?);
    command.arg(node.name()).args(args).env("MINET_RUN_DIR", node.run_dir());
    Ok(command)
}

fn start(net: &Net, node: &Node, name: &str, args: &[&str]) -> Result<Process> {
    Process::spawn(command(net, node, name, args)?)
}

/// Waits for the good end of a process and gives what it said.
fn said(mut process: Process, limit: Duration) -> Result<String> {
    let status = process.wait(limit)?;
    let output = process.output()?;
    match status {
        Some(status) if status.success() => Ok(output.stdout),
        other => Err(Error::unexpected(format!("{other:?}: {}{}", output.stdout, output.stderr))),
    }
}

fn says(process: &Process, text: &str) -> Result<()> {
    eventually(SOON, text, || Ok(process.output()?.stdout.lines().any(|line| line == text).then_some(())))
}

/// Three processes, ten thousand messages from each to each other, none lost, in order for every pair.
///
/// Rows: MA-01.
#[test]
#[ignore = "long: sixty thousand confirmed messages"]
fn three_processes_exchange() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let names = ["a", "b", "c"];
    let mut all = Vec::new();
    for (node, own) in nodes.iter().zip(names) {
        let peers = names.into_iter().filter(|peer| *peer != own);
        let args: Vec<&str> = [own, "10000"].into_iter().chain(peers).collect();
        all.push((own, start(&net, node, "exchange", &args)?));
    }
    for (own, process) in all {
        let expected: String = names
            .into_iter()
            .filter(|peer| *peer != own)
            .map(|peer| format!("10000 from {peer}, in order\n"))
            .collect();
        assert_eq!(said(process, LONG)?, expected, "at {own}");
    }
    Ok(())
}

/// Asks for `place` and is answered: these words are all that either of them says, wherever the other is.
fn talk(asker: &Guest, answerer: &Guest) -> std::result::Result<(), GuestError> {
    let port = answerer.open(&PortSpec::named("place"))?;
    let watch = asker.watch("place")?;
    assert!(asker.change(watch, Some(SOON))?.is_some_and(|change| change.up));
    thread::scope(|scope| {
        let answers = scope.spawn(|| -> std::result::Result<(), GuestError> {
            let asked = answerer.receive(port, Some(SOON))?.unwrap();
            answerer.respond(&asked, &Answer::new("here"))
        });
        let outcome = asker.call(&To::Name("place".into()), &Message::new("where?"), SOON)?;
        assert_eq!(outcome.answers.first().map(|answer| &*answer.payload), Some(&b"here"[..]), "{outcome:?}");
        answers.join().unwrap()
    })?;
    asker.unwatch(watch)?;
    answerer.close(port)
}

/// The same body with the other one in the same place of the same process, in another place, and on another node. With the next
/// test: in another process.
///
/// Rows: MA-05.
#[test]
fn the_same_words_wherever_the_other_one_is() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let join = |node: &Node| Guest::join_at(&node.control().with_extension("guest")).unwrap();
    let (one, other, far) = (join(&nodes[0]), join(&nodes[0]), join(&nodes[1]));
    for answerer in [&one, &other, &far] {
        talk(&one, answerer).unwrap();
    }
    Ok(())
}

/// The same program, whoever runs where: on one node, and on two that share nothing but UDP.
///
/// Rows: MA-05.
#[test]
fn processes_exchange_wherever_they_are() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let [a, b] = &nodes[..] else { panic!() };
    for (one, other) in [(a, a), (a, b)] {
        let left = start(&net, one, "exchange", &["left", "300", "right"])?;
        let right = start(&net, other, "exchange", &["right", "300", "left"])?;
        assert_eq!(said(left, SOON)?, "300 from right, in order\n");
        assert_eq!(said(right, SOON)?, "300 from left, in order\n");
    }
    Ok(())
}

/// Three workers and a spare; one of them hangs with requests before it, and is killed. Every request is answered, and then the
/// spare has the name.
///
/// Rows: MA-04.
#[test]
fn a_spare_takes_over_from_a_killed_worker() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let [a, b, c, d] = &nodes[..] else { panic!() };
    let spare = start(&net, d, "workers", &["spare"])?;
    says(&spare, "spare")?;
    let mut workers = Vec::new();
    for (node, name) in [(a, "1"), (b, "2"), (c, "3")] {
        workers.push(start(&net, node, "workers", &["work", name])?);
    }
    eventually(SOON, "three workers", || {
        let rows = a.ask(&["ports"])?["ports"].as_array().cloned().unwrap_or_default();
        let works = rows.iter().filter(|row| row["port"].as_str().is_some_and(|port| port.starts_with("worker/")));
        Ok((works.count() == 3).then_some(()))
    })?;
    // However fast the clients are, none gets past it.
    workers[1].signal(rustix::process::Signal::STOP);
    let clients = [
        start(&net, a, "workers", &["ask", "1500", "1", "2", "3"])?,
        start(&net, d, "workers", &["ask", "1500", "3", "2", "1"])?,
    ];
    for client in &clients {
        says(client, "asking")?;
    }
    workers[1].kill();
    says(&spare, "worker/2")?;
    let mut again = 0;
    for client in clients {
        let text = said(client, LONG)?;
        let words: Vec<&str> = text.lines().last().unwrap_or_default().split(&[' ', ','][..]).collect();
        let number =
            |before: &str| words.iter().zip(words.iter().skip(1)).find(|(_, w)| **w == before).map(|(n, _)| *n);
        assert_eq!(number("answered"), Some("1500"), "{text}");
        again += number("made").unwrap().parse::<u32>().unwrap();
        let longest: u64 = number("ms").unwrap().parse().unwrap();
        assert!(longest < 5000, "every request ends with an answer in time: {text}");
    }
    assert!(again > 1, "both asked the worker that was killed");
    let output = a.command(&["call", "--to", "worker/2", "who?"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "d\n", "{output:?}");
    Ok(())
}

#[test]
fn what_one_says_in_a_chat_all_others_read() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let mut talkers = Vec::new();
    for (node, name) in nodes.iter().zip(["ann", "ben", "cleo"]) {
        let log = net.dir().join(format!("{name}.log"));
        let mut chat = command(&net, node, "chat", &[name])?;
        chat.stdin(Stdio::piped()).stdout(File::create(&log).unwrap());
        talkers.push((log, chat.spawn().unwrap()));
    }
    eventually(SOON, "three in the chat", || {
        let ports = nodes[0].ask(&["ports"])?;
        let rows = ports["ports"].as_array().cloned().unwrap_or_default();
        let talks = rows.iter().filter(|row| row["port"].as_str().is_some_and(|port| port.starts_with("chat/")));
        Ok((talks.count() == 3).then_some(()))
    })?;
    let (_, ann) = &mut talkers[0];
    ann.stdin.as_mut().unwrap().write_all(b"hello\nhow are you?\n").unwrap();
    for (log, _) in &talkers[1..] {
        eventually(SOON, "what ann said", || {
            let text = fs::read_to_string(log).unwrap();
            Ok((text == "ann: hello\nann: how are you?\n").then_some(()))
        })?;
    }
    for (log, mut talker) in talkers {
        drop(talker.stdin.take());
        assert!(talker.wait().unwrap().success(), "{}", log.display());
    }
    // Nobody reads what he said himself.
    assert_eq!(fs::read_to_string(net.dir().join("ann.log")).unwrap(), "");
    Ok(())
}
