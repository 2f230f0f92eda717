//! The verbs for messages: this process is a guest of a daemon.

use super::{
    args::At,
    message_args::{Outgoing, RecvArgs, SendArgs, WatchArgs},
    print, table,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use messenger::{
    Agent, Answer, Change, Code, Guest, GuestError, Head, Life, Message, Origin, Outcome, PortId, PortSpec, Slot,
    Status, Tier, To, Wants,
};
use messenger_core::Name;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    process::ExitCode,
    time::Duration,
};

type Done = Result<ExitCode, Box<dyn std::error::Error>>;

/// Without `--confirm` it is good when every target's message was taken.
pub(super) fn send(args: &SendArgs) -> Done {
    let (guest, message, limit) = begin(&args.message)?;
    let to = args.message.to().ok_or("nobody is meant")?;
    let wants = if args.confirm { Wants::Receipt } else { Wants::Nothing };
    let message = Message { wants, deadline: args.confirm.then_some(limit), ..message };
    let sent = guest.send(&to, &message).map_err(|error| unmet(error, &to))?;
    match sent.ticket {
        Some(ticket) => {
            let outcome = guest.settle(ticket, None)?.ok_or("the daemon did not settle the message")?;
            show(&outcome, &args.message.how.at)
        }
        None => {
            let text = match args.message.how.at.json {
                true => line(&json!({"targets": sent.targets, "taken": sent.taken})),
                false if sent.taken == sent.targets => String::new(),
                false => format!("taken for {} of {} targets\n", sent.taken, sent.targets),
            };
            print(&text)?;
            Ok(exit(sent.taken == sent.targets))
        }
    }
}

pub(super) fn call(args: &Outgoing) -> Done {
    let (guest, message, limit) = begin(args)?;
    let to = args.to().ok_or("nobody is meant")?;
    show(&guest.call(&to, &message, limit).map_err(|error| unmet(error, &to))?, &args.how.at)
}

/// Why a message was not sent, with whom it was for.
fn unmet(error: GuestError, to: &To) -> String {
    let (name, meant) = match to {
        To::Name(name) => (Some(name), format!("there is no port `{name}`")),
        To::On { node, name } => (Some(name), format!("there is no port `{name}` on a node `{node}`")),
        To::Pattern(pattern) => (None, format!("no port is like `{pattern}`")),
        To::Everywhere(name) => (Some(name), "there is no other node".to_owned()),
        _ => return error.to_string(),
    };
    match error {
        GuestError::Refused(status @ Status { code: Code::NotFound, .. }) => {
            format!("{status}: {meant} (`minet ports` lists them)")
        }
        other => name.map_or_else(|| other.to_string(), |name| misnamed(&other, name)),
    }
}

/// What a daemon said about a name, with what is wrong with it.
fn misnamed(error: &GuestError, name: &str) -> String {
    match (error, Name::new(name)) {
        (GuestError::Refused(Status { code: Code::Invalid, .. }), Err(wrong)) => {
            format!("{error}: `{name}` is no name of a port: {wrong}")
        }
        _ => error.to_string(),
    }
}

/// Good when as many came as were wanted; without a number, when one did.
pub(super) fn recv(args: &RecvArgs) -> Done {
    let guest = Guest::join(&args.at.place())?;
    let port = take_port(&guest, args)?;
    let mut count = 0;
    while args.count.is_none_or(|most| count < most) {
        let Some(message) = guest.receive(port, args.timeout)? else { break };
        let shown = match args.at.json {
            true => write(line(&told(&message.head, &message.payload)).as_bytes())?,
            false => write(&ended(&message.payload, args.raw))?,
        };
        if !shown {
            // Nobody reads any more: what waits in the port is somebody else's, and who asked gets no answer.
            break;
        }
        count += 1;
        if let (Some(text), Some(_)) = (&args.answer, message.head.ask) {
            match guest.respond(&message, &Answer::new(text.as_str())) {
                // Who asked may be gone.
                Err(GuestError::Refused(status)) => complain(&format!("{}: {status}", message.head.node_name)),
                other => other?,
            }
        }
    }
    guest.detach(port)?;
    Ok(exit(count >= args.count.unwrap_or(1)))
}

/// Good when as many changes came as were wanted.
pub(super) fn watch(args: &WatchArgs) -> Done {
    let guest = Guest::join(&args.at.place())?;
    let watch = guest.watch(&args.pattern)?;
    let mut count = 0;
    while args.count.is_none_or(|most| count < most) {
        let Some(change) = guest.change(watch, args.timeout)? else { break };
        let text = if args.at.json { line(&seen(&change)) } else { table::change(&change) };
        if !write(text.as_bytes())? {
            break;
        }
        count += 1;
    }
    Ok(exit(count >= args.count.unwrap_or(1)))
}

