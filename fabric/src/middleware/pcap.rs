//! Every message into a capture file.

use super::{staging::Staging, trace::Direction};
use crate::{Batch, Carrier, Channel, Message, Origin, SendError, Slot, View};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The first of the link types that users may give a meaning.
pub const LINKTYPE_USER0: u32 = 147;
/// In front of each message: 0 for in or 1 for out, three zeros, the channel as u32, little-endian. The channel is all
/// ones for a stranger.
pub const PSEUDO_HEADER: usize = 8;

/// Nanoseconds in the time stamps.
const MAGIC: u32 = 0xa1b2_3c4d;
const SNAP: u32 = 1 << 17;

/// Writes each message, both ways, to a capture file. When the file cannot be written any more, it stops writing,
/// says so once, and counts; messages pass as before.
pub struct Pcap<C> {
    inner: C,
    file: Option<Box<dyn Write + Send>>,
    scratch: Vec<u8>,
    staging: Staging,
    written: u64,
    lost: u64,
}

impl<C: Carrier> Pcap<C> {
    /// To a new file. An existing one is replaced.
    pub fn create(inner: C, path: &Path, link_type: u32) -> io::Result<Pcap<C>> {
        Ok(Pcap::new(inner, BufWriter::with_capacity(1 << 18, File::create(path)?), link_type))
    }

    /// To anything that can be written. It should buffer by itself.
    pub fn new(inner: C, file: impl Write + Send + 'static, link_type: u32) -> Pcap<C> {
        let file: Option<Box<dyn Write + Send>> = Some(Box::new(file));
        let staging = Staging::default();
        let mut pcap = Pcap { inner, file, scratch: Vec::new(), staging, written: 0, lost: 0 };
        for word in [MAGIC, 2 | 4 << 16, 0, 0, SNAP, link_type] {
            pcap.scratch.extend(word.to_le_bytes());
        }
        // A failure here is the same as one later.
        let header = write(&mut pcap.file, &pcap.scratch);
        pcap.note(header);
        pcap
    }

    /// Messages written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Messages that passed after the file failed.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Hands what is buffered to the system.
    pub fn sync(&mut self) {
        let done = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.note(done);
    }

    /// The carrier inside.
    pub fn inner(&mut self) -> &mut C {
        &mut self.inner
    }

