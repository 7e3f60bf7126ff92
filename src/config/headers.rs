//! `headers` of a provider and of a key: read as secrets, never written, and checked for whether they
//! can be sent.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize as _, Deserializer, Serializer};

use super::{bounds::Bounds, secret::MASK};
use crate::domain::provider::SecretHeader;

/// By name.
type Headers = BTreeMap<String, SecretString>;

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(table.into_iter().map(|(name, value)| (name, value.into())).collect())
}

pub fn serialize<S: Serializer>(table: &Headers, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(table.keys().map(|name| (name, MASK)))
}

/// `table` names where they stand.
pub fn check(headers: &Headers, table: &str, bounds: &mut Bounds) {
    for (name, value) in headers {
        if let Err(error) = SecretHeader::parse(name, value.clone()) {
            bounds.refuse_secret(table, error.to_string());
        }
    }
}
