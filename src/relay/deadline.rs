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

    /// Whether a wait of this length ends before the deadline does.
    pub fn allows(self, wait: Duration) -> bool {
        Instant::now() + wait < self.at
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
    use crate::{
        domain::failure::{Failure, FailureClass},
        relay::next_step::{NextStep, next_step},
    };

    const PAUSE: Duration = Duration::from_millis(200);

    /// What an upstream does with one attempt.
    #[derive(Debug, Clone)]
    enum Does {
        Hang,
        /// After so long.
        Answer(Duration),
        /// After so long, with a hint of when to come back.
        Fail(FailureClass, Duration, Option<Duration>),
    }

    #[derive(Debug, PartialEq, Eq)]
    enum End {
        Answered,
        NobodyLeft,
    }

    impl Does {
        async fn run(&self) -> Result<(), Failure> {
            match self {
                Self::Hang => std::future::pending().await,
                Self::Answer(after) => {
                    sleep(*after).await;
                    Ok(())
                }
                Self::Fail(class, after, retry_after) => {
                    sleep(*after).await;
                    Err(Failure { retry_after: *retry_after, ..Failure::new(*class, "") })
                }
            }
        }
    }

    /// A request as it goes from place to place. `begun` is told of each attempt.
    async fn walk(
        deadline: Deadline,
        places: &[Vec<Does>],
        begun: &mut Vec<(usize, Instant)>,
    ) -> Result<End, DeadlinePassed> {
        for (place, script) in places.iter().enumerate() {
            let mut repeated = false;
            for does in script {
                let attempt = async {
                    begun.push((place, Instant::now()));
                    does.run().await
                };
                let Err(failure) = deadline.bound(attempt).await? else {
                    return Ok(End::Answered);
                };
                let pause = match next_step(&failure, repeated) {
                    NextStep::Repeat => PAUSE,
                    NextStep::OtherCredential => failure.retry_after.unwrap_or_default(),
                    NextStep::Stop | NextStep::OtherProvider | NextStep::LargerWindow => break,
                };
                if !deadline.allows(pause) {
                    break;
                }
                deadline.bound(sleep(pause)).await?;
                repeated = true;
            }
        }
        Ok(End::NobodyLeft)
    }

    /// Runs on a clock of its own, which moves only when everybody waits.
    fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
    }

    /// In steps of a tenth of a second, so that ends often fall together.
    fn tenths(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
        range.prop_map(|tenths| Duration::from_millis(100 * tenths))
    }

    fn does() -> impl Strategy<Value = Does> {
        let fail = |class| tenths(0..4).prop_map(move |after| Does::Fail(class, after, None));
        let limited = (tenths(0..2), proptest::option::of(tenths(1..20)))
            .prop_map(|(after, hint)| Does::Fail(FailureClass::RateLimit, after, hint));
        prop_oneof![
            Just(Does::Hang),
            Just(Does::Fail(FailureClass::Connect, Duration::ZERO, None)),
            tenths(0..15).prop_map(Does::Answer),
            fail(FailureClass::Server),
            fail(FailureClass::Overload),
            fail(FailureClass::Cut),
            fail(FailureClass::Auth),
            limited,
        ]
    }

    proptest! {
        #[test]
        fn no_attempt_begins_after_the_deadline_and_no_request_outlives_it(
            places in prop::collection::vec(prop::collection::vec(does(), 1..5), 1..5),
            limit in tenths(1..12),
            asked in proptest::option::of(tenths(1..15)),
        ) {
            let mut begun = Vec::new();
            let (deadline, over, ended) = on_paused_time(async {
                let deadline = Deadline::new(Instant::now(), limit, asked);
                let ended = walk(deadline, &places, &mut begun).await;
                (deadline, Instant::now(), ended)
            });
            for (place, at) in &begun {
                prop_assert!(*at < deadline.instant(), "an attempt at {place} came too late");
            }
            prop_assert!(over <= deadline.instant());
            match ended {
                Ok(End::Answered | End::NobodyLeft) => {}
                Err(DeadlinePassed) => prop_assert_eq!(over, deadline.instant()),
            }
        }

        #[test]
        fn a_wait_that_is_allowed_ends_before_the_deadline(
            limit in tenths(1..10),
            spent in tenths(0..10),
            wait in tenths(0..10),
        ) {
            on_paused_time(async {
                let deadline = Deadline::new(Instant::now(), limit, None);
                sleep(spent).await;
                let allowed = deadline.allows(wait);
                prop_assert_eq!(allowed, spent + wait < limit);
                let waited = deadline.bound(sleep(wait)).await;
                prop_assert!(waited.is_ok() || !allowed);
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
