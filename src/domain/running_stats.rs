//! Running readings: how an attempt at a place has gone lately, and how fast it was.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Serialize;

use super::time::Timestamp;

/// Buckets of a [`ResultRing`].
pub const BUCKETS: usize = 20;

/// Time that one bucket covers.
pub const BUCKET: Duration = Duration::from_mins(10);

/// Samples that a [`History`] keeps.
const SAMPLES: usize = 64;

/// What an older sample still weighs in the mean after a newer one.
const OLD_SHARE: f64 = 0.7;

/// Good and bad results since the start, and of the last 200 minutes in buckets of ten. Written by
/// all threads at once; saturates at about a million in a bucket.
#[derive(Debug, Default)]
pub struct ResultRing {
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// One word each: the number of its ten minutes since the epoch, then two counts.
    buckets: [AtomicU64; BUCKETS],
}

/// The results of ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ResultBucket {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    pub succeeded: u64,
    pub failed: u64,
}

const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

fn unpack(word: u64) -> (u64, u64, u64) {
    (word >> (2 * COUNT_BITS), (word >> COUNT_BITS) & COUNT_MAX, word & COUNT_MAX)
}

fn pack(number: u64, succeeded: u64, failed: u64) -> u64 {
    number << (2 * COUNT_BITS) | succeeded.min(COUNT_MAX) << COUNT_BITS | failed.min(COUNT_MAX)
}

fn number_of(now: Timestamp) -> u64 {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    millis / u64::try_from(BUCKET.as_millis()).unwrap_or(u64::MAX)
}

impl ResultRing {
    pub fn note(&self, now: Timestamp, is_good: bool) {
        let total = if is_good { &self.succeeded } else { &self.failed };
        total.fetch_add(1, Ordering::Relaxed);
        let number = number_of(now);
        let bucket = &self.buckets[usize::try_from(number).unwrap_or(0) % BUCKETS];
        let add = |word: u64| {
            let (known, succeeded, failed) = unpack(word);
            let (succeeded, failed) = if known == number { (succeeded, failed) } else { (0, 0) };
            Some(pack(number, succeeded + u64::from(is_good), failed + u64::from(!is_good)))
        };
        // Never fails: `add` always gives a value.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Since the start: good ones, bad ones.
    pub fn totals(&self) -> (u64, u64) {
        (self.succeeded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// The last [`BUCKETS`] times ten minutes, oldest first, empty ones included.
    pub fn recent(&self, now: Timestamp) -> Vec<ResultBucket> {
        let newest = number_of(now);
        let oldest = newest.saturating_sub(BUCKETS as u64 - 1);
        let bucket = |number: u64| {
            let word = &self.buckets[usize::try_from(number).unwrap_or(0) % BUCKETS];
            let (known, succeeded, failed) = unpack(word.load(Ordering::Relaxed));
            let (succeeded, failed) = if known == number { (succeeded, failed) } else { (0, 0) };
            let from = Timestamp::from_millis(0).plus(BUCKET * u32::try_from(number).unwrap_or(0));
            ResultBucket { from, succeeded, failed }
        };
        (oldest..=newest).map(bucket).collect()
    }
}

/// How long something took lately: a decayed mean, and the last [`SAMPLES`] samples.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In milliseconds.
    mean: Option<f64>,
    samples: Vec<u32>,
    next: usize,
    last: Option<Timestamp>,
}

impl History {
    pub fn note(&mut self, now: Timestamp, took: Duration) {
        let millis = took.as_secs_f64() * 1000.0;
        let mean = self.mean.map_or(millis, |old| OLD_SHARE * old + (1.0 - OLD_SHARE) * millis);
        self.mean = Some(mean);
        let sample = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        match self.samples.get_mut(self.next) {
            Some(slot) => *slot = sample,
            None => self.samples.push(sample),
        }
        self.next = (self.next + 1) % SAMPLES;
        self.last = Some(now);
    }

    pub fn mean(&self) -> Option<Duration> {
        self.mean.map(|millis| Duration::from_secs_f64(millis / 1000.0))
    }

    /// When it was last measured.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The time that 95 of 100 samples did not pass: nearest rank, since so few samples give no more.
    pub fn p95(&self) -> Option<Duration> {
        let rank = (self.samples.len() * 95).div_ceil(100).checked_sub(1)?;
        let mut samples = self.samples.clone();
        let (_, at_rank, _) = samples.select_nth_unstable(rank);
        Some(Duration::from_millis((*at_rank).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_mins(n))
    }

    #[test]
    fn results_over_forty_minutes_are_in_twenty_ordered_buckets() {
        let ring = ResultRing::default();
        for (at, is_good) in [(0, true), (0, true), (11, false), (25, true), (40, false)] {
            ring.note(minute(at), is_good);
        }
        let recent = ring.recent(minute(40));
        assert_eq!(recent.len(), BUCKETS);
        assert!(recent.is_sorted_by_key(|bucket| bucket.from));
        let counts: Vec<_> = recent[15..].iter().map(|b| (b.succeeded, b.failed)).collect();
        assert_eq!(counts, [(2, 0), (0, 1), (1, 0), (0, 0), (0, 1)]);
        assert_eq!(ring.totals(), (3, 2));
    }

    #[test]
    fn what_is_older_than_the_ring_is_forgotten_in_buckets_and_kept_in_totals() {
        let ring = ResultRing::default();
        ring.note(minute(0), true);
        ring.note(minute(200), false);
        let recent = ring.recent(minute(200));
        assert_eq!(recent.iter().map(|bucket| bucket.succeeded).sum::<u64>(), 0);
        assert_eq!(recent.iter().map(|bucket| bucket.failed).sum::<u64>(), 1);
        assert_eq!(ring.totals(), (1, 1));
    }

    #[test]
    fn a_full_bucket_stays_full() {
        let (succeeded, failed) = (COUNT_MAX + 5, 7);
        assert_eq!(unpack(pack(9, succeeded, failed)), (9, COUNT_MAX, 7));
    }

    #[test]
    fn a_hundred_and_then_two_hundred_milliseconds_are_a_hundred_and_thirty() {
        let mut history = History::default();
        history.note(minute(0), Duration::from_millis(100));
        history.note(minute(1), Duration::from_millis(200));
        assert_eq!(history.mean().unwrap().as_millis(), 130);
        assert_eq!(history.last(), Some(minute(1)));
    }

    #[test]
    fn the_95th_of_a_hundred_is_found_among_the_last_samples() {
        let mut history = History::default();
        assert_eq!(history.p95(), None);
        for millis in 1..=20 {
            history.note(minute(0), Duration::from_millis(millis));
        }
        assert_eq!(history.p95(), Some(Duration::from_millis(19)));
        for _ in 0..SAMPLES {
            history.note(minute(0), Duration::from_millis(5));
        }
        assert_eq!(history.p95(), Some(Duration::from_millis(5)));
    }
}
