//! The one deadline of a request: every wait and every attempt draws from it.

use std::time::Duration;

use futures_util::{
    TryFutureExt,
    future::{Either, ready},
};
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

    /// The same, or this moment where that is sooner.
    pub fn at_most(self, at: Instant) -> Self {
        if at < self.at { Self { at, lowered: true } } else { self }
    }

    pub fn instant(self) -> Instant {
        self.at
    }

    pub fn is_lowered(self) -> bool {
        self.lowered
    }

    /// Errors: [`DeadlinePassed`], from its very moment on.
    pub fn check(self, now: Instant) -> Result<(), DeadlinePassed> {
        if now < self.at { Ok(()) } else { Err(DeadlinePassed) }
    }

    /// Waits for `work`, at most until the deadline. Once that has passed, it is not begun.
    // No `async fn`: its future would hold `work` twice, as it came and as it is waited for.
    pub fn bound<T>(
        self,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T, DeadlinePassed>> {
        if let Err(passed) = self.check(Instant::now()) {
            return Either::Left(ready(Err(passed)));
        }
        Either::Right(tokio::time::timeout_at(self.at, work).map_err(|_| DeadlinePassed))
    }
}

/// The deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlinePassed;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(200);

    /// Runs on a clock of its own, which moves only when everybody waits.
    fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
    }

    /// In steps of a tenth of a second, so that ends often fall together.
    fn tenths(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
        range.prop_map(|tenths| Duration::from_millis(100 * tenths))
    }

    proptest! {
        #[test]
        fn no_wait_outlives_the_deadline(
            limit in tenths(1..10),
            spent in tenths(0..10),
            wait in tenths(0..10),
        ) {
            on_paused_time(async {
                let deadline = Deadline::new(Instant::now(), limit, None);
                sleep(spent).await;
                let waited = deadline.bound(sleep(wait)).await;
                prop_assert!(waited.is_ok() || spent + wait >= limit);
                prop_assert!(Instant::now() <= deadline.instant() || spent > limit);
                Ok(())
            })?;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_be_late_is_not_begun() {
        let deadline = Deadline::new(Instant::now(), PAUSE, None);
        assert_eq!(deadline.bound(async { 1 }).await, Ok(1));
        sleep(PAUSE).await;
        let late = deadline.bound(async { unreachable!("it was begun") });
        assert_eq!(late.await, Err::<(), _>(DeadlinePassed));
    }
}
