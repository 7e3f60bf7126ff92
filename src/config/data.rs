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
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("data") }
    }
}

impl Data {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        if self.dir.as_os_str().is_empty() {
            bounds.refuse(
                "data.dir",
                "empty",
                "must be a directory (\".\" is the working directory)",
            );
        }
    }
}