    fn record(&mut self, direction: Direction, origin: Origin, parts: &[View<'_>]) {
        if self.file.is_none() {
            self.lost += 1;
            return;
        }
        fill(&mut self.scratch, direction, origin, parts);
        match write(&mut self.file, &self.scratch) {
            Ok(()) => self.written += 1,
            Err(error) => {
                self.lost += 1;
                self.note(Err(error));
            }
        }
    }

    fn note(&mut self, done: io::Result<()>) {
        if let Err(error) = done
            && self.file.take().is_some()
        {
            log::warn!("capture stops, messages go on: {error}");
        }
    }
}

fn write(file: &mut Option<Box<dyn Write + Send>>, bytes: &[u8]) -> io::Result<()> {
    file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
}

/// Makes one record, with its header and the pseudo-header.
fn fill(out: &mut Vec<u8>, direction: Direction, origin: Origin, parts: &[View<'_>]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let len = PSEUDO_HEADER + parts.iter().map(View::len).sum::<usize>();
    let kept = len.min(SNAP as usize);
    let channel = match origin {
        Origin::Channel(channel) => channel.0,
        Origin::Stranger(_) => u32::MAX,
    };
    out.clear();
    for word in [now.as_secs() as u32, now.subsec_nanos(), kept as u32, len as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend([u8::from(direction == Direction::Out), 0, 0, 0]);
    out.extend(channel.to_le_bytes());
    let header = out.len() - PSEUDO_HEADER;
    for part in parts {
        let at = out.len();
        out.resize(at + part.len(), 0);
        part.copy_to(0, out.get_mut(at..).unwrap_or_default());
    }
    out.truncate(header + kept);
}

impl<C: Carrier> Carrier for Pcap<C> {
    super::pass::pass_on!();

    fn detach(&mut self, channel: Channel) {
        self.inner.detach(channel);
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        self.staging.reserve(&mut self.inner, channel, most)
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        let mut staging = std::mem::take(&mut self.staging);
        let sent = staging.commit(&self.inner, channel, used).and_then(|bytes| {
            let parts = [View::from(bytes)];
            self.inner.send(channel, &[Message { parts: &parts }]).1?;
            self.record(Direction::Out, Origin::Channel(channel), &parts);
            Ok(())
        });
        self.staging = staging;
        sent
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        self.staging.forget();
        let sent = self.inner.send(channel, messages);
        for message in messages.iter().take(sent.0) {
            self.record(Direction::Out, Origin::Channel(channel), message.parts);
        }
        sent
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        self.staging.forget();
        self.inner.send_urgent(channel, message)?;
        self.record(Direction::Out, Origin::Channel(channel), message.parts);
        Ok(())
    }

    fn flush(&mut self) {
        self.staging.forget();
        self.inner.flush();
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        let before = batch.len();
        self.inner.receive(batch)?;
        let mut failed = None;
        for received in batch.iter().skip(before) {
            if self.file.is_none() || failed.is_some() {
                self.lost += 1;
                continue;
            }
            fill(&mut self.scratch, Direction::In, received.origin, &[received.bytes]);
            match write(&mut self.file, &self.scratch) {
                Ok(()) => self.written += 1,
                Err(error) => {
                    self.lost += 1;
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed
            && self.file.take().is_some()
        {
            log::warn!("capture stops, messages go on: {error}");
        }
        Ok(())
    }

    fn arm(&mut self) -> bool {
        self.sync();
        self.inner.arm()
    }
}

impl<C> Drop for Pcap<C> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(Write::flush) {
            log::warn!("the end of the capture is lost: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Peer,
        loopback::{Loopback, pair},
    };

    fn ends() -> (Loopback, Loopback) {
        let (a, b) = pair(64, 2000);
        let (mut one, mut two) = (Loopback::new().unwrap(), Loopback::new().unwrap());
        one.attach(Channel(1), Peer::Loop(a)).unwrap();
        two.attach(Channel(2), Peer::Loop(b)).unwrap();
        (one, two)
    }

    fn send(carrier: &mut impl Carrier, channel: u32, bytes: &[u8]) {
        carrier.send(Channel(channel), &[Message { parts: &[View::from(bytes)] }]).1.unwrap();
        carrier.flush();
    }

    #[test]
    fn both_directions_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.pcap");
        let (one, mut two) = ends();
        let mut pcap = Pcap::create(one, &path, LINKTYPE_USER0).unwrap();
        send(&mut pcap, 1, b"out");
        send(&mut two, 2, b"in, longer");
        pcap.receive(&mut Batch::new()).unwrap();
        assert_eq!((pcap.written(), pcap.lost()), (2, 0));
        drop(pcap);

        let bytes = std::fs::read(path).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(16), word(20)), (0xa1b2_3c4d, 0x0004_0002, 1 << 17, 147));
        assert_eq!((word(32), word(36)), (11, 11));
        assert_eq!(&bytes[40..51], b"\x01\0\0\0\x01\0\0\0out");
        assert_eq!(&bytes[67..], b"\0\0\0\0\x01\0\0\0in, longer");
        assert_eq!(word(59), 18);
    }

    #[test]
    fn a_full_disk_stops_the_capture_and_nothing_else() {
        let (one, mut two) = ends();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut pcap = Pcap::new(one, BufWriter::with_capacity(100, full), LINKTYPE_USER0);
        for _ in 0..20 {
            send(&mut pcap, 1, &[0; 50]);
        }
        let mut batch = Batch::new();
        two.receive(&mut batch).unwrap();
        assert_eq!(batch.len(), 20);
        assert!(pcap.lost() > 0 && pcap.written() + pcap.lost() == 20);
    }
}
