//! A line for each message.

use super::staging::Staging;
use crate::{Batch, Carrier, Channel, Message, Origin, SendError, Slot, View};
use std::{fmt, io};

/// How many bytes of a message a line shows.
const SHOWN: usize = 24;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// One message that passes.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Kind of the carrier.
    pub carrier: &'static str,
    /// Which way.
    pub direction: Direction,
    /// The peer.
    pub origin: Origin,
    /// How long it is, in bytes.
    pub len: usize,
    /// Its first bytes.
    pub head: &'a [u8],
}

/// Says which messages get a line.
pub type Filter = Box<dyn FnMut(&Event<'_>) -> bool + Send>;
/// Takes the lines.
pub type Sink = Box<dyn FnMut(&Event<'_>) + Send>;

/// Writes a line for each message that passes a filter. Without a sink it goes to the log, at level debug.
pub struct Trace<C> {
    inner: C,
    filter: Filter,
    sink: Sink,
    staging: Staging,
}

impl<C: Carrier> Trace<C> {
    /// All messages, to the log.
    pub fn new(inner: C) -> Trace<C> {
        let sink: Sink = Box::new(|event| log::debug!(target: "fabric::trace", "{event}"));
        Trace { inner, filter: Box::new(|_| true), sink, staging: Staging::default() }
    }

    /// Only what the filter likes.
    pub fn with_filter(mut self, filter: Filter) -> Trace<C> {
        self.filter = filter;
        self
    }

    /// To somewhere else than the log.
    pub fn with_sink(mut self, sink: Sink) -> Trace<C> {
        self.sink = sink;
        self
    }

    /// The carrier inside.
    pub fn inner(&mut self) -> &mut C {
        &mut self.inner
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        write!(f, "{} {arrow} ", self.carrier)?;
        match self.origin {
            Origin::Channel(channel) => write!(f, "{}", channel.0)?,
            Origin::Stranger(address) => write!(f, "{address}")?,
        }
        write!(f, " {} bytes:", self.len)?;
        self.head.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
        f.write_str(if self.head.len() < self.len { " ..." } else { "" })
    }
}

fn show(
    (carrier, direction, origin): (&'static str, Direction, Origin),
    parts: &[View<'_>],
    filter: &mut Filter,
    sink: &mut Sink,
) {
    let mut head = [0; SHOWN];
    let mut filled = 0;
    for part in parts {
        filled += part.copy_to(0, head.get_mut(filled..).unwrap_or_default());
    }
    let len = parts.iter().map(View::len).sum();
    let event = Event { carrier, direction, origin, len, head: head.get(..filled).unwrap_or_default() };
    if filter(&event) {
        sink(&event);
    }
}

impl<C: Carrier> Carrier for Trace<C> {
    super::pass::pass_on!();

    fn detach(&mut self, channel: Channel) {
        self.inner.detach(channel);
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        self.staging.reserve(&mut self.inner, channel, most)
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        let parts = [View::from(self.staging.commit(&self.inner, channel, used)?)];
        let about = (self.inner.kind(), Direction::Out, Origin::Channel(channel));
        self.inner.send(channel, &[Message { parts: &parts }]).1?;
        show(about, &parts, &mut self.filter, &mut self.sink);
        Ok(())
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        self.staging.forget();
        let sent = self.inner.send(channel, messages);
        let about = (self.inner.kind(), Direction::Out, Origin::Channel(channel));
        for message in messages.iter().take(sent.0) {
            show(about, message.parts, &mut self.filter, &mut self.sink);
        }
        sent
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        self.staging.forget();
        self.inner.send_urgent(channel, message)?;
        let about = (self.inner.kind(), Direction::Out, Origin::Channel(channel));
        show(about, message.parts, &mut self.filter, &mut self.sink);
        Ok(())
    }

    fn flush(&mut self) {
        self.staging.forget();
        self.inner.flush();
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        let kind = self.inner.kind();
        let before = batch.len();
        self.inner.receive(batch)?;
        for received in batch.iter().skip(before) {
            show((kind, Direction::In, received.origin), &[received.bytes], &mut self.filter, &mut self.sink);
        }
        Ok(())
    }

    fn arm(&mut self) -> bool {
        self.inner.arm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Peer,
        loopback::{Loopback, pair},
    };
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_line_says_who_how_much_and_how_it_begins() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let (a, _b) = pair(8, 64);
        let mut trace = Trace::new(Loopback::new().unwrap())
            .with_filter(Box::new(|event| event.len != 1))
            .with_sink(Box::new(move |event| kept.lock().unwrap().push(event.to_string())));
        trace.attach(Channel(5), Peer::Loop(a)).unwrap();
        let send = |trace: &mut Trace<_>, bytes: &[u8]| {
            trace.send(Channel(5), &[Message { parts: &[View::from(bytes)] }]).1.unwrap();
        };
        send(&mut trace, &[1, 2, 255]);
        send(&mut trace, &[9]);
        send(&mut trace, &[0xaa; 25]);
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0], "loopback -> 5 3 bytes: 01 02 ff");
        assert_eq!(lines[1], format!("loopback -> 5 25 bytes:{} ...", " aa".repeat(24)));
        assert_eq!(lines.len(), 2);
    }
}
