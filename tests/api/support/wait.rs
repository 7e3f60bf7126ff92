//! Waiting on a condition, with an end to it. The only place that lets time pass.

use std::time::Duration;

const TICK: Duration = Duration::from_millis(5);
/// Only what hangs takes as long, however busy the machine is.
const LONGEST: Duration = Duration::from_mins(1);

/// Looks again and again until there is something to be seen.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(TICK).await;
        }
    };
    within(what, Box::pin(found)).await
}

/// Looks until what is seen is as it should be, and says what was seen last.
pub async fn settled<T>(mut look: impl AsyncFnMut() -> T, is_good: impl Fn(&T) -> bool) -> T {
    const LOOKS: usize = 1_000;

    let mut seen = look().await;
    for _ in 0..LOOKS {
        if is_good(&seen) {
            break;
        }
        tokio::time::sleep(TICK).await;
        seen = look().await;
    }
    seen
}

/// Waits for what has to come by itself. A test that would hang fails instead.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LONGEST, work).await else {
        panic!("waited in vain: {what}");
    };
    done
}
