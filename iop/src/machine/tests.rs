//! The table, row by row, and what holds whatever happens.

use super::*;
use proptest::prelude::*;

const EVENTS: [Event; 13] = [
    Event::Boot,
    Event::ImageReady,
    Event::Joined,
    Event::LinkDown,
    Event::Panicked,
    Event::Ended,
    Event::Garbage,
    Event::CannotLaunch,
    Event::Reset,
    Event::Hold,
    Event::Drained,
    Event::Quiesce,
    Event::Enable,
];
const STATES: [State; 7] =
    [State::Initializing, State::Reset, State::Hold, State::Ready, State::Operational, State::Failed, State::Faulted];
const NOTHING: Act = Act { stop: false, launch: false, join: false };

fn at(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A machine in a state, reached by the shortest way.
fn machine(state: State) -> Machine {
    let mut m = Machine::new(Policy { fault_after: if state == State::Faulted { 1 } else { 8 }, ..Policy::default() });
    let way: &[Event] = match state {
        State::Reset => &[],
        State::Initializing => &[Event::Boot],
        State::Ready => &[Event::Boot, Event::ImageReady],
        State::Operational => &[Event::Boot, Event::ImageReady, Event::Joined],
        State::Failed | State::Faulted => &[Event::Boot, Event::Ended],
        State::Hold => &[Event::Hold],
    };
    for event in way {
        m.handle(at(1), *event);
    }
    assert_eq!(m.state(), state);
    m
}

fn runs(state: State) -> bool {
    matches!(state, State::Initializing | State::Ready | State::Operational)
}

/// The table of the header comment, row by row. In the order of [`EVENTS`], then time.
///
/// Rows: IM-11.
#[test]
fn the_table_is_as_drawn() {
    let rows = [
        (State::Reset, "I.......IH...", "."),
        (State::Initializing, ".R..FFFFIH...", "F"),
        (State::Ready, "..OFFFF.IH...", "F"),
        (State::Operational, "...FFFF......", "."),
        (State::Failed, "I.......IH...", "I"),
        (State::Faulted, ".........H...", "."),
        (State::Hold, "I.......I....", "."),
    ];
    for (from, row, time) in rows {
        let expected = |letter| match letter {
            'I' => (State::Initializing, Act { stop: runs(from), launch: true, join: false }),
            'R' => (State::Ready, Act { join: true, ..NOTHING }),
            'O' => (State::Operational, NOTHING),
            'F' => (State::Failed, Act { stop: true, ..NOTHING }),
            'H' => (State::Hold, Act { stop: runs(from), ..NOTHING }),
            _ => (from, NOTHING),
        };
        for (event, letter) in EVENTS.into_iter().zip(row.chars()) {
            let mut m = machine(from);
            let act = m.handle(at(2), event);
            assert_eq!((m.state(), act), expected(letter), "{from} on {event:?}");
        }
        let mut m = machine(from);
        let act = m.handle_timeout(at(1000));
        assert_eq!((m.state(), act), expected(time.chars().next().unwrap()), "{from} when time is up");
    }
    let numbers = STATES.map(State::number);
    assert_eq!(numbers, [0x01, 0x02, 0x04, 0x05, 0x08, 0x10, 0x11], "as in I2O");
}

/// An operational one that is to go drains first: until it is drained, fails, or time is up.
#[test]
fn it_drains_before_it_goes() {
    let ends: [fn(&mut Machine) -> Act; 3] = [
        |m| m.handle(at(2), Event::Drained),
        |m| m.handle(at(2), Event::Ended),
        |m| m.handle_timeout(at(2) + Policy::default().drain),
    ];
    for (wish, to, launch) in [(Event::Reset, State::Initializing, true), (Event::Hold, State::Hold, false)] {
        for end in ends {
            let mut m = machine(State::Operational);
            while m.poll_transition().is_some() {}
            assert_eq!((m.handle(at(2), wish), m.traffic()), (NOTHING, Traffic::Draining));
            assert_eq!(m.handle_timeout(at(2)), NOTHING, "not yet");
            assert_eq!((end(&mut m), m.state()), (Act { stop: true, launch, join: false }, to));
            assert_eq!((m.traffic(), m.lives()), (Traffic::Enabled, 1 + u64::from(launch)));
            let way: Vec<State> = std::iter::from_fn(|| m.poll_transition()).map(|t| t.to).collect();
            let reset = [State::Reset, State::Initializing];
            assert_eq!(way, if launch { &reset[..] } else { &[State::Hold] });
        }
    }
    let mut m = machine(State::Operational);
    m.handle(at(2), Event::Reset);
    m.handle(at(3), Event::Hold);
    assert!(m.refusal(Event::Quiesce).is_some());
    assert_eq!(m.poll_timeout(), Some(at(3)), "the time goes on");
    m.handle(at(3), Event::Drained);
    assert_eq!(m.state(), State::Hold, "who said so last is obeyed");
}

#[test]
fn quiesced_is_operational_and_ends_with_the_life() {
    let mut m = machine(State::Operational);
    m.handle(at(2), Event::Quiesce);
    assert_eq!((m.traffic(), m.state(), m.refusal(Event::Enable)), (Traffic::Quiesced, State::Operational, None));
    m.handle(at(2), Event::Enable);
    assert_eq!(m.traffic(), Traffic::Enabled);
    m.handle(at(2), Event::Quiesce);
    m.handle(at(2), Event::Ended);
    assert_eq!(m.traffic(), Traffic::Enabled);
    assert!(m.refusal(Event::Quiesce).is_some());
}

/// Tried again with longer and longer waits, then taken for broken; neither reset nor boot brings it back, only who takes it out.
///
/// Rows: IM-5, IM-11.
#[test]
fn short_lives_wait_longer_each_time_and_end_faulted() {
    let policy = Policy { fault_after: 5, ..Policy::default() };
    let mut m = Machine::new(policy);
    m.handle(at(0), Event::Boot);
    let (mut now, mut waits) = (at(0), Vec::new());
    while m.state() == State::Initializing {
        m.handle(now, Event::Ended);
        let Some(due) = m.poll_timeout() else { break };
        waits.push((due - now).as_millis());
        assert_eq!(m.handle_timeout(due - Duration::from_millis(1)), NOTHING, "not yet");
        now = due;
        m.handle_timeout(now);
    }
    assert_eq!(waits, [100, 200, 400, 800]);
    assert_eq!((m.state(), m.lives(), m.poll_timeout()), (State::Faulted, 5, None));
    for wish in [Event::Reset, Event::Boot] {
        assert!(m.refusal(wish).is_some());
        assert_eq!((m.handle(now, wish), m.state()), (NOTHING, State::Faulted));
    }
    m.handle(now, Event::Hold);
    assert!(m.handle(now, Event::Boot).launch, "somebody took it out and put it back");
}

#[test]
fn a_long_life_is_forgiven() {
    let mut m = machine(State::Operational);
    for second in [100, 200, 300] {
        m.handle(at(second), Event::LinkDown);
        assert_eq!(m.poll_timeout(), Some(at(second) + Policy::default().delay_first));
        m.handle_timeout(at(second + 1));
        m.handle(at(second + 1), Event::ImageReady);
        m.handle(at(second + 1), Event::Joined);
    }
    assert_eq!(m.state(), State::Operational);
}

#[test]
fn the_wait_has_a_limit() {
    let mut m = Machine::new(Policy { fault_after: u32::MAX, ..Policy::default() });
    m.handle(at(0), Event::Boot);
    for turn in 0..100 {
        m.handle(at(turn * 100), Event::CannotLaunch);
        assert!(m.poll_timeout().is_some_and(|due| due - at(turn * 100) <= Policy::default().delay_longest));
        m.handle_timeout(at(turn * 100 + 99));
    }
}

/// Every change of state that there may be.
const LEGAL: [(State, State); 18] = [
    (State::Reset, State::Initializing),
    (State::Reset, State::Hold),
    (State::Initializing, State::Ready),
    (State::Initializing, State::Failed),
    (State::Initializing, State::Faulted),
    (State::Initializing, State::Reset),
    (State::Initializing, State::Hold),
    (State::Ready, State::Operational),
    (State::Ready, State::Failed),
    (State::Ready, State::Faulted),
    (State::Ready, State::Reset),
    (State::Ready, State::Hold),
    (State::Operational, State::Failed),
    (State::Operational, State::Faulted),
    (State::Operational, State::Reset),
    (State::Operational, State::Hold),
    (State::Failed, State::Initializing),
    (State::Failed, State::Hold),
];

proptest! {
    /// Whatever happens in whatever order, only legal changes are made, what runs is stopped before it is launched again, a
    /// faulted one is left by hold alone, and waiting states have a time at which they end.
    ///
    /// Rows: IM-11.
    #[test]
    fn only_legal_changes_are_made(steps in prop::collection::vec((0..EVENTS.len() + 2, 0u64..3_000), 1..300)) {
        let mut m = Machine::new(Policy { fault_after: 4, ..Policy::default() });
        let (mut now, mut running) = (Duration::ZERO, false);
        for (step, passed) in steps {
            now += Duration::from_millis(passed);
            let (before, event) = (m.state(), EVENTS.get(step).copied());
            let act = match event {
                Some(event) => m.handle(now, event),
                None => m.handle_timeout(now),
            };
            running &= !act.stop;
            prop_assert!(!(act.launch && running), "launched while it runs");
            running |= act.launch;
            prop_assert_eq!(running, runs(m.state()));
            let mut state = before;
            while let Some(change) = m.poll_transition() {
                prop_assert_eq!(change.from, state);
                let legal = LEGAL.contains(&(change.from, change.to))
                    || [State::Hold, State::Faulted].contains(&change.from) && match (change.from, change.to) {
                        (State::Hold, State::Initializing) => true,
                        (State::Faulted, State::Hold) => event == Some(Event::Hold),
                        _ => false,
                    };
                prop_assert!(legal, "{:?}", change);
                state = change.to;
            }
            prop_assert_eq!(state, m.state());
            let waits = matches!(m.state(), State::Initializing | State::Ready | State::Failed)
                || m.traffic() == Traffic::Draining;
            prop_assert_eq!(waits, m.poll_timeout().is_some());
        }
    }
}
