//! The one deadline of a request: every wait and every attempt draws from it.

use std::time::Duration;

use tokio::time::Instant;

/// When a request must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    pub fn instant(self) -> Instant {
        self.0
    }

    /// Waits for `work`, at most until the deadline.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, DeadlinePassed> {
        tokio::time::timeout_at(self.0, work).await.map_err(|_| DeadlinePassed)
    }

    /// Whether a wait of this length ends before the deadline does.
    pub fn allows(self, wait: Duration) -> bool {
        Instant::now() + wait < self.0
    }
}

/// The deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlinePassed;
