//! The Message Passing Service between real daemons: clients are guests in this process, storage processors are nodes.

mod c_library;
mod closing;
mod exchange;
mod failures;
mod mailboxes;
mod many;
mod refusals;

use crate::{messages::knows, topology::joined};
use messenger_mps::{
    Buffer, Conduit, Error, Event, Mailbox, MessageReceived, Mps, Opening, Place, SendDescriptor, SequenceTag, Session,
    SpId, Status, Timeout,
};
use minet_tests::{Config, Net, Node, Result, SOON, eventually};
use std::{
    sync::{
        Mutex,
        mpsc::{Receiver, TryRecvError, channel},
    },
    time::Duration,
};

/// Nodes that hold a frozen one for alive for many seconds.
fn patient(config: Config) -> Config {
    config.heartbeat(500, 60)
}

/// A client of a node.
fn client(node: &Node) -> Mps {
    let place =
        Place { run_dir: node.run_dir().into(), fabric: node.config().fabric.clone(), name: Some(node.name().into()) };
    Mps::join(&place).unwrap()
}

/// The mailbox of a name in the tests' domain.
fn mailbox(name: &str) -> Mailbox {
    Mailbox::new("TEST", name).unwrap()
}

fn opening(name: &str) -> Opening {
    Opening::new(Conduit::Fabric, mailbox(name))
}

/// A client with an open session, and what that is told.
struct Party {
    mps: Mps,
    session: Session,
    events: Mutex<Receiver<Event>>,
    id: SpId,
}

impl Party {
    fn open(node: &Node, opening: &Opening) -> Party {
        Party::with(&client(node), node, opening)
    }

    fn with(mps: &Mps, node: &Node, opening: &Opening) -> Party {
        let (told, events) = channel();
        let session = mps.open(opening, move |event| told.send(event).map_or(Status::Failed, |()| Status::Success));
        let id = mps.sp_ids(node.name()).unwrap().peer;
        Party { mps: mps.clone(), session: session.unwrap(), events: Mutex::new(events), id }
    }

    /// A descriptor for bytes in a buffer of their own.
    fn letter(&self, to: SpId, tag: SequenceTag, bytes: &[u8]) -> SendDescriptor {
        SendDescriptor { context: 0, destination: to, buffer: self.buffer(bytes), size: bytes.len(), tag }
    }

    fn buffer(&self, bytes: &[u8]) -> Buffer {
        let buffer = self.mps.allocate(bytes.len()).unwrap();
        buffer.fill(bytes).unwrap();
        buffer
    }

    /// Sends a synchronous message and waits for its confirmation.
    fn send(&self, to: SpId, transaction: u32, bytes: &[u8]) -> std::result::Result<(), Error> {
        self.session.send_sync(&self.letter(to, sync(transaction), bytes))
    }

    /// The synchronous message that is there, if any.
    fn got(&self, transaction: Option<u32>) -> Option<MessageReceived> {
        match self.session.receive(Timeout::Test, transaction) {
            Ok(message) => Some(message),
            Err(error) => {
                assert_eq!(error.status(), Status::NoMessage);
                None
            }
        }
    }

    /// Waits for the next event.
    fn event(&self) -> Event {
        self.events.lock().unwrap().recv_timeout(SOON).unwrap()
    }

    /// Nothing was told.
    fn is_quiet(&self) -> bool {
        matches!(self.events.lock().unwrap().try_recv(), Err(TryRecvError::Empty))
    }

    /// Nothing is told for a while.
    fn hears_nothing(&self) -> bool {
        self.events.lock().unwrap().recv_timeout(MOMENT).is_err()
    }
}

fn sync(transaction: u32) -> SequenceTag {
    SequenceTag::sync(transaction).unwrap()
}

fn asynchronous(transaction: u32) -> SequenceTag {
    SequenceTag::asynchronous(transaction).unwrap()
}

/// The status of what was refused.
fn status<T: std::fmt::Debug>(result: std::result::Result<T, Error>) -> Status {
    result.unwrap_err().status()
}

/// Waits until a node knows that another one has a mailbox open.
fn sees(seer: &Node, name: &str, owner: &Node) -> Result<()> {
    knows(seer, &mailbox(name).port(), owner.name())
}

/// Opens the same mailbox on both nodes and waits until each knows of the other's.
fn both(a: &Node, b: &Node, name: &str) -> Result<(Party, Party)> {
    let (at_a, at_b) = (Party::open(a, &opening(name)), Party::open(b, &opening(name)));
    sees(a, name, b)?;
    sees(b, name, a)?;
    Ok((at_a, at_b))
}

/// Two patient nodes on one host.
fn pair(net: &Net) -> Result<(Node, Node)> {
    let a = Node::start(net, &net.space("a")?, patient(Config::new("a", 1)))?;
    let b = Node::start(net, &net.space("b")?, patient(Config::new("b", 2)))?;
    let mut nodes = joined(vec![a, b])?;
    let b = nodes.remove(1);
    Ok((nodes.remove(0), b))
}

/// Waits until so many sends of a session are under way.
fn under_way(party: &Party, count: usize) -> Result<()> {
    eventually(SOON, "sends under way", || {
        Ok((party.session.record().unwrap().outstanding.len() == count).then_some(()))
    })
}

/// Waits until so many calls receive.
fn receiving(party: &Party, count: usize) -> Result<()> {
    eventually(SOON, "calls that receive", || {
        Ok((party.session.record().unwrap().receives.len() == count).then_some(()))
    })
}

/// Longer than a local message takes by far, and short for a reader.
const MOMENT: Duration = Duration::from_millis(300);
