//! `[database]`: where the ledger and everything else that lasts is stored.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    bounds::Bounds,
    data::Data,
    secret::{self, MASK},
};
use crate::domain::database_location::{DatabaseLocation, LocationError};

/// The SQLite file, in the data directory.
const FILE_NAME: &str = "providerpool.db";

/// Where the ledger and everything else that lasts is stored.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://…`, or the path of a SQLite file. Absent: a file in the data directory.
    #[serde(
        deserialize_with = "secret::read_optional",
        serialize_with = "secret::mask",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<SecretString>,
    /// Connections, and threads that use them.
    pub pool_size: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, pool_size: 4 }
    }
}

impl Database {
    pub(super) fn url_in(&self, data: &Data) -> SecretString {
        match &self.url {
            Some(url) => url.clone(),
            None => data.dir.join(FILE_NAME).to_string_lossy().into_owned().into(),
        }
    }

    pub(super) fn location_in(&self, data: &Data) -> Result<DatabaseLocation, LocationError> {
        match &self.url {
            Some(url) => url.expose_secret().parse(),
            None => Ok(DatabaseLocation::File(data.dir.join(FILE_NAME))),
        }
    }

    pub(super) fn check(&self, bounds: &mut Bounds) {
        bounds.number("database.pool_size", self.pool_size, 1..=128, "connections");
        let Some(url) = &self.url else { return };
        let location = bounds.read("database", "url", url.expose_secret().parse());
        if !cfg!(feature = "postgres-tls") && location.as_ref().is_some_and(asks_for_tls) {
            let wanted = "asks for TLS (sslmode), which this build does not have: build it with \
                          '--features postgres-tls', or leave sslmode out";
            bounds.refuse_secret("database.url", wanted);
        }
    }
}

/// Whether a server is not to be talked to in the clear.
///
/// Source: <https://www.postgresql.org/docs/15/libpq-ssl.html> (read 2026-11).
fn asks_for_tls(location: &DatabaseLocation) -> bool {
    let DatabaseLocation::Postgres(url) = location else { return false };
    let Some((_, query)) = url.expose_secret().split_once('?') else { return false };
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.any(|(name, value)| {
        name == "sslmode" && matches!(&*value, "require" | "verify-ca" | "verify-full")
    })
}

/// A database address without what lets one in: who knows a path or a host does not know a secret,
/// but all that is not surely harmless is left out.
pub fn mask_url(url: &SecretString) -> String {
    let text = url.expose_secret();
    if !text.contains("://") {
        // Either a path, or `key=value` pairs with perhaps a password among them.
        return if text.contains('=') { MASK.to_owned() } else { text.to_owned() };
    }
    let Ok(mut parsed) = Url::parse(text) else { return MASK.to_owned() };
    if parsed.password().is_some() && parsed.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if parsed.query().is_some() {
        parsed.set_query(Some(MASK));
    }
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_address_tells_the_place_and_no_secret() {
        let masked = |url: &str| mask_url(&SecretString::from(url));
        assert_eq!(masked("data/pool.db"), "data/pool.db");
        assert_eq!(masked("postgres://u:pw@h:5/d"), "postgres://u:****@h:5/d");
        assert_eq!(masked("postgres://h/d?password=pw"), "postgres://h/d?****");
        assert_eq!(masked("host=h password=pw"), "****");
        assert_eq!(masked("postgres://u:p/w@h:x/d"), "****");
    }
}
