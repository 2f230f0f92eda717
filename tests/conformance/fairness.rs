//! Many peers on one carrier.

use crate::pair::{bytes, meet};
use fabric::{BATCH, Batch, Carrier, Channel, Message, Origin, Peer, View, shm::Shm};

/// A peer that never stops does not keep the others from being heard.
#[test]
fn everybody_is_heard_in_every_batch() {
    let mut hub = Shm::new().unwrap();
    let mut lives = Vec::new();
    let mut peers: Vec<Shm> = (0..5)
        .map(|number| {
            let mut peer = Shm::new().unwrap();
            let (at_hub, at_peer) = meet(&hub, &peer, 1 << 16);
            let mut rings = at_hub.rings.into_iter().chain(at_peer.rings);
            hub.attach(Channel(number), Peer::Shm(rings.next().unwrap())).unwrap();
            peer.attach(Channel(0), Peer::Shm(rings.next().unwrap())).unwrap();
            lives.push((at_hub.life, at_peer.life));
            peer
        })
        .collect();
    for _ in 0..20 {
        for (number, peer) in peers.iter_mut().enumerate() {
            // The first fills its ring each time; the others say one word.
            let count = if number == 0 { 1000 } else { 1 };
            let text = [number as u8];
            let parts = [View::from(&text[..])];
            let _ = peer.send(Channel(0), &vec![Message { parts: &parts }; count]);
            peer.flush();
        }
        let mut batch = Batch::new();
        hub.receive(&mut batch).unwrap();
        assert!(batch.len() > BATCH / 5, "{}", batch.len());
        for number in 0..5 {
            let from = Origin::Channel(Channel(number));
            let heard = batch.iter().filter(|received| received.origin == from);
            assert!(heard.clone().all(|received| bytes(received.bytes) == [number as u8]));
            assert!(heard.count() > 0, "{number} was not heard");
        }
        drop(batch);
        hub.release();
    }
}
