//! Processes that send each other numbered messages, every one confirmed, and see that they come in order.
//!
//! `exchange NODE OWN COUNT PEER...`: NODE is the daemon to join, OWN this process's name, PEER the others'. Each one is to be
//! started; all of them end when they have sent and received everything.

use messenger::{Guest, GuestError, Message, Place, PortSpec, Ticket, To};
use std::{
    collections::{BTreeMap, VecDeque},
    env,
    time::Duration,
};

/// Messages for each peer that are not confirmed yet, of all peers together; less than a port holds.
const WINDOW: usize = 200;
/// Nothing takes longer.
const LIMIT: Option<Duration> = Some(Duration::from_secs(60));
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let mut args = env::args().skip(1);
    let (Some(node), Some(own), Some(count)) = (args.next(), args.next(), args.next()) else {
        return Err("exchange NODE OWN COUNT PEER...".into());
    };
    let (count, peers): (u32, Vec<String>) = (count.parse()?, args.collect());
    let mut guest = Guest::join(&Place { name: Some(node), ..Place::default() })?;
    let port = guest.open(&PortSpec::named(format!("exchange/{own}")))?;
    all_there(&mut guest, &peers)?;

    let mut sent: BTreeMap<&String, u32> = peers.iter().map(|peer| (peer, 0)).collect();
    let mut came: BTreeMap<String, u32> = peers.iter().map(|peer| (peer.clone(), 0)).collect();
    let mut open: VecDeque<Ticket> = VecDeque::new();
    while came.values().any(|n| *n < count) || sent.values().any(|n| *n < count) || !open.is_empty() {
        let before = open.len();
        for (peer, sent) in sent.iter_mut().filter(|(_, sent)| **sent < count) {
            if open.len() < WINDOW * peers.len() {
                let message = Message { tag: *sent, ..Message::confirmed(own.as_str()) };
                open.extend(guest.send(&To::Name(format!("exchange/{peer}")), &message)?.ticket);
                *sent += 1;
            }
        }
        // Who has nothing to send waits for what comes.
        let mut limit = if open.len() == before { Some(Duration::from_millis(2)) } else { AT_ONCE };
        while let Some(message) = guest.receive(port, limit)? {
            limit = AT_ONCE;
            let from = String::from_utf8(message.payload)?;
            let next = came.get_mut(&from).ok_or_else(|| format!("{from} is no peer"))?;
            if message.head.tag != *next {
                return Err(format!("{from}: {} came, {next} was next", message.head.tag).into());
            }
            *next += 1;
        }
        // The oldest first.
        while let Some(ticket) = open.front() {
            let Some(outcome) = guest.settle(*ticket, AT_ONCE)? else { break };
            if !outcome.status().is_good() {
                return Err(format!("not stored: {}", outcome.status()).into());
            }
            open.pop_front();
        }
    }
    for (peer, came) in came {
        println!("{came} from {peer}, in order");
    }
    Ok(())
}

/// Waits until every peer has its port.
fn all_there(guest: &mut Guest, peers: &[String]) -> Result<(), GuestError> {
    for peer in peers {
        let watch = guest.watch(&format!("exchange/{peer}"))?;
        guest.change(watch, LIMIT)?.ok_or(GuestError::Answer)?;
        guest.unwatch(watch)?;
    }
    Ok(())
}
