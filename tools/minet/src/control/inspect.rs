//! What is told of messages: counters by port and path, objects and queues, traces.

use super::StatsReport;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Counters of a port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PortStats {
    /// Its number; empty for all that are closed, together.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Messages stored.
    pub admitted: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Messages refused.
    pub refused: u64,
    /// Messages that its receiver took.
    pub taken: u64,
    /// Messages gone with it.
    pub dropped: u64,
    /// Messages that wait in it.
    pub depth: u64,
    /// Bytes that they use.
    pub used: u64,
}

/// Counters of a path.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PathStats {
    /// Its number; empty for all that are closed, together.
    pub id: String,
    /// Whom it means.
    pub to: Option<String>,
    /// Sends that were taken.
    pub sends: u64,
    /// Messages, one a target.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Sends refused on the spot.
    pub refused: u64,
    /// Tickets that are not settled.
    pub outstanding: u64,
}

/// Counters of a link.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LinkStats {
    /// Its number.
    pub id: u32,
    /// The peer's name, once known.
    pub peer: Option<String>,
    /// The carrier's kind.
    pub carrier: String,
    /// Frame messages sent on it.
    pub sent: u64,
    /// Messages received on it.
    pub received: u64,
    /// How often its state changed.
    pub changes: u64,
}

/// `minet dump`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpReport {
    /// The node's name.
    pub node: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Its ports.
    pub ports: Vec<DumpPort>,
    /// Its paths.
    pub paths: Vec<DumpPath>,
    /// Tickets with open slots, the oldest first.
    pub tickets: Vec<DumpTicket>,
    /// Streams to other nodes.
    pub streams: Vec<DumpStream>,
    /// Watches that are open.
    pub watches: u64,
    /// Guests.
    pub guests: u64,
    /// Ports, paths and tickets that are not listed: each list has at most 2,000.
    pub left_out: [u64; 3],
}

/// A port of this node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpPort {
    /// Its number.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What kind of thing it is.
    pub kind: Option<String>,
    /// It has a receiver.
    pub attached: bool,
    /// Messages that wait, by priority.
    pub depth: [usize; 4],
    /// Bytes that they use, by priority.
    pub used: [usize; 4],
    /// What each priority holds, in bytes.
    pub room: [usize; 4],
    /// Requests that its receiver did not answer yet.
    pub unanswered: usize,
}

/// A path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpPath {
    /// Its number.
    pub id: String,
    /// The port it begins at.
    pub from: String,
    /// Whom it means.
    pub to: String,
    /// `opening`, `enabled`, `quiesced` or `failed`.
    pub state: String,
    /// Tickets that are not settled.
    pub outstanding: usize,
}

/// A ticket with open slots.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpTicket {
    /// Its number, which is its messages' transaction.
    pub id: String,
    /// The path it was sent on.
    pub path: String,
    /// Whom that means.
    pub to: Option<String>,
    /// Milliseconds since it was sent.
    pub age_ms: u64,
    /// Milliseconds until its open slots are given up, if they ever are.
    pub left_ms: Option<u64>,
    /// Answers are wanted, and not only receipts.
    pub response: bool,
    /// How many slots are open.
    pub open: usize,
    /// Its slots, at most 1,000.
    pub slots: Vec<DumpSlot>,
}

/// A slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpSlot {
    /// The target's node.
    pub node: String,
    /// The target's port, if it was known.
    pub port: Option<String>,
    /// The node told that it has the message.
    pub stored: bool,
    /// How it ended, if it did.
    pub status: Option<String>,
}

/// The stream to another node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpStream {
    /// The node.
    pub node: String,
    /// It is there.
    pub up: bool,
    /// Bytes that wait in its queues, by priority.
    pub waiting: [usize; 4],
    /// Bytes of datagrams that wait.
    pub datagrams: usize,
    /// Slots of tickets that wait for it.
    pub slots: usize,
    /// Its requests that were not answered.
    pub asks: usize,
    /// The measured round trip, in microseconds.
    pub rtt_us: Option<f64>,
}

