//! N+1: workers with a name each, and a spare that takes the name of one that fails.
//!
//! - `workers NODE work NAME`: answers requests for `worker/NAME`.
//! - `workers NODE spare`: waits until some `worker/*` is lost, takes its name and answers.
//! - `workers NODE ask COUNT NAME...`: sends requests to the workers in turn; one that fails is made again until it is answered.
//!
//! Who asks knows names alone: not how many spares there are, nor where anybody runs.

use messenger::{Answer, Guest, GuestError, Message, Place, PortId, PortSpec, To};
use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant},
};

/// The longest wait for one answer; then the request is made again.
const PATIENCE: Duration = Duration::from_secs(1);
/// A request that is not answered in this time, however often it was made, has failed.
const LIMIT: Duration = Duration::from_secs(10);

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [node, verb, rest @ ..] = &args[..] else { return Err("workers NODE work|spare|ask ...".into()) };
    let mut guest = Guest::join(&Place { name: Some((*node).to_owned()), ..Place::default() })?;
    match (*verb, rest) {
        ("work", [name]) => {
            let port = guest.open(&named(&format!("worker/{name}")))?;
            work(&mut guest, port)
        }
        ("spare", []) => spare(&mut guest),
        ("ask", [count, names @ ..]) if !names.is_empty() => ask(&mut guest, count.parse()?, names),
        _ => Err("workers NODE work NAME | spare | ask COUNT NAME...".into()),
    }
}

/// A name that only one on the whole fabric has.
fn named(name: &str) -> PortSpec {
    PortSpec { fabric_wide: true, ..PortSpec::named(name) }
}

/// Answers with the node it runs on, for ever.
fn work(guest: &mut Guest, port: PortId) -> Result<(), Failed> {
    while let Some(asked) = guest.receive(port, None)? {
        match guest.respond(&asked, &Answer::new(guest.node_name().as_bytes().to_vec())) {
            // Who asked is gone.
            Err(GuestError::Refused(_)) => {}
            other => other?,
        }
    }
    Ok(())
}

fn spare(guest: &mut Guest) -> Result<(), Failed> {
    let watch = guest.watch("worker/*")?;
    println!("spare");
    let mut there = BTreeSet::new();
    loop {
        let Some(change) = guest.change(watch, None)? else { continue };
        if change.up {
            there.insert(change.name);
        } else if there.remove(&change.name) {
            match guest.open(&named(&change.name)) {
                Ok(port) => {
                    guest.unwatch(watch)?;
                    println!("{}", change.name);
                    return work(guest, port);
                }
                // Another spare was faster.
                Err(GuestError::Refused(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
    }
}

/// Every request ends with an answer; tells how many had to be made again, and the longest time.
fn ask(guest: &mut Guest, count: usize, names: &[&str]) -> Result<(), Failed> {
    let (mut again, mut longest) = (0, Duration::ZERO);
    for (number, name) in names.iter().cycle().take(count).enumerate() {
        let begun = Instant::now();
        loop {
            match guest.call(&To::Name(format!("worker/{name}")), &Message::new(number.to_string()), PATIENCE) {
                Ok(outcome) if outcome.status().is_good() => break,
                // It failed before it answered, or nobody has its name at the moment.
                Ok(_) | Err(GuestError::Refused(_)) if begun.elapsed() < LIMIT => again += 1,
                Ok(outcome) => return Err(format!("request {number} to {name}: {}", outcome.status()).into()),
                Err(error) => return Err(format!("request {number} to {name}: {error}").into()),
            }
            let watch = guest.watch(&format!("worker/{name}"))?;
            guest.change(watch, Some(PATIENCE))?;
            guest.unwatch(watch)?;
        }
        longest = longest.max(begun.elapsed());
        if number == 0 {
            println!("asking");
        }
    }
    println!("{count} answered, {again} made again, longest {} ms", longest.as_millis());
    Ok(())
}
