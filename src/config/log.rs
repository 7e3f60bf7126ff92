//! `[log]`: what is written to standard error.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::bounds::Bounds;

/// What is written to standard error.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `RUST_LOG` has it, which goes before
    /// this.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line per record, for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Log {
    pub(super) fn check(&self, bounds: &mut Bounds) {
        if EnvFilter::try_new(&self.level).is_err() {
            let wanted =
                "must be error, warn, info, debug, trace, or a filter like info,actix=warn";
            bounds.refuse("log.level", &self.level, wanted);
        }
    }
}
