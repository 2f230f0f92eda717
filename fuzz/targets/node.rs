//! A node among liars: whatever comes on its links, it does not panic, what it wants to say for one message is bounded,
//! and it keeps working.
//!
//! The input is a list of steps: a byte for what (link, whether time passes, whether the session is put right), a byte
//! for the length, the message.
use messenger_core::{Incarnation, LinkSpec, Name, Node, NodeConfig, NodeId, Time, wire::Header};
use std::time::Duration;

/// Messages that one step may cause: a registry of a few records to three neighbours, in parts.
const MOST: usize = 20_000;

pub fn run(input: &[u8]) {
    let Some(node) = NodeId::new(1) else { return };
    let (Ok(name), Ok(fabric)) = (Name::new("me"), Name::new("f")) else { return };
    let mut now = Time::from_millis(1);
    let config = NodeConfig {
        node,
        name,
        fabric,
        incarnation: Incarnation::new(7),
        version: 1,
        seed: 1,
        interval: Duration::from_millis(500),
        miss_limit: 4,
        relay: true,
        frame: 1514,
        offloads: 0,
    };
    let mut me = Node::new(config, now);
    let spec =
        |lasting| LinkSpec { carrier: "fuzz", priority: 10, message: 600, expect: None, miss_limit: None, lasting };
    let mut links = [0, 1, 2].map(|n| me.open_link(now, spec(n != 2)));
    let mut sessions = [0u32; 3];
    let mut rest = input;
    while let [what, len, more @ ..] = rest {
        let (message, behind) = more.split_at(usize::from(*len).min(more.len()));
        rest = behind;
        let at = usize::from(what % 3);
        if me.link(links[at]).is_none() {
            links[at] = me.open_link(now, spec(at != 2));
        }
        now = now + Duration::from_millis([0, 1, 100, 2_500][usize::from(what >> 2 & 3)]);
        me.handle_timeout(now);
        let mut message = message.to_vec();
        if what & 0x10 != 0 {
            // A hello is only believed when it echoes the session that the node told in its own.
            if let Some(echo) = message.get_mut(20..24).filter(|_| what & 0x20 != 0) {
                echo.copy_from_slice(&sessions[at].to_le_bytes());
            }
            me.handle_message(now, links[at], &message);
        } else if what & 0x20 != 0 {
            let _ = NodeId::new(u32::from(*len)).map(|to| me.ping(now, to, message.len()));
        }
        me.handle_traffic(now, links[at], what & 0x40 != 0, what & 0x80 != 0);
        let mut said = 0;
        while let Some(sent) = me.poll_transmit() {
            said += 1;
            assert!(said < MOST && sent.bytes.len() <= 600 + Header::MAX_LEN, "{said}: {}", sent.bytes.len());
            if let (Some(at), Ok(h)) = (links.iter().position(|l| *l == sent.link), Header::parse(&sent.bytes)) {
                sessions[at] = if u8::from(h.kind) == 0 { h.port } else { sessions[at] };
            }
        }
        while me.poll_event().is_some() {}
        assert!(me.departed().count() <= 64 && me.links().count() <= 3);
    }
    // Time goes on: every timer moves.
    for _ in 0..20 {
        let Some(at) = me.poll_timeout() else { break };
        now = now.max(at);
        me.handle_timeout(now);
    }
    assert!(me.poll_timeout().is_none_or(|at| at > now), "a timer that does not move");
}
