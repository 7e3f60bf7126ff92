//! How much may be tried again, so that an outage upstream is never amplified.

use std::{collections::VecDeque, time::Duration};

use crate::domain::time::Timestamp;

/// How far back requests and retries count.
const WINDOW: Duration = Duration::from_secs(10);
/// Retries allowed per request, in percent.
const PERCENT: u64 = 10;
/// Retries allowed in a window however few requests there are.
const FLOOR: u64 = 10;

/// What happened in one second.
struct Slot {
    second: i64,
    requests: u64,
    retries: u64,
}

/// Counts requests and retries of the last ten seconds.
#[derive(Default)]
pub struct RetryBudget {
    slots: VecDeque<Slot>,
}

impl RetryBudget {
    pub fn note_requests(&mut self, now: Timestamp, count: u64) {
        self.slot(now).requests += count;
    }

    /// Takes one retry from the budget, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.slot(now);
        let requests: u64 = self.slots.iter().map(|slot| slot.requests).sum();
        let retries: u64 = self.slots.iter().map(|slot| slot.retries).sum();
        if retries >= (requests * PERCENT / 100).max(FLOOR) {
            return false;
        }
        self.slot(now).retries += 1;
        true
    }

    fn slot(&mut self, now: Timestamp) -> &mut Slot {
        let second = now.as_millis().div_euclid(1_000);
        let oldest = second - i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
        while self.slots.front().is_some_and(|slot| slot.second <= oldest) {
            self.slots.pop_front();
        }
        // A clock that was set back adds to the newest slot instead of making one out of order.
        if self.slots.back().is_none_or(|slot| slot.second < second) {
            self.slots.push_back(Slot { second, requests: 0, retries: 0 });
        }
        self.slots.back_mut().expect("a slot was just made sure of")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn taken(budget: &mut RetryBudget, now: Timestamp) -> usize {
        (0..1_000).take_while(|_| budget.take(now)).count()
    }

    #[test]
    fn a_quiet_pool_may_retry_ten_times_in_ten_seconds() {
        let mut budget = RetryBudget::default();
        assert_eq!(taken(&mut budget, START), 10);
        assert_eq!(taken(&mut budget, START.plus(Duration::from_secs(9))), 0);
        assert_eq!(taken(&mut budget, START.plus(Duration::from_secs(10))), 10);
    }

    #[test]
    fn a_busy_pool_may_retry_a_tenth_of_its_requests() {
        let mut budget = RetryBudget::default();
        for n in 0..500 {
            budget.note_requests(START.plus(Duration::from_millis(n * 10)), 1);
        }
        assert_eq!(taken(&mut budget, START.plus(Duration::from_secs(5))), 50);
    }

    #[test]
    fn a_clock_set_back_does_no_harm() {
        let mut budget = RetryBudget::default();
        budget.note_requests(START, 1);
        assert_eq!(taken(&mut budget, START.minus(Duration::from_secs(100))), 10);
        assert!(budget.slots.len() <= 2);
    }
}
