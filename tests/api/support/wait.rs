//! Waiting on a condition, with an end to it. The only place that lets time pass.

use std::time::Duration;

const TICK: Duration = Duration::from_millis(5);
const TICKS: usize = 2_000;
const LONGEST: Duration = Duration::from_secs(10);

/// Looks again and again until there is something to be seen.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..TICKS {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(TICK).await;
    }
    panic!("waited in vain: {what}");
}

/// Looks until what is seen is as it should be, and says what was seen last.
pub async fn settled<T>(mut look: impl AsyncFnMut() -> T, is_good: impl Fn(&T) -> bool) -> T {
    const LOOKS: usize = 200;

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
