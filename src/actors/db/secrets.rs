//! Rows with secrets: sealed on the way in, opened on the way out, left alone when locked.

use diesel::{Connection as _, QueryResult};
use secrecy::{ExposeSecret as _, SecretString};

use super::DbError;
use crate::{
    crypto::seal::{OpenError, Place, Sealer},
    domain::{
        credential::{Credential, StoredSecret},
        provider::{SecretHeader, StoredHeaders, StoredProvider},
    },
    persistence::{
        Loaded,
        connection::DbConnection,
        repo::{credentials, providers},
        rows::{CredentialRow, ProviderRow},
    },
};

pub fn load_providers(
    conn: &mut DbConnection,
    sealer: &Sealer,
) -> QueryResult<Loaded<StoredProvider>> {
    let opened = providers::load(conn)?.into_iter().map(|row| {
        let headers = row.headers_sealed.as_deref();
        let headers = headers.map(|text| open_headers(sealer, &row.id, text));
        row.into_provider(headers)
    });
    Ok(opened.collect())
}

/// Creates or changes a provider. Headers that do not open are overwritten by new ones alone.
pub fn save_provider(
    conn: &mut DbConnection,
    sealer: &Sealer,
    provider: &StoredProvider,
) -> Result<(), DbError> {
    let id = &provider.id;
    conn.transaction(|conn| {
        // Written first: a transaction that begins by reading may find on SQLite that it came too
        // late to write.
        providers::save(conn, &ProviderRow::from(provider))?;
        match &provider.settings.headers {
            Some(StoredHeaders::Open(headers)) if !headers.is_empty() => {
                let text = seal_headers(sealer, id.as_str(), headers);
                providers::replace_headers(conn, id, Some(&text))?;
            }
            Some(StoredHeaders::Open(_)) => providers::replace_headers(conn, id, None)?,
            Some(StoredHeaders::Locked { .. }) => {}
            None => {
                // Whoever says "none" may not know of those that are locked.
                let stored = providers::find_headers(conn, id)?;
                let opens = |text: &str| sealer.open(&headers_of(id.as_str()), text).is_ok();
                if stored.as_deref().is_some_and(opens) {
                    providers::replace_headers(conn, id, None)?;
                }
            }
        }
        Ok(())
    })
}

pub fn load_credentials(
    conn: &mut DbConnection,
    sealer: &Sealer,
) -> QueryResult<Loaded<Credential>> {
    let opened = credentials::load(conn)?.into_iter().map(|row| {
        let place = secret_of(&row.id);
        let secret = match sealer.open(&place, &row.secret_sealed) {
            Ok(secret) => StoredSecret::Open(secret),
            Err(error) => StoredSecret::Locked { key_id: report_locked(sealer, &place, error) },
        };
        row.into_credential(secret)
    });
    Ok(opened.collect())
}

/// Seals a credential into a row.
///
/// Errors: [`DbError::Locked`] when its secret is not here to be sealed.
pub fn seal_credential(sealer: &Sealer, credential: &Credential) -> Result<CredentialRow, DbError> {
    match &credential.secret {
        StoredSecret::Open(secret) => {
            let text = sealer.seal(&secret_of(credential.id.as_str()), secret);
            Ok(CredentialRow::new(credential, text))
        }
        StoredSecret::Locked { key_id } => Err(DbError::Locked { key_id: key_id.clone() }),
    }
}

fn secret_of(credential: &str) -> Place<'_> {
    Place { table: "credentials", row: credential, column: "secret_sealed" }
}

fn headers_of(provider: &str) -> Place<'_> {
    Place { table: "providers", row: provider, column: "headers_sealed" }
}

/// Headers are sealed as one JSON array of names and values.
fn seal_headers(sealer: &Sealer, provider: &str, headers: &[SecretHeader]) -> String {
    let pairs: Vec<(&str, &str)> =
        headers.iter().map(|header| (header.name.as_str(), header.value.expose_secret())).collect();
    let json = serde_json::to_string(&pairs).expect("pairs of texts are JSON");
    sealer.seal(&headers_of(provider), &SecretString::from(json))
}

fn open_headers(sealer: &Sealer, provider: &str, text: &str) -> StoredHeaders {
    let place = headers_of(provider);
    let pairs = sealer.open(&place, text).and_then(|json| {
        serde_json::from_str::<Vec<(String, String)>>(json.expose_secret())
            .map_err(|_| OpenError::Malformed)
    });
    match pairs {
        Ok(pairs) => StoredHeaders::Open(
            pairs
                .into_iter()
                .map(|(name, value)| SecretHeader { name, value: value.into() })
                .collect(),
        ),
        Err(error) => StoredHeaders::Locked { key_id: report_locked(sealer, &place, error) },
    }
}

/// Reports a secret that does not open, and names the key that is to blame: the other one, or
/// ours, under which it should have opened.
fn report_locked(sealer: &Sealer, place: &Place<'_>, error: OpenError) -> String {
    let Place { table, row, column } = place;
    tracing::error!(table, row, column, %error, "a stored secret does not open: it stays locked");
    match error {
        OpenError::SealedElsewhere { key_id } => key_id,
        OpenError::Malformed | OpenError::NotAuthentic => sealer.key_id().to_owned(),
    }
}
