//! Decisions about arbitrary frames: outbound, inbound, in which messages they travel, and merging what was cut.
use messenger_core::{NodeId, SegmentId, Time, wire::Header};
use minet::{
    ANSWER_MAX, Frame, HEAD_MAX, Hop, Inbound, Member, Merge, Merger, Offloads, Part, Plan, Policy, Route, Switch,
    Table, complete_checksum,
};

pub fn run(input: &[u8]) {
    let [what, size, offloads, high, low, bytes @ ..] = input else { return };
    let node = |n| NodeId::new(n).unwrap_or_else(|| unreachable!());
    let segment = SegmentId(0x1234);
    let message = [100, 600, 1472, 65_600][usize::from(size & 3)];
    let member = |n, via| Member {
        node: node(n),
        via: node(via),
        hop: Some(Hop { carrier: 0, channel: n }),
        message,
        slice: message,
        largest_frame: [1514, 9014, 65_535, 300][usize::from(size >> 2 & 3)],
        offloads: Offloads::from_bits(u32::from(*offloads)),
    };
    let policy = Policy { learn: what & 1 != 0, ..Policy::default() };
    let table = Table::builder(node(1), segment)
        .policy(policy)
        .extend([member(2, 2), member(3, 3), member(4, 3)], [], [([10, 0, 0, 2].into(), node(2))])
        .build();
    let more = usize::from(u16::from_be_bytes([*high, *low]));
    let mut whole = bytes.to_vec();
    whole.resize(bytes.len() + more, 0x5a);
    let vnet = what & 2 != 0;
    let frame = Frame { head: &whole[..whole.len().min(HEAD_MAX)], total: whole.len(), vnet };
    let (now, mut answer, mut head) = (Time::from_millis(9), [0; ANSWER_MAX], [0; HEAD_MAX]);
    let mut switch = Switch::new();
    let _ = switch.outbound(&table, now, frame, &mut answer);
    let mut routes = vec![Route::Own];
    if let Ok(header) = Header::parse(bytes) {
        let behind = bytes.get(usize::from(header.len)..).unwrap_or_default();
        let inner = Frame { head: &behind[..behind.len().min(HEAD_MAX)], total: behind.len(), vnet };
        let header = Header { port: segment.0, ..header };
        if let Inbound::Relay(to) = switch.inbound(&table, now, node(2), &header, inner) {
            let _ = switch.plan(&table, to, now, inner, Route::Relay(header), &mut answer);
        }
        routes.push(Route::Relay(header));
    }
    for route in routes {
        let mut merger = Merger::with(Offloads::from_bits(u32::from(*offloads)));
        match switch.plan(&table, usize::from(what >> 4) % 3, now, frame, route, &mut answer) {
            Plan::Whole(w) => {
                assert!(w.len() <= message && w.payload.end <= whole.len());
                if let Some(c) = w.complete {
                    let _ = complete_checksum(&mut whole.clone(), c);
                }
            }
            Plan::Cut(mut cutter) => {
                let parts = cutter.parts();
                let mut made = 0;
                while let Some(part) = cutter.next(&mut head) {
                    made += 1;
                    check(&part, message, whole.len());
                    let built = [&head[..part.head_len], &whole[part.payload]].concat();
                    let h = Header::parse(&built).unwrap_or_else(|e| unreachable!("{e}"));
                    let behind = &built[usize::from(h.len)..];
                    let shown = Frame {
                        head: &behind[..behind.len().min(HEAD_MAX)],
                        total: behind.len(),
                        vnet: h.flags.has(messenger_core::wire::Flags::OFFLOAD),
                    };
                    if let Some((n, _)) = merger.next()
                        && let Some(start) = shown.head.get(..n)
                        && merger.follow(made, start, shown.total)
                    {
                        continue;
                    }
                    if merger.push(made, h.flags, shown) == Merge::Refused {
                        let _ = merger.take();
                    }
                }
                assert!(made > 0 && made >= parts.min(1));
                let _ = merger.take().map(|m| m.len());
            }
            Plan::Slices(mut slicer) => {
                let mut sum = 0;
                while let Some(part) = slicer.next(&mut head) {
                    check(&part, message, whole.len());
                    sum += part.payload.len();
                }
                assert!(sum == whole.len() || sum + 10 == whole.len());
            }
            Plan::TooBig(n) => assert!(n <= ANSWER_MAX),
            Plan::Drop(_) => {}
        }
    }
}

fn check(part: &Part, message: usize, total: usize) {
    assert!(part.head_len <= HEAD_MAX && part.len() <= message && part.payload.end <= total, "{part:?}");
}
