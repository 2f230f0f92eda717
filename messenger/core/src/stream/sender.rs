//! The sending end of a stream.

use super::{Ends, LANES, Outgoing, position, rtt::Rtt};
use crate::{
    Payload, PortId, Time,
    limits::{CWND_FIRST, CWND_LEAST, CWND_MOST, HELD, REORDER, WINDOW},
    wire::{Kind, LaneAck, Names, Priority},
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

/// A range under way; it begins at its key.
#[derive(Clone, Copy, Debug)]
struct Flight {
    end: u64,
    /// When among all that was sent.
    order: u64,
    at: Time,
    /// Not sent for the first time: says nothing about the round trip.
    again: bool,
}

/// What a part costs the congestion window beside its payload.
const PART_COST: u64 = 64;

fn tells_names(message: &Outgoing) -> bool {
    message.kind == Kind::Message && message.to == PortId::NODE && message.sub.opcode == Names::OPCODE
}

fn cost(start: u64, flight: &Flight) -> u64 {
    flight.end - start + PART_COST
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// Messages that have no numbers yet.
    waiting: VecDeque<Outgoing>,
    waiting_cost: usize,
    /// Messages with numbers, not acknowledged to their ends; each begins where the one before ends.
    sent: VecDeque<(u64, Outgoing)>,
    /// One past the last message that has numbers.
    end: u64,
    /// The first number that was never sent.
    next: u64,
    /// The first number that was not acknowledged.
    acked: u64,
    flight: BTreeMap<u64, Flight>,
    /// Ranges to send again: first, and one past the last.
    lost: BTreeMap<u64, u64>,
}

/// What is to be sent next.
struct Part {
    start: u64,
    end: u64,
    again: bool,
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.lost.is_empty() && self.next == self.end
    }

    /// Gives numbers to the next message that somebody still wants.
    fn begin(&mut self, wanted: impl Fn(&Outgoing) -> bool) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            self.waiting_cost -= message.cost();
            if wanted(&message) {
                let start = self.end;
                self.end += message.size();
                self.sent.push_back((start, message));
                return true;
            }
        }
        false
    }

    fn message_at(&self, at: u64) -> Option<&(u64, Outgoing)> {
        let index = self.sent.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        self.sent.get(index)
    }

    fn next_part(&mut self, limit: usize, wanted: impl Fn(&Outgoing) -> bool) -> Option<Part> {
        let (at, until, again) = match self.lost.first_key_value() {
            Some((&start, &end)) => (start, end, true),
            None => {
                let full = self.next - self.acked >= WINDOW || self.flight.len() >= HELD;
                if full || (self.next == self.end && !self.begin(wanted)) {
                    return None;
                }
                (self.next, self.end, false)
            }
        };
        let (start, message) = self.message_at(at)?;
        let room = limit.checked_sub(message.head_len((at - start) as usize)).filter(|room| *room > 0)?;
        let end = until.min(start + message.size()).min(at + room as u64);
        Some(Part { start: at, end, again })
    }

    /// Takes a range out of what is lost: it arrived after all, or is sent again.
    fn found(&mut self, start: u64, end: u64) {
        let touched: Vec<(u64, u64)> =
            self.lost.range(..end).rev().take_while(|(_, e)| **e > start).map(|(s, e)| (*s, *e)).collect();
        for (s, e) in touched {
            self.lost.remove(&s);
            if s < start {
                self.lost.insert(s, start);
            }
            if e > end {
                self.lost.insert(end, e);
            }
        }
    }
}

/// What an acknowledgement told that was new.
#[derive(Default)]
struct News {
    cost: u64,
    /// The latest part sent of those that arrived: its order, and the round trip if it tells one.
    latest: Option<(u64, Option<Duration>)>,
}

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    lanes: [Lane; LANES],
    rtt: Rtt,
    cwnd: u64,
    threshold: u64,
    in_flight: u64,
    order: u64,
    /// The order of the latest part that arrived.
    latest: u64,
    /// Losses of parts sent before this one are of one event.
    recovery: u64,
    timer: Option<Time>,
    /// Tellings of names that are not acknowledged.
    names: usize,
    /// Parts sent again.
    pub(crate) repeated: u64,
}

impl Sender {
    pub(crate) fn new() -> Sender {
        Sender {
            lanes: Default::default(),
            rtt: Rtt::default(),
            cwnd: CWND_FIRST,
            threshold: CWND_MOST,
            in_flight: 0,
            order: 0,
            latest: 0,
            recovery: 0,
            timer: None,
            names: 0,
            repeated: 0,
        }
    }

    /// Bytes (and [`crate::limits::MESSAGE_COST`] for each message) that wait in the lane of a priority.
    pub(crate) fn waiting(&self, priority: Priority) -> usize {
        self.lanes.get(1 + priority as usize).map_or(0, |l| l.waiting_cost)
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.rtt.mean()
    }

    pub(crate) fn push(&mut self, message: Outgoing) {
        self.names += usize::from(tells_names(&message));
        if let Some(lane) = self.lanes.get_mut(message.lane()) {
            lane.waiting_cost += message.cost();
            lane.waiting.push_back(message);
        }
    }

    /// Tellings of names that are not acknowledged.
    pub(crate) fn names(&self) -> usize {
        self.names
    }

