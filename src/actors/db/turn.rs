//! Whether a query has begun when the one who asked for it gives up: what has not begun never does.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The turn of one query. It is begun or given up, and never both.
#[derive(Debug, Default)]
pub struct Turn(AtomicU8);

impl Turn {
    /// `false`: it was given up, and must not be done any more.
    pub fn begin(&self) -> bool {
        self.leave_waiting(BEGUN)
    }

    /// `false`: it has begun, and may be done yet.
    pub fn give_up(&self) -> bool {
        self.leave_waiting(GIVEN_UP)
    }

    fn leave_waiting(&self, next: u8) -> bool {
        self.0.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_never_begins_and_what_has_begun_is_not_given_up() {
        let turn = Turn::default();
        assert!(turn.give_up() && !turn.begin());
        let turn = Turn::default();
        assert!(turn.begin() && !turn.give_up());
    }
}
