//! Makes the snapshot that lanes read from what the core, the wires and the interfaces know.

use super::{Lanes, interface::Attached, wires::Wires};
use crate::snapshot::Snapshot;
use messenger_core::Node;
use minet::{Hop, Member, Offloads, Stations, Table};
use std::net::IpAddr;

/// The snapshot of now.
pub(super) fn snapshot(
    node: &Node,
    wires: &Wires,
    attached: &[Attached],
    stations: &[Stations],
    lanes: &Lanes,
) -> Snapshot {
    let tables = attached.iter().zip(stations).map(|(a, s)| table(node, wires, a, s)).collect();
    let mut peers = vec![Vec::new(); lanes.kinds.len()];
    for (link, wire) in wires.iter() {
        let Some(peer) = node.link(link).filter(|l| l.is_live()).and_then(|l| l.peer()) else { continue };
        let Some(channels) = peers.get_mut(wire.carrier) else { continue };
        let at = wire.channel as usize;
        if channels.len() <= at {
            channels.resize(at + 1, None);
        }
        if let Some(place) = channels.get_mut(at) {
            *place = Some(peer.node);
        }
    }
    Snapshot { tables, peers }
}

fn table(node: &Node, wires: &Wires, attached: &Attached, stations: &Stations) -> Table {
    let mut table = Table::builder(node.id(), attached.segment)
        .mac(attached.mac)
        .largest_frame(attached.largest_frame() as usize)
        .offloads(attached.offloads)
        .policy(attached.policy());
    for ip in attached.addresses() {
        table = table.address(ip, node.id());
    }
    for record in node.members().filter(|r| r.node != node.id()) {
        let Some(there) = record.attachments.iter().find(|a| a.segment == attached.segment) else { continue };
        let route = node.route(record.node);
        let way = route.and_then(|r| Some((r, wires.get(r.link)?, node.link(r.link)?.peer()?)));
        table = table.member(Member {
            node: record.node,
            via: route.map_or(record.node, |r| r.via),
            hop: way.map(|(_, wire, _)| Hop { carrier: wire.carrier as u8, channel: wire.channel }),
            message: way.map_or(0, |(_, _, peer)| peer.message as usize),
            slice: way.map_or(0, |(route, ..)| route.message as usize),
            largest_frame: there.frame as usize,
            offloads: Offloads::from_bits(there.offloads),
        });
        for ip in &there.v4 {
            table = table.address(IpAddr::from(*ip), record.node);
        }
        for ip in &there.v6 {
            table = table.address(IpAddr::from(*ip), record.node);
        }
    }
    stations.iter().fold(table, |table, station| table.station(station)).build()
}
