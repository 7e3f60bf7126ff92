//! `headers` of a provider and of a key: read as secrets, and never written.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize as _, Deserializer, Serializer};

use super::secret::MASK;

/// By name.
type Headers = BTreeMap<String, SecretString>;

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(table.into_iter().map(|(name, value)| (name, value.into())).collect())
}

pub fn serialize<S: Serializer>(table: &Headers, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(table.keys().map(|name| (name, MASK)))
}