    /// Nothing waits to be sent; what is under way is not counted.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    /// Everything was sent and acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.lanes.iter().all(|lane| lane.is_idle() && lane.flight.is_empty() && lane.lost.is_empty())
    }

    /// The next part, at most `limit` bytes with its head.
    pub(crate) fn poll(
        &mut self,
        now: Time,
        limit: usize,
        ends: &Ends,
        wanted: impl Fn(&Outgoing) -> bool,
    ) -> Option<(Vec<u8>, Payload)> {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if number > 0 && self.in_flight >= self.cwnd {
                return None;
            }
            let Some(part) = lane.next_part(limit, &wanted) else { continue };
            let Some((start, message)) = lane.message_at(part.start) else { continue };
            let range = (part.start - start) as usize..((part.end - start) as usize).min(message.payload.len());
            let head = message.head(ends, Some(*start), range.clone());
            let payload = message.payload.slice(range);
            self.order += 1;
            let flight = Flight { end: part.end, order: self.order, at: now, again: part.again };
            if part.again {
                lane.found(part.start, part.end);
                self.repeated += 1;
            } else {
                lane.next = part.end;
            }
            self.in_flight += cost(part.start, &flight);
            if let Some(old) = lane.flight.insert(part.start, flight) {
                self.in_flight -= cost(part.start, &old);
            }
            self.timer = self.timer.or(Some(now + self.rtt.timeout()));
            return Some((head, payload));
        }
        None
    }

    pub(crate) fn handle_ack(&mut self, now: Time, acks: &[LaneAck]) {
        let mut news = News::default();
        for ack in acks {
            self.handle_lane(now, ack, &mut news);
        }
        let Some((order, sample)) = news.latest else { return };
        if let Some(sample) = sample {
            self.rtt.measure(sample);
        }
        self.rtt.answered();
        self.latest = self.latest.max(order);
        let grown = if self.cwnd < self.threshold { news.cost } else { (news.cost * 1500 / self.cwnd).max(1) };
        self.cwnd = (self.cwnd + grown).min(CWND_MOST);
        self.find_losses();
        self.timer = (self.in_flight > 0).then(|| now + self.rtt.timeout());
    }

    fn handle_lane(&mut self, now: Time, ack: &LaneAck, news: &mut News) {
        let Some(lane) = self.lanes.get_mut(usize::from(ack.lane)) else { return };
        let known = |lane: &Lane, n: u32| position(lane.acked, n).filter(|p| *p <= lane.next);
        let mut arrived = Vec::new();
        if let Some(next) = known(lane, ack.next).filter(|next| *next > lane.acked) {
            arrived.push((lane.acked, next));
            lane.acked = next;
            while lane.sent.front().is_some_and(|(start, m)| start + m.size() <= next) {
                let done = lane.sent.pop_front();
                self.names -= done.map_or(0, |(_, m)| usize::from(tells_names(&m)));
            }
        }
        for (first, past) in &ack.ranges {
            if let (Some(first), Some(past)) = (known(lane, *first), known(lane, *past))
                && first < past
            {
                arrived.push((first, past));
            }
        }
        for (first, past) in arrived {
            lane.found(first, past);
            let there: Vec<u64> =
                lane.flight.range(first..past).filter(|(_, f)| f.end <= past).map(|(start, _)| *start).collect();
            for start in there {
                let Some(flight) = lane.flight.remove(&start) else { continue };
                self.in_flight -= cost(start, &flight);
                news.cost += cost(start, &flight);
                if news.latest.is_none_or(|(order, _)| order < flight.order) {
                    news.latest = Some((flight.order, (!flight.again).then(|| now.since(flight.at))));
                }
            }
        }
        // Cut otherwise when it was sent before: partly there, and nothing of it is missing.
        while let Some((&start, flight)) = lane.flight.first_key_value().filter(|(start, _)| **start < lane.acked) {
            let rest = (flight.end > lane.acked).then_some(Flight { ..*flight });
            self.in_flight -= cost(start, flight);
            news.cost += lane.acked.min(flight.end) - start;
            news.latest = news.latest.or(Some((flight.order, None)));
            lane.flight.remove(&start);
            if let Some(rest) = rest {
                self.in_flight += cost(lane.acked, &rest);
                if let Some(old) = lane.flight.insert(lane.acked, rest) {
                    self.in_flight -= cost(lane.acked, &old);
                }
            }
        }
    }

    /// What was sent well before something that arrived is lost.
    fn find_losses(&mut self) {
        let mut worst = None;
        for lane in &mut self.lanes {
            let lost: Vec<u64> = lane
                .flight
                .iter()
                .take_while(|(start, _)| **start < lane.next)
                .filter(|(_, f)| f.order + REORDER <= self.latest)
                .map(|(start, _)| *start)
                .collect();
            for start in lost {
                let Some(flight) = lane.flight.remove(&start) else { continue };
                self.in_flight -= cost(start, &flight);
                lane.lost.insert(start, flight.end);
                worst = worst.max(Some(flight.order));
            }
        }
        if worst.is_some_and(|order| order > self.recovery) {
            self.recovery = self.order;
            self.threshold = (self.cwnd / 2).max(CWND_LEAST);
            self.cwnd = self.threshold;
        }
    }

    pub(crate) fn timeout(&self) -> Option<Time> {
        self.timer
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.timer.is_none_or(|at| at > now) {
            return;
        }
        self.timer = None;
        self.rtt.expired();
        for lane in &mut self.lanes {
            for (start, flight) in core::mem::take(&mut lane.flight) {
                lane.lost.insert(start, flight.end);
            }
        }
        self.in_flight = 0;
        self.recovery = self.order;
        self.threshold = (self.cwnd / 2).max(CWND_LEAST);
        self.cwnd = CWND_LEAST;
    }

    /// The numbers of a lane's next byte and of the first that is not acknowledged, for people.
    #[cfg(test)]
    pub(crate) fn numbers(&self, lane: usize) -> (u32, u32) {
        (super::number(self.lanes[lane].next), super::number(self.lanes[lane].acked))
    }
}
