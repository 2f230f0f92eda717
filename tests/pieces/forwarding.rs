//! Decisions on frames, as a lane asks for them.

use crate::frames::{SUPER, node, read, table};
use messenger_core::{Time, wire::Header};
use minet::{ANSWER_MAX, Frame, HEAD_MAX, Inbound, Outbound, Plan, Route, Switch};
use std::hint::black_box;

/// Messages over shared memory carry a super-frame whole.
const MESSAGE: usize = 65_600;

/// A small frame from our interface to a member.
pub fn outbound() -> Box<dyn FnMut()> {
    sends(10)
}

/// A super-frame from our interface to a member that takes it whole.
pub fn outbound_super() -> Box<dyn FnMut()> {
    sends(SUPER)
}

/// A small frame from a member to our interface.
pub fn inbound() -> Box<dyn FnMut()> {
    receives(10)
}

/// A super-frame from a member to our interface.
pub fn inbound_super() -> Box<dyn FnMut()> {
    receives(SUPER)
}

fn sends(payload: usize) -> Box<dyn FnMut()> {
    let (table, read) = (table(1, MESSAGE), read(payload));
    let (mut switch, mut answer) = (Switch::new(), [0; ANSWER_MAX]);
    Box::new(move || {
        let frame = Frame { head: &read[..read.len().min(HEAD_MAX)], total: read.len(), vnet: true };
        let Outbound::To(to) = switch.outbound(&table, Time::ZERO, black_box(frame), &mut answer) else { panic!() };
        let plan = switch.plan(&table, to, Time::ZERO, frame, Route::Own, &mut answer);
        let Plan::Whole(whole) = black_box(plan) else { panic!() };
        assert!(whole.in_place());
    })
}

fn receives(payload: usize) -> Box<dyn FnMut()> {
    let read = read(payload);
    let mut answer = [0; ANSWER_MAX];
    let frame = Frame { head: &read[..read.len().min(HEAD_MAX)], total: read.len(), vnet: true };
    // The header is the one that node 1 puts in front.
    let sender = table(1, MESSAGE);
    let to = sender.find(node(2)).unwrap();
    let plan = Switch::new().plan(&sender, to, Time::ZERO, frame, Route::Own, &mut answer);
    let Plan::Whole(whole) = plan else { panic!("{plan:?}") };
    let header: Vec<u8> = whole.head().to_vec();
    let (table, mut switch) = (table(2, MESSAGE), Switch::new());
    Box::new(move || {
        let frame = Frame { head: &read[..read.len().min(HEAD_MAX)], total: read.len(), vnet: true };
        let header = Header::parse(black_box(&header)).unwrap();
        let decision = switch.inbound(&table, Time::ZERO, node(1), &header, black_box(frame));
        assert_eq!(decision, Inbound::Deliver);
    })
}
