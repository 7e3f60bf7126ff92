//! What is said about a configuration that cannot be used. Never shows the value of a secret.

use std::{io, path::PathBuf};

use figment::{
    Figment,
    error::{Actual, Kind},
};
use thiserror::Error;

use crate::domain::name::nearest;

/// Keys whose values are never shown; a key counts with all that stands below it.
const SECRET_KEYS: [&str; 5] = ["api_keys", "base_url", "headers", "master_key", "url"];

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{place}, line {line}: {message}")]
    Malformed { place: String, line: usize, message: String },
    /// One line per problem.
    #[error("{0}")]
    Invalid(String),
}

impl ConfigError {
    pub(super) fn from_figment(error: figment::Error) -> Self {
        let lines: Vec<String> = error.into_iter().map(|error| describe(&error)).collect();
        Self::Invalid(lines.join("\n"))
    }
}

/// Where the value of `key` was set, for the end of a sentence. Empty when nobody set it.
pub(super) fn place_of(figment: &Figment, key: &str) -> String {
    // What stands in a list is not found by its key: the whole list has one place.
    let mut parents = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
    parents
        .find_map(|key| figment.find_metadata(key))
        .map(|metadata| format!(" (in {})", metadata.name))
        .unwrap_or_default()
}

fn describe(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let place = error.metadata.as_ref().map(|m| format!(" (in {})", m.name)).unwrap_or_default();
    let secret = error.path.iter().any(|part| SECRET_KEYS.contains(&part.as_str()));
    match &error.kind {
        Kind::UnknownField(name, known) => {
            format!("unknown key {key}{place}: {}", suggestion(&key, name, known))
        }
        Kind::UnknownVariant(name, known) => {
            format!("{key} is {name}{place}: must be one of {}", known.join(", "))
        }
        Kind::MissingField(name) => format!("{key}.{name} is missing{place}"),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let (expected, actual) = (expected_words(expected), actual_words(actual, secret));
            format!("{key}{place}: must be {expected}, not {actual}")
        }
        // Said by us, without a word of the value.
        Kind::Message(said) if said.starts_with("must ") => format!("{key}{place}: {said}"),
        _ if secret => format!("{key}{place}: is not valid"),
        other => format!("{key}{place}: {other}"),
    }
}

fn suggestion(key: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(word) => {
            format!("did you mean {}{word}?", key.strip_suffix(name).unwrap_or_default())
        }
        None => format!("known here: {}", known.join(", ")),
    }
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number",
        "a sequence" => "a list",
        "a map" => "a table",
        "a string" => "a text",
        "a boolean" => "true or false",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    }
}

fn actual_words(actual: &Actual, secret: bool) -> String {
    match actual {
        Actual::Str(_) if secret => "a text".to_owned(),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Bool(_) if secret => "a boolean".to_owned(),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) if secret => {
            "a number".to_owned()
        }
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => number.to_string(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        _ => "what it is".to_owned(),
    }
}
