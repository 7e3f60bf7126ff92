//! The clocks, read by the shells. Cores are handed the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::Timestamp;

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
