//! `[log]`: what is written to standard error.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::{
    EnvFilter,
    filter::{self, LevelFilter},
};

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
        if parse_filter(&self.level).is_err() {
            let wanted =
                "must be error, warn, info, debug, trace, or a filter like info,actix=warn";
            bounds.refuse("log.level", &self.level, wanted);
        }
    }
}

/// Why a text is no filter of what is logged.
#[derive(Debug, Error)]
pub enum FilterError {
    #[error(transparent)]
    Syntax(#[from] filter::ParseError),
    /// Taken for the name of a part of the program it would switch off all the others.
    #[error(
        "{0} is no level: error, warn, info, debug, trace or off; a part of the program is named with its level, as in actix=warn"
    )]
    NoLevel(String),
}

/// Reads a level, or a filter as `RUST_LOG` has it.
///
/// Errors: [`FilterError`].
pub fn parse_filter(text: &str) -> Result<EnvFilter, FilterError> {
    // Spans may have commas in their fields.
    let words = text.split(',').filter(|_| !text.contains('[')).map(str::trim);
    let mut alone = words.filter(|word| !word.is_empty() && !word.contains('='));
    match alone.find(|word| word.parse::<LevelFilter>().is_err()) {
        Some(word) => Err(FilterError::NoLevel(word.to_owned())),
        None => Ok(EnvFilter::try_new(text)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,actix=warn",
            "providerpool::relay=trace, warn",
            "a[b{c=d}]=info",
        ] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "inof", "info,actix", "actix=loud", "info,actix=warn,loud"] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }
}
