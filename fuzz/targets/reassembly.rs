//! Slices of any numbers, in any order and at any time: a whole frame is made of its own slices and nothing else.
use messenger_core::{
    NodeId, Time,
    wire::{Flags, Header, Slice},
};
use minet::Reassembly;

const LARGEST: usize = 4096;

pub fn run(input: &[u8]) {
    let [frames, input @ ..] = input else { return };
    let mut reassembly = Reassembly::new(usize::from(*frames % 6), LARGEST);
    let mut now = Time::ZERO;
    for step in input.chunks_exact(9) {
        let [what, source, run, p1, p0, t1, t0, l1, l0] = *step else { return };
        let node = |n| NodeId::new(n).unwrap_or_else(|| unreachable!());
        let header = Header::frame(node(u32::from(source % 4) + 1), node(9), u32::from(what >> 7));
        let mut flags = header.flags.with(Flags::SLICE);
        if what & 1 != 0 {
            flags = flags.with(Flags::MORE);
        }
        let header = Header { flags, ..header };
        now = now + std::time::Duration::from_millis([0, 0, 1, 400, 999, 1000, 1001, 5000][usize::from(what >> 1 & 7)]);
        // Small numbers as they are; where the bit is set, any.
        let any = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
        let total = if what & 16 != 0 { any(t1, t0) << 16 | any(t0, t1) } else { any(t1, t0) % (LARGEST + 2) };
        let part = if what & 32 != 0 { any(p1, p0) } else { any(p1, p0) % 520 };
        let len = any(l1, l0) % (LARGEST + 2);
        let slice = Slice { run: u16::from(run), part: part as u16, total: total as u32 };
        let byte = |at: usize| (at ^ (at >> 8)) as u8 ^ (source % 4) ^ run.rotate_left(3) ^ (what & 0x80);
        let lost = reassembly.lost();
        if let Ok(place) = reassembly.place(now, &header, slice, len) {
            assert!(place.len() == len && total <= LARGEST && len <= total);
            let start = if what & 1 != 0 { part * len } else { total - len };
            place.iter_mut().enumerate().for_each(|(at, to)| *to = byte(start + at));
            if let Some(whole) = reassembly.finish() {
                assert_eq!(whole.len(), total);
                let wrong = whole.iter().enumerate().find(|(at, found)| **found != byte(*at));
                assert_eq!(wrong, None, "bytes of another frame");
            }
        } else {
            assert!(reassembly.lost() <= lost + 1);
        }
    }
}
