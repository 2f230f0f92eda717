//! A super-frame over UDP: cut into a run, and the run merged again.

use crate::frames::{SUPER, node, read, table};
use messenger_core::{
    Time,
    wire::{Flags, Header},
};
use minet::{ANSWER_MAX, Cutter, Frame, HEAD_MAX, Inbound, Merge, Merger, Plan, Route, Switch};
use std::hint::black_box;

/// Messages over UDP carry one segment.
const MESSAGE: usize = 1472 + 66;

const PARTS: usize = 42;

fn cutter(switch: &mut Switch, table: &minet::Table, frame: Frame<'_>, answer: &mut [u8; ANSWER_MAX]) -> Cutter {
    let to = table.find(node(2)).unwrap();
    match switch.plan(table, to, Time::ZERO, frame, Route::Own, answer) {
        Plan::Cut(cutter) => cutter,
        other => panic!("not cut: {other:?}"),
    }
}

/// Planned, and the head of every part made.
pub fn cut() -> Box<dyn FnMut()> {
    let (table, read) = (table(1, MESSAGE), read(SUPER));
    let (mut switch, mut answer, mut head) = (Switch::new(), [0; ANSWER_MAX], [0; HEAD_MAX]);
    Box::new(move || {
        let frame = Frame { head: &read[..HEAD_MAX], total: read.len(), vnet: true };
        let mut cutter = cutter(&mut switch, &table, black_box(frame), &mut answer);
        let mut parts = 0;
        while let Some(part) = cutter.next(&mut head) {
            black_box((&head, part));
            parts += 1;
        }
        assert_eq!(parts, PARTS);
    })
}

/// Every part as a lane takes it: as foretold, or else decided on and shown whole.
pub fn merge() -> Box<dyn FnMut()> {
    let messages = messages();
    let (table, mut switch, mut merger) = (table(2, MESSAGE), Switch::new(), Merger::new());
    Box::new(move || {
        let mut middle = None;
        for (token, message) in messages.iter().enumerate() {
            let header = Header::parse(black_box(message)).unwrap();
            let body = header.body(message).unwrap();
            if let Some((shown, total)) = merger.next()
                && total == body.len()
                && middle == Some(header)
                && merger.follow(token, &body[..shown], total)
            {
                continue;
            }
            let frame = Frame { head: &body[..body.len().min(HEAD_MAX)], total: body.len(), vnet: true };
            assert_eq!(switch.inbound(&table, Time::ZERO, node(1), &header, frame), Inbound::Deliver);
            let merge = merger.push(token, header.flags, frame);
            assert_eq!(merge, if token + 1 == PARTS { Merge::Complete } else { Merge::Held });
            middle = Some(Header { flags: header.flags.without(Flags::FIRST), ..header });
        }
        assert_eq!(black_box(merger.take().unwrap()).pieces.len(), PARTS);
    })
}

/// The messages of a run.
fn messages() -> Vec<Vec<u8>> {
    let (table, read) = (table(1, MESSAGE), read(SUPER));
    let (mut answer, mut head) = ([0; ANSWER_MAX], [0; HEAD_MAX]);
    let frame = Frame { head: &read[..HEAD_MAX], total: read.len(), vnet: true };
    let mut cutter = cutter(&mut Switch::new(), &table, frame, &mut answer);
    let mut messages = Vec::new();
    while let Some(part) = cutter.next(&mut head) {
        messages.push([&head[..part.head_len], &read[part.payload]].concat());
    }
    messages
}
