//! The clocks, read by the shells. Cores are handed the time.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::Timestamp;

/// What the wall clock has moved against the steady one is no more than this as long as nobody sets it.
const SLACK_MS: i64 = 1_000;

/// Now. A clock set before 1970 reads as 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How long the machine has been up, its sleep included. No step of the wall clock changes it.
pub fn uptime() -> Duration {
    let since = clock_gettime(ClockId::Boottime);
    Duration::try_from(since).unwrap_or_default()
}

/// Now, as the wall clock would have it if nobody had set it since the process began: for lengths, and
/// for all that is compared with what this clock has told.
pub fn steady() -> Timestamp {
    static START: OnceLock<(Timestamp, Duration)> = OnceLock::new();
    let up = uptime();
    let (began, up_then) = START.get_or_init(|| (now(), up));
    began.plus(up.saturating_sub(*up_then))
}

/// By how many milliseconds the wall clock has been set since the process began.
pub fn wall_shift() -> i64 {
    shift(now(), steady())
}

/// What the wall clock says at a moment of the steady one.
pub fn on_the_wall(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millis().saturating_add(wall_shift()))
}

fn shift(wall: Timestamp, steady: Timestamp) -> i64 {
    let shift = wall.as_millis().saturating_sub(steady.as_millis());
    if shift.abs() < SLACK_MS { 0 } else { shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_is_the_wall_clock() {
        let at = Timestamp::from_millis(1_000_000_000);
        assert_eq!(shift(at.plus(Duration::from_millis(999)), at), 0);
        assert_eq!(shift(at, at.plus(Duration::from_millis(999))), 0);
        let two_hours = Duration::from_hours(2);
        assert_eq!(shift(at.minus(two_hours), at), -7_200_000);
        assert_eq!(shift(at.plus(two_hours), at), 7_200_000);
        assert!(steady() <= steady());
    }
}
