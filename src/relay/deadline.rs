//! The one deadline of a request: every wait and every attempt draws from it.

use std::time::Duration;

use tokio::time::Instant;

/// When a request must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    /// Whether the client allows less than we do. What it did not wait for is nobody's fault.
    lowered: bool,
}

impl Deadline {
    /// `limit` after `start`, or sooner when the client asks for that.
    pub fn new(start: Instant, limit: Duration, asked: Option<Duration>) -> Self {
        let lowered = asked.is_some_and(|asked| asked < limit);
        Self { at: start + asked.map_or(limit, |asked| asked.min(limit)), lowered }
    }

    pub fn instant(self) -> Instant {
        self.at
    }

    pub fn is_lowered(self) -> bool {
        self.lowered
    }

    /// Waits for `work`, at most until the deadline.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, DeadlinePassed> {
        tokio::time::timeout_at(self.at, work).await.map_err(|_| DeadlinePassed)
    }

    /// Whether a wait of this length ends before the deadline does.
    pub fn allows(self, wait: Duration) -> bool {
        Instant::now() + wait < self.at
    }
}

/// The deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlinePassed;
