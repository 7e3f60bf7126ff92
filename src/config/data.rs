//! `[data]`: the directory we keep things in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// The directory we keep things in.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Made at the first start. Relative to the working directory.
    pub dir: PathBuf,
    /// Bytes that must be left on the disks of the journal and the database for the pool to be ready.
    pub min_free_bytes: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("data"), min_free_bytes: 16 * 1024 * 1024 }
    }
}

impl Data {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("data.min_free_bytes", self.min_free_bytes, 0..=1 << 50, "bytes");
        if self.dir.as_os_str().is_empty() {
            bounds.refuse(
                "data.dir",
                "empty",
                "must be a directory (\".\" is the working directory)",
            );
        }
    }
}
