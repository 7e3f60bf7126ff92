//! `[usage]`: the ledger.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// The ledger: how long it is kept, and how it is written.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Days a usage entry is kept. Days in which no pool ran do not count.
    pub retention_days: u32,
    /// Days the hourly totals of usage are kept. No fewer than the entries.
    pub totals_retention_days: u32,
    /// Longest time an entry waits to be written to the database.
    pub flush_interval_ms: u64,
    /// Most entries that wait in memory to be written. More wait in the journal alone.
    pub max_pending: usize,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            retention_days: 30,
            totals_retention_days: 400,
            flush_interval_ms: 250,
            max_pending: 100_000,
        }
    }
}

impl Usage {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("usage.retention_days", self.retention_days, 1..=3650, "days");
        let days = self.retention_days.clamp(1, 3650)..=3650;
        bounds.number("usage.totals_retention_days", self.totals_retention_days, days, "days");
        bounds.number("usage.flush_interval_ms", self.flush_interval_ms, 1..=60_000, "ms");
        bounds.number("usage.max_pending", self.max_pending, 1..=10_000_000, "entries");
    }
}
