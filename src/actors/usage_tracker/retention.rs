//! What is old enough to be deleted: a clock that goes no faster than time has been seen to pass.
//!
//! A clock that is set ahead makes everything look old, and once an entry has been written by it, the
//! newest entry too. So neither is believed: entries age by the time in which a pool was there to see it
//! pass, sleep of the machine included. What that costs is that entries are kept longer, by as long as no
//! pool ran: the ledger does not grow in that time.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A clock that may be behind the wall clock, and is never ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionClock {
    time: Timestamp,
    /// Since the machine was started, when `time` was read.
    uptime: Duration,
}

impl RetentionClock {
    /// Goes on from where it was `kept`, or from the newest entry where it never was; `None`: there is
    /// neither, and nothing to lose.
    pub fn resume(now: Timestamp, uptime: Duration, kept: Option<Timestamp>) -> Self {
        Self { time: kept.map_or(now, |kept| kept.min(now)), uptime }
    }

    /// Goes on by the time that has passed, and back with the wall clock.
    pub fn advance(&mut self, now: Timestamp, uptime: Duration) {
        let passed = uptime.saturating_sub(self.uptime);
        *self = Self { time: self.time.plus(passed).min(now), uptime };
    }

    pub fn time(&self) -> Timestamp {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const TODAY: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn up(days: u32) -> Duration {
        DAY * days
    }

    #[test]
    fn a_start_with_a_clock_forty_days_ahead_makes_nothing_older() {
        let mut clock = RetentionClock::resume(TODAY.plus(DAY * 40), up(7), Some(TODAY));
        assert_eq!(clock.time(), TODAY);
        clock.advance(TODAY.plus(DAY * 41), up(8));
        assert_eq!(clock.time(), TODAY.plus(DAY));
    }

    #[test]
    fn a_clock_that_jumps_while_it_runs_makes_nothing_older_either() {
        let mut clock = RetentionClock::resume(TODAY, up(7), None);
        clock.advance(TODAY.plus(DAY * 40), up(7) + Duration::from_secs(1));
        assert_eq!(clock.time(), TODAY.plus(Duration::from_secs(1)));
    }

    #[test]
    fn a_clock_that_was_ahead_and_is_set_right_does_not_help_the_next_jump() {
        let mut clock = RetentionClock::resume(TODAY.plus(DAY * 40), up(1), None);
        clock.advance(TODAY, up(1));
        clock.advance(TODAY.plus(DAY * 40), up(1));
        assert_eq!(clock.time(), TODAY);
    }

    proptest! {
        #[test]
        fn it_is_never_ahead_and_never_faster_than_time(
            steps in prop::collection::vec((-90_i64..90, 0_u32..5, any::<bool>()), 1..40)
        ) {
            let mut uptime = up(1);
            let mut clock = RetentionClock::resume(TODAY, uptime, Some(TODAY));
            for (jump, passed, restarts) in steps {
                let now = Timestamp::from_millis(TODAY.as_millis() + jump * 86_400_000);
                let before = clock.time();
                uptime += up(passed);
                if restarts {
                    // After a start of the machine, which counts anew.
                    uptime = up(passed);
                    clock = RetentionClock::resume(now, uptime, Some(before));
                    prop_assert!(clock.time() <= before);
                } else {
                    clock.advance(now, uptime);
                    prop_assert!(clock.time() <= before.plus(up(passed)));
                }
                prop_assert!(clock.time() <= now);
            }
        }
    }
}
