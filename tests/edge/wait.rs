//! Waiting for what comes in a moment.

use std::{thread, time::Instant};

use crate::support::PATIENCE;

/// Asks until the answer is as it should be.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "it never comes");
        thread::yield_now();
    }
}
