//! The VIOS facade over real nodes: each test process is a guest of several of them.

mod callers;
mod receipts;
mod responses;

use messenger::{Place, Status};
use messenger_vios::{Address, Class, Incoming, ReceiptState, Request, Vios};
use minet_tests::{Net, Node, Result, SOON};
use std::time::Duration;

fn place(node: &Node) -> Place {
    let config = node.config();
    Place { run_dir: node.run_dir().into(), fabric: config.fabric.clone(), name: Some(config.name.clone()) }
}

/// The VIOS daemon of a node; `seer` knows its port when this returns.
fn daemon(node: &Node, seer: &Node, classes: &[Class]) -> Result<Vios> {
    let vios = Vios::daemon(&place(node), classes).unwrap();
    super::messages::knows(seer, "vios", node.name())?;
    Ok(vios)
}

/// Nodes on one host, the VIOS daemon of each, known to the first one.
fn cluster(net: &Net, count: u32) -> Result<(Vec<Node>, Vec<Vios>)> {
    let nodes = crate::topology::mesh(net, count)?;
    let all = nodes.iter().map(|node| daemon(node, &nodes[0], &[])).collect::<Result<_>>()?;
    Ok((nodes, all))
}

fn got(vios: &mut Vios) -> Incoming {
    vios.receive(Some(SOON)).unwrap().unwrap()
}

/// Nothing is there, now that all that was sent is settled.
fn nothing(vios: &mut Vios) -> bool {
    vios.receive(Some(Duration::ZERO)).unwrap().is_none()
}

fn states(request: &Request) -> Vec<(&str, ReceiptState)> {
    request.receipts.iter().flatten().map(|entry| (&*entry.node_name, entry.state)).collect()
}

/// Slots of a request's ticket that are not settled: the entries of the response queue.
fn entries(vios: &Vios, request: &Request) -> usize {
    let slots = vios.guest().confirmed(request.ticket.unwrap(), Some(Duration::ZERO)).unwrap();
    slots.iter().filter(|slot| !slot.settled).count()
}

fn names(names: &[&str]) -> Vec<Address> {
    names.iter().map(|name| Address::Name((*name).into())).collect()
}

fn good(vios: &mut Vios, request: &mut Request) {
    assert_eq!(vios.submit(request).unwrap(), Status::GOOD, "{:?}", states(request));
}
