//! Rows: one type per table, and how it becomes a domain value and comes from one.
//!
//! Reading fails with [`super::Corrupt`] on what the domain does not know. Numbers too large for
//! their column are stored as the largest it takes: none that means anything comes near.

mod access_keys;
mod aliases;
mod cooldowns;
mod credentials;
mod providers;
mod routes;
mod usage_entries;
mod usage_hours;

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value},
};

use crate::domain::cooling::CoolingSettings;

pub use access_keys::AccessKeyRow;
pub use aliases::AliasRow;
pub use cooldowns::{CooldownRow, scope_key};
pub use credentials::{CredentialRow, Opened, PlainSettings, SealedSettings};
pub use providers::ProviderRow;
pub use routes::RouteRow;
pub use usage_entries::{InsertNew, MAX_TOKENS, UsageEntryRow};
pub use usage_hours::{AddToHour, UsageHourRow, UsageSumRow};

/// Shows a value as the word it has on the wire.
struct Word<T>(T);

impl<T: Serialize> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

fn parse_word<'a, T: Deserialize<'a>>(word: &'a str) -> Option<T> {
    let word: value::StrDeserializer<'_, value::Error> = word.into_deserializer();
    T::deserialize(word).ok()
}

fn cooling_json(set: &CoolingSettings) -> String {
    serde_json::to_string(set).expect("numbers by name are JSON")
}

fn parse_cooling(stored: Option<String>) -> Result<Option<CoolingSettings>, serde_json::Error> {
    stored.map(|json| serde_json::from_str(&json)).transpose()
}

fn big_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn natural(number: Option<i32>) -> Result<Option<u32>, std::num::TryFromIntError> {
    number.map(u32::try_from).transpose()
}

fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
