//! How long a candidate may stay silent before another one is started beside it.

use std::time::Duration;

use crate::domain::running_stats::History;

/// By how much the time that nearly all answers kept to may be passed.
const FACTOR: u32 = 3;

/// Bounds of the wait for a first event.
#[derive(Debug, Clone, Copy)]
pub struct SoftLimits {
    /// Without history.
    pub unknown: Duration,
    pub at_least: Duration,
    pub at_most: Duration,
    /// The shortest for a whole answer. Without history there is none.
    pub whole_at_least: Duration,
}

impl Default for SoftLimits {
    fn default() -> Self {
        Self {
            unknown: Duration::from_secs(10),
            at_least: Duration::from_secs(5),
            at_most: Duration::from_secs(30),
            whole_at_least: Duration::from_secs(30),
        }
    }
}

impl SoftLimits {
    /// For the first event of a stream, from the times of first events before.
    pub fn first_event(&self, history: &History) -> Duration {
        history
            .p95()
            .map_or(self.unknown, |usual| (usual * FACTOR).clamp(self.at_least, self.at_most))
    }

    /// For a whole answer, from the times of whole answers before.
    pub fn whole_answer(&self, history: &History) -> Option<Duration> {
        history.p95().map(|usual| (usual * FACTOR).max(self.whole_at_least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn history(seconds: u64) -> History {
        let mut history = History::default();
        history.note(Timestamp::from_millis(0), Duration::from_secs(seconds));
        history
    }

    #[test]
    fn a_first_event_has_three_times_the_usual_within_bounds() {
        let limit = |history| SoftLimits::default().first_event(&history).as_secs();
        assert_eq!(limit(History::default()), 10);
        assert_eq!(limit(history(1)), 5);
        assert_eq!(limit(history(4)), 12);
        assert_eq!(limit(history(20)), 30);
    }

    #[test]
    fn a_whole_answer_has_half_a_minute_at_least_and_no_limit_without_history() {
        let limit = |history| SoftLimits::default().whole_answer(&history).map(|l| l.as_secs());
        assert_eq!(limit(History::default()), None);
        assert_eq!(limit(history(2)), Some(30));
        assert_eq!(limit(history(60)), Some(180));
    }
}