fn begin(args: &Outgoing) -> Result<(Guest, Message, Duration), Box<dyn std::error::Error>> {
    let guest = Guest::join(&args.how.at.place())?;
    let payload = match &args.text {
        Some(text) => text.clone().into_bytes(),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
    };
    let origin = Origin { agent: Agent::CommandLine, ..Origin::default() };
    let message = Message { priority: args.how.priority.into(), tag: args.how.tag, origin, ..Message::new(payload) };
    Ok((guest, message, args.how.timeout))
}

/// The port of a name: one without a receiver, or a new one.
fn take_port(guest: &Guest, args: &RecvArgs) -> Result<PortId, Box<dyn std::error::Error>> {
    match guest.attach(&args.port) {
        Err(GuestError::Refused(Status { code: Code::NotFound, .. })) => {}
        other => return Ok(other.map_err(|error| misnamed(&error, &args.port))?),
    }
    let spec = PortSpec {
        fabric_wide: args.fabric_wide,
        kind: args.kind.clone(),
        properties: args.property.clone(),
        room: Some(args.room),
        life: args.retain.map_or(Life::Receiver, |time| Life::Retained(time.as_millis() as u64)),
        ..PortSpec::named(&*args.port)
    };
    Ok(guest.open(&spec).map_err(|error| misnamed(&error, &args.port))?)
}

/// Prints what became of a message; good when it went well for every target.
fn show(outcome: &Outcome, at: &At) -> Done {
    let answer = |slot: usize| outcome.answers.iter().find(|answer| answer.slot == slot);
    let good = outcome.status().is_good();
    if at.json {
        let row = |(n, slot): (usize, &Slot)| {
            let mut row = settled(slot);
            if let (Some(answer), Some(fields)) = (answer(n), row.as_object_mut()) {
                fields.insert("answer".into(), told(&answer.head, &answer.payload));
            }
            row
        };
        let slots: Vec<Value> = outcome.slots.iter().enumerate().map(row).collect();
        print(&line(&json!({"good": good, "targets": slots.len(), "slots": slots})))?;
        return Ok(exit(good));
    }
    for (n, slot) in outcome.slots.iter().enumerate() {
        match answer(n) {
            Some(answer) if slot.status.is_good() => {
                if outcome.slots.len() > 1 {
                    print(&format!("{}: ", slot.node_name))?;
                }
                write(&ended(&answer.payload, false))?;
            }
            _ if slot.status.is_good() => print(&format!("{}: stored\n", slot.node_name))?,
            _ => complain(&format!("{}: {}", slot.node_name, slot.status)),
        }
    }
    Ok(exit(good))
}

fn settled(slot: &Slot) -> Value {
    let tier = match slot.status.tier() {
        Tier::Good => "good",
        Tier::Service => "service",
        Tier::Transport => "transport",
        Tier::Call => "call",
    };
    json!({
        "node": slot.node_name,
        "id": slot.node.get(),
        "port": slot.port.map(|port| port.to_string()),
        "stored": slot.stored,
        "code": slot.status.code.number(),
        "detail": slot.status.detail,
        "status": slot.status.code.text(),
        "tier": tier,
    })
}

fn told(head: &Head, payload: &[u8]) -> Value {
    let (key, text) = match std::str::from_utf8(payload) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(payload)),
    };
    json!({
        "node": head.node_name,
        "id": head.node.get(),
        "priority": head.priority as u8,
        "tag": head.tag,
        "opcode": head.opcode,
        "origin": agent(head.origin.agent),
        "asks": head.ask.is_some(),
        "length": payload.len(),
        key: text,
    })
}

/// Who caused a message, in words.
fn agent(agent: Agent) -> &'static str {
    match agent {
        Agent::Daemon => "daemon",
        Agent::CommandLine => "command line",
        Agent::Api => "program",
        Agent::ThirdParty => "third party",
        Agent::Other(_) => "other",
    }
}

fn seen(change: &Change) -> Value {
    json!({
        "up": change.up,
        "edge": change.edge,
        "node": change.node_name,
        "id": change.node.get(),
        "port": change.port.to_string(),
        "name": change.name,
        "kind": change.kind,
        "properties": change.properties.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// What a message says, byte for byte, with an end of line behind it unless it is wanted as it is.
fn ended(payload: &[u8], raw: bool) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    if !raw && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}

/// Prints at once; whether anybody reads.
pub(super) fn write(bytes: &[u8]) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}

/// One line to standard error; there is nothing to do about one that cannot be written.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "minet: {text}");
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