/// `minet trace`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceReport {
    /// What went through since the last answer, at most 500.
    pub entries: Vec<TraceEntry>,
}

/// A message that went through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceEntry {
    /// Counts up; what is left out was more than is kept.
    pub number: u64,
    /// When, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// `sent` or `received`.
    pub way: String,
    /// `message`, `receipt` or `response`.
    pub kind: String,
    /// The other node.
    pub node: String,
    /// From which port: its name, or its number.
    pub from: String,
    /// To which port.
    pub to: String,
    /// Whom its path means.
    pub path: Option<String>,
    /// What is asked.
    pub opcode: u16,
    /// The application's tag.
    pub tag: u32,
    /// 0 the most urgent.
    pub priority: u8,
    /// A receipt is wanted.
    pub receipt: bool,
    /// A response is wanted.
    pub response: bool,
    /// Its transaction, in hexadecimal.
    pub transaction: String,
    /// Its slot.
    pub slot: u16,
    /// Of a receipt or a response: how it went.
    pub status: String,
    /// Bytes of its payload.
    pub length: usize,
    /// Its bytes on the wire, in base64, with as much of its payload as was asked for.
    pub wire: String,
}

/// Numbers that are no counters: they tell how something is.
const STATES: [&str; 9] =
    ["id", "depth", "used", "outstanding", "guests", "control-clients", "tracing", "mtu", "changes"];

impl StatsReport {
    /// What was counted since another report of the same node.
    ///
    /// # Errors
    /// They cannot be compared; that would be a mistake of this program.
    pub fn since(&self, base: &StatsReport) -> serde_json::Result<StatsReport> {
        let mut now = serde_json::to_value(self)?;
        subtract(&mut now, &serde_json::to_value(base)?);
        serde_json::from_value(now)
    }
}

/// Takes counters away from counters: in objects by key, in lists by what has the same identity, or else by place.
fn subtract(now: &mut Value, base: &Value) {
    match (now, base) {
        (Value::Object(now), Value::Object(base)) => {
            for (key, value) in now.iter_mut().filter(|(key, _)| !STATES.contains(&key.as_str())) {
                if let Some(base) = base.get(key) {
                    subtract(value, base);
                }
            }
        }
        (Value::Array(now), Value::Array(base)) => {
            for (at, value) in now.iter_mut().enumerate() {
                let same = |other: &&Value| other.get("id") == value.get("id");
                let other = if value.get("id").is_some() { base.iter().find(same) } else { base.get(at) };
                if let Some(other) = other {
                    subtract(value, other);
                }
            }
        }
        (now, base) => {
            if let (Some(n), Some(less)) = (now.as_u64(), base.as_u64()) {
                *now = n.saturating_sub(less).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_a_difference() {
        let port = |id: &str, admitted, depth| PortStats { id: id.into(), admitted, depth, ..PortStats::default() };
        let report = |ports, core: [(&str, u64); 2]| StatsReport {
            segments: vec![],
            carriers: vec![],
            links: vec![],
            paths: vec![],
            ports,
            core: core.map(|(name, n)| (name.to_owned(), n)).into(),
        };
        let base = report(vec![port("1.1", 5, 9), port("2.1", 7, 0)], [("late", 3), ("guests", 4)]);
        let now = report(vec![port("2.1", 9, 1), port("3.1", 1, 2)], [("late", 5), ("guests", 6)]);
        let since = now.since(&base).unwrap();
        let ports: Vec<_> = since.ports.iter().map(|p| (&*p.id, p.admitted, p.depth)).collect();
        assert_eq!(ports, [("2.1", 2, 1), ("3.1", 1, 2)]);
        assert_eq!((since.core["late"], since.core["guests"]), (2, 6));
    }
}
