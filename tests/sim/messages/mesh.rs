//! Logical devices in a full mesh: one to one, one to many, many to one.

use crate::world::World;
use messenger_core::{
    Choice, Delivery, Message, Name, NodeId, PathId, PathSpec, Pattern, PortId, PortSpec, Received, Target,
};
use std::time::Duration;

const NODES: usize = 5;
const DEVICES: usize = 2 * NODES;

/// Five nodes in a line, each with two devices: what one end says to the other is relayed.
struct Mesh {
    w: World,
    ports: Vec<PortId>,
    /// Deliveries of each node that were looked at.
    seen: [usize; NODES],
}

fn name(device: usize) -> Name {
    Name::new(&format!("dev/{device}")).unwrap()
}

impl Mesh {
    fn new() -> Mesh {
        let mut w = World::with(23, NODES);
        w.line(&[0, 1, 2, 3, 4]);
        w.run(Duration::from_secs(3));
        let mut mesh = Mesh { w, ports: Vec::new(), seen: [0; NODES] };
        for device in 0..DEVICES {
            let place = mesh.place(device);
            let now = mesh.now(place);
            let exchange = mesh.w.stations[place].node.exchange_mut();
            mesh.ports.push(exchange.open_port(now, PortSpec::named(name(device))).unwrap());
            mesh.w.pump(place);
        }
        mesh.w.run(Duration::from_secs(3));
        mesh
    }

    fn place(&self, device: usize) -> usize {
        device % NODES
    }

    fn now(&self, place: usize) -> messenger_core::Time {
        self.w.now + self.w.stations[place].skew
    }

    fn path(&mut self, from: usize, to: Target, choice: Choice) -> PathId {
        let (place, port) = (self.place(from), self.ports[from]);
        let now = self.now(place);
        let spec = PathSpec { from: port, choice, ..PathSpec::to(to) };
        self.w.stations[place].node.exchange_mut().open_path(now, spec).unwrap()
    }

    fn send(&mut self, from: usize, path: PathId, tag: u32) {
        let place = self.place(from);
        let now = self.now(place);
        let message = Message { tag, ..Message::default() };
        self.w.stations[place].node.exchange_mut().send(now, path, &message).unwrap();
        self.w.pump(place);
    }

    fn device(&self, node: NodeId, port: PortId) -> usize {
        let is = |device: &usize| self.w.stations[self.place(*device)].id() == node && self.ports[*device] == port;
        (0..DEVICES).find(is).unwrap()
    }

    /// What came since it was last asked: from which device, at which, with which tag; at each device in order.
    fn came(&mut self) -> Vec<(usize, usize, u32)> {
        self.w.run(Duration::from_secs(2));
        let mut came = Vec::new();
        for place in 0..NODES {
            let station = &self.w.stations[place];
            for (delivery, _) in &station.told[self.seen[place]..] {
                if let Delivery::Message { message: Received { node, from, port, tag, .. }, .. } = delivery {
                    came.push((self.device(*node, *from), self.device(station.id(), *port), *tag));
                }
            }
            self.seen[place] = station.told.len();
        }
        came
    }
}

/// All ninety pairs; one to the nine others and itself; nine to one, each sender's messages in order.
///
/// Rows: MA-12, CP-2.
#[test]
fn ten_devices_of_five_nodes_talk_one_to_one_to_many_and_from_many() {
    let mut mesh = Mesh::new();
    let mut sent = Vec::new();
    for (from, to) in (0..DEVICES).flat_map(|from| (0..DEVICES).map(move |to| (from, to))).filter(|(a, b)| a != b) {
        let path = mesh.path(from, Target::Name(name(to)), Choice::First);
        let tag = (from * DEVICES + to) as u32;
        mesh.send(from, path, tag);
        sent.push((from, to, tag));
    }
    assert_eq!(sent.len(), 90);
    let mut came = mesh.came();
    came.sort_unstable();
    assert_eq!(came, sent, "each once, at whom it was for");

    let all = mesh.path(3, Target::Pattern(Pattern::parse("dev/*").unwrap()), Choice::All);
    mesh.send(3, all, 7);
    let mut came = mesh.came();
    came.sort_unstable();
    assert_eq!(came, (0..DEVICES).map(|to| (3, to, 7)).collect::<Vec<_>>(), "one copy each");

    let paths: Vec<PathId> = (1..DEVICES).map(|from| mesh.path(from, Target::Name(name(0)), Choice::First)).collect();
    for tag in 0..50 {
        for (from, path) in (1..).zip(&paths) {
            mesh.send(from, *path, tag);
        }
    }
    let came = mesh.came();
    for sender in 1..DEVICES {
        let tags: Vec<u32> = came.iter().filter(|(from, to, _)| (*from, *to) == (sender, 0)).map(|c| c.2).collect();
        assert_eq!(tags, (0..50).collect::<Vec<u32>>(), "from {sender}");
    }
    assert_eq!(came.len(), 9 * 50);
}
