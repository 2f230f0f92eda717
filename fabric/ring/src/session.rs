//! The session of a ring: one word, and who may change it to what.
//!
//! | from | to | by | when |
//! | --- | --- | --- | --- |
//! | anything | reset | producer | it takes the memory, new or left by a dead incarnation |
//! | reset | offered | producer | header, sizes, generation and positions are written |
//! | offered | running | consumer | it checked the header |
//! | offered | closing | either | it leaves |
//! | running | closing | either | it leaves, or a new consumer evicts a dead one |
//!
//! Forbidden: reset → running and reset → closing (nothing is there yet), running → offered and closing → anything
//! except reset (a session never comes back; a new one has a new generation). A word that is none of the four is a
//! broken peer and reads as closed. The word is only a hint for peace time: no end ever waits for it to change, and
//! every access to records is checked without it.

/// What the session word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The producer is making the ring.
    Reset = 0,
    /// Ready for a consumer.
    Offered = 1,
    /// Both ends are there.
    Running = 2,
    /// One end left.
    Closing = 3,
}

impl State {
    /// The state of this number.
    pub const fn from_word(word: u32) -> Option<State> {
        match word {
            0 => Some(State::Reset),
            1 => Some(State::Offered),
            2 => Some(State::Running),
            3 => Some(State::Closing),
            _ => None,
        }
    }

    /// Whether the table above has this step.
    pub const fn may_become(self, next: State) -> bool {
        match (self, next) {
            (_, State::Reset) => true,
            (State::Reset, State::Offered) => true,
            (State::Offered, State::Running | State::Closing) => true,
            (State::Running, State::Closing) => true,
            (State::Reset, State::Running | State::Closing) => false,
            (State::Offered, State::Offered) => false,
            (State::Running, State::Offered | State::Running) => false,
            (State::Closing, State::Offered | State::Running | State::Closing) => false,
        }
    }
}

/// Moves the word from offered or running to closing; leaves any other state alone.
pub(crate) fn close(word: &crate::atomic::Word) {
    let mut from = State::Running;
    for _ in 0..3 {
        match word.replace(from as u32, State::Closing as u32) {
            Ok(()) => return,
            Err(was) => match State::from_word(was) {
                Some(state) if state.may_become(State::Closing) => from = state,
                _ => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_five_kinds_of_step() {
        let all = [State::Reset, State::Offered, State::Running, State::Closing];
        let legal = all.iter().flat_map(|from| all.iter().filter(|to| from.may_become(**to))).count();
        assert_eq!(legal, 4 + 1 + 2 + 1);
        assert!(all.iter().all(|state| State::from_word(*state as u32) == Some(*state)));
        assert_eq!(State::from_word(4), None);
    }
}
