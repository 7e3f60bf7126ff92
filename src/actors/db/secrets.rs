//! Rows with secrets: sealed on the way in, opened on the way out, left alone when locked.

use diesel::{Connection as _, QueryResult};
use secrecy::{ExposeSecret as _, SecretString};

use super::DbError;
use crate::{
    crypto::seal::{OpenError, Place, Sealer},
    domain::{
        credential::{Credential, CredentialSettings, Egress, StoredSecret},
        id::CredentialId,
        provider::{SecretHeader, StoredHeaders, StoredProvider},
    },
    persistence::{
        Loaded,
        connection::DbConnection,
        repo::{credentials, providers},
        rows::{CredentialRow, Opened, PlainSettings, ProviderRow, SealedSettings},
    },
};

pub fn load_providers(
    conn: &mut DbConnection,
    sealer: &Sealer,
) -> QueryResult<Loaded<StoredProvider>> {
    let opened = providers::load(conn)?.into_iter().map(|row| {
        let headers = row.headers_sealed.as_deref();
        let headers = headers.map(|text| {
            let place = headers_of(&row.id);
            match open_headers(sealer, &place, text) {
                Ok(headers) => StoredHeaders::Open(headers),
                Err(error) => {
                    report_locked(&place, &row.id, &error);
                    StoredHeaders::Locked { key_id: key_to_blame(sealer, error) }
                }
            }
        });
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
            Some(StoredHeaders::Open(headers)) => {
                let place = headers_of(id.as_str());
                let text = headers_text(headers).map(|text| sealer.seal(&place, &text));
                providers::replace_headers(conn, id, text.as_deref())?;
            }
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
        let opened = open_credential(sealer, &row).unwrap_or_else(|(place, error)| {
            report_locked(&place, &row.provider_id, &error);
            Opened {
                secret: StoredSecret::Locked { key_id: key_to_blame(sealer, error) },
                egress: Egress::default(),
                headers: Vec::new(),
            }
        });
        row.into_credential(opened)
    });
    Ok(opened.collect())
}

/// Opens all that is sealed in a row: without its way out or its headers a key must not be used.
///
/// Errors: what does not open, and why.
fn open_credential<'r>(
    sealer: &Sealer,
    row: &'r CredentialRow,
) -> Result<Opened, (Place<'r>, OpenError)> {
    let stored = &row.sealed_settings;
    let secret = secret_of(&row.id);
    let opened = sealer.open(&secret, &row.secret_sealed);
    let opened = opened.map_err(|error| (secret, error))?;
    let egress = stored.egress_sealed.as_deref().map(|text| {
        let place = egress_of(&row.id);
        open_egress(sealer, &place, text).map_err(|error| (place, error))
    });
    let headers = stored.headers_sealed.as_deref().map(|text| {
        let place = credential_headers_of(&row.id);
        open_headers(sealer, &place, text).map_err(|error| (place, error))
    });
    Ok(Opened {
        secret: StoredSecret::open(opened),
        egress: egress.transpose()?.unwrap_or_default(),
        headers: headers.transpose()?.unwrap_or_default(),
    })
}

/// Seals a credential into a row.
///
/// Errors: [`DbError::Locked`] when its secret is not here to be sealed.
pub fn seal_credential(sealer: &Sealer, credential: &Credential) -> Result<CredentialRow, DbError> {
    let id = credential.id.as_str();
    let settings = &credential.settings;
    match &credential.secret {
        StoredSecret::Open(secret) => {
            let headers = headers_text(&settings.headers);
            let sealed_settings = SealedSettings {
                egress_sealed: settings
                    .egress
                    .to_secret()
                    .map(|it| sealer.seal(&egress_of(id), &it)),
                headers_sealed: headers.map(|it| sealer.seal(&credential_headers_of(id), &it)),
            };
            let secret_sealed = sealer.seal(&secret_of(id), secret);
            Ok(CredentialRow::new(credential, secret_sealed, sealed_settings))
        }
        StoredSecret::Locked { key_id } => Err(DbError::Locked { key_id: key_id.clone() }),
    }
}

/// Changes the settings of a credential. Says whether it was there. A way out or headers that do
/// not open stay as they are: whoever sets none may not know of those that are locked.
///
/// Errors: [`DbError::Locked`] when others are set in the place of what does not open.
pub fn save_credential_settings(
    conn: &mut DbConnection,
    sealer: &Sealer,
    id: &CredentialId,
    settings: &CredentialSettings,
) -> Result<bool, DbError> {
    conn.transaction(|conn| {
        // Written first, as in `save_provider`.
        if !credentials::save_settings(conn, id, &PlainSettings::from(settings))? {
            return Ok(false);
        }
        let row = credentials::load_one(conn, id)?;
        if let Err((_, error)) = open_credential(sealer, &row) {
            // What of a locked row would open is not known to whoever changes it, and stays.
            let knows_no_secrets =
                settings.egress.to_secret().is_none() && settings.headers.is_empty();
            let key_id = key_to_blame(sealer, error);
            return if knows_no_secrets { Ok(true) } else { Err(DbError::Locked { key_id }) };
        }
        let stored = row.sealed_settings;
        let egress = (egress_of(id.as_str()), settings.egress.to_secret());
        let headers = (credential_headers_of(id.as_str()), headers_text(&settings.headers));
        let sealed = SealedSettings {
            egress_sealed: resealed(sealer, egress, stored.egress_sealed, open_egress)?,
            headers_sealed: resealed(sealer, headers, stored.headers_sealed, open_headers)?,
        };
        credentials::replace_sealed(conn, id, &sealed)?;
        Ok(true)
    })
}

/// What to store in a sealed column from now on, given what is `wanted` there and what is `stored`.
fn resealed<T>(
    sealer: &Sealer,
    (place, wanted): (Place<'_>, Option<SecretString>),
    stored: Option<String>,
    open: fn(&Sealer, &Place<'_>, &str) -> Result<T, OpenError>,
) -> Result<Option<String>, DbError> {
    let locked = stored.as_deref().and_then(|text| open(sealer, &place, text).err());
    match (locked, wanted) {
        (None, wanted) => Ok(wanted.map(|secret| sealer.seal(&place, &secret))),
        (Some(_), None) => Ok(stored),
        (Some(error), Some(_)) => Err(DbError::Locked { key_id: key_to_blame(sealer, error) }),
    }
}

fn secret_of(credential: &str) -> Place<'_> {
    Place { table: "credentials", row: credential, column: "secret_sealed" }
}

fn egress_of(credential: &str) -> Place<'_> {
    Place { table: "credentials", row: credential, column: "egress_sealed" }
}

fn credential_headers_of(credential: &str) -> Place<'_> {
    Place { table: "credentials", row: credential, column: "headers_sealed" }
}

fn headers_of(provider: &str) -> Place<'_> {
    Place { table: "providers", row: provider, column: "headers_sealed" }
}

/// Headers as the text they are sealed as: one JSON array of names and values. `None`: no headers.
fn headers_text(headers: &[SecretHeader]) -> Option<SecretString> {
    if headers.is_empty() {
        return None;
    }
    let pairs: Vec<(&str, &str)> =
        headers.iter().map(|header| (header.name.as_str(), header.value.expose_secret())).collect();
    Some(serde_json::to_string(&pairs).expect("pairs of texts are JSON").into())
}

fn open_headers(
    sealer: &Sealer,
    place: &Place<'_>,
    text: &str,
) -> Result<Vec<SecretHeader>, OpenError> {
    let json = sealer.open(place, text)?;
    let pairs: Vec<(String, String)> =
        serde_json::from_str(json.expose_secret()).map_err(|_| OpenError::Malformed)?;
    let header = |(name, value): (String, String)| SecretHeader { name, value: value.into() };
    Ok(pairs.into_iter().map(header).collect())
}

fn open_egress(sealer: &Sealer, place: &Place<'_>, text: &str) -> Result<Egress, OpenError> {
    let opened = sealer.open(place, text)?;
    Egress::parse(opened.expose_secret()).map_err(|_| OpenError::Malformed)
}

/// Logs that a secret does not open. Here the reason is known; the owner of the row tells it on.
fn report_locked(place: &Place<'_>, provider: &str, error: &OpenError) {
    let Place { table, row, column } = place;
    tracing::error!(
        provider, table, row, column, %error,
        "a stored secret does not open; it is not used and its row is kept"
    );
}

/// The other key, or ours, under which it should have opened.
fn key_to_blame(sealer: &Sealer, error: OpenError) -> String {
    match error {
        OpenError::SealedElsewhere { key_id } => key_id,
        OpenError::Malformed | OpenError::NotAuthentic => sealer.key_id().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl as _;

    use super::*;
    use crate::{
        crypto::master_key::MasterKey,
        domain::{id::ProviderId, provider::Origin, time::Timestamp},
        persistence::testing::on_every_database,
    };

    fn sealer() -> Sealer {
        Sealer::new(&MasterKey::generate().unwrap())
    }

    fn credential(settings: CredentialSettings) -> Credential {
        Credential {
            id: "c1".into(),
            provider_id: ProviderId::parse("acme").unwrap(),
            settings,
            origin: Origin::Api,
            secret: StoredSecret::open("sk-plain"),
            mask: "****".into(),
            fingerprint: "f1".into(),
            created_at: Timestamp::from_millis(1),
        }
    }

    fn with_secrets(proxy: &str, header: &str) -> CredentialSettings {
        CredentialSettings {
            priority: 3,
            egress: Egress::parse(proxy).unwrap(),
            headers: vec![SecretHeader { name: "x-org".into(), value: header.into() }],
            ..CredentialSettings::default()
        }
    }

    fn add(conn: &mut DbConnection, sealer: &Sealer, settings: &CredentialSettings) {
        let row = seal_credential(sealer, &credential(settings.clone())).unwrap();
        credentials::insert(conn, &row).unwrap();
    }

    fn save(
        conn: &mut DbConnection,
        sealer: &Sealer,
        settings: &CredentialSettings,
    ) -> Result<bool, DbError> {
        save_credential_settings(conn, sealer, &"c1".into(), settings)
    }

    fn stored(conn: &mut DbConnection, sealer: &Sealer) -> Credential {
        load_credentials(conn, sealer).unwrap().rows.remove(0)
    }

    /// Seals the key itself anew and nothing else, as somebody could who changes half a row.
    fn seal_key_alone(conn: &mut DbConnection, sealer: &Sealer) {
        let sealed = sealer.seal(&secret_of("c1"), &"sk-plain".into());
        let update = format!("UPDATE credentials SET secret_sealed = '{sealed}'");
        diesel::sql_query(update).execute(conn).unwrap();
    }

    #[test]
    fn settings_of_a_credential_are_saved_changed_and_removed() {
        on_every_database(|database| {
            let (mut conn, sealer) = (database.conn(), sealer());
            let first = with_secrets("http://u:hunter2@proxy.test:3128", "one");
            assert_eq!(save(&mut conn, &sealer, &first), Ok(false));
            add(&mut conn, &sealer, &first);
            assert!(stored(&mut conn, &sealer).settings == first);
            for settings in [with_secrets("direct", "two"), CredentialSettings::default()] {
                assert_eq!(save(&mut conn, &sealer, &settings), Ok(true));
                assert!(stored(&mut conn, &sealer).settings == settings);
            }
        });
    }

    #[test]
    fn a_way_out_is_sealed_for_its_row_and_column() {
        on_every_database(|database| {
            let (mut conn, sealer) = (database.conn(), sealer());
            add(&mut conn, &sealer, &with_secrets("http://u:hunter2@proxy.test", "hunter3"));
            let sealed = credentials::load_one(&mut conn, &"c1".into()).unwrap().sealed_settings;
            let (egress, headers) = (sealed.egress_sealed.unwrap(), sealed.headers_sealed.unwrap());
            assert!(open_egress(&sealer, &egress_of("c1"), &egress).is_ok());
            assert!(open_egress(&sealer, &egress_of("c2"), &egress).is_err());
            assert!(open_headers(&sealer, &credential_headers_of("c1"), &headers).is_ok());
            assert!(open_headers(&sealer, &headers_of("c1"), &headers).is_err());
        });
    }

    #[test]
    fn a_credential_is_locked_by_a_way_out_that_does_not_open_and_its_row_is_kept() {
        on_every_database(|database| {
            let (mut conn, ours, theirs) = (database.conn(), sealer(), sealer());
            let first = with_secrets("http://proxy.test", "theirs");
            add(&mut conn, &theirs, &first);
            seal_key_alone(&mut conn, &ours);

            let locked = stored(&mut conn, &ours);
            assert!(!locked.is_usable(), "a key is used past the proxy that was set for it");
            let StoredSecret::Locked { key_id } = locked.secret else { panic!("it is open") };
            assert_eq!(key_id, theirs.key_id());
            let plain = CredentialSettings { priority: 9, ..CredentialSettings::default() };
            assert_eq!(save(&mut conn, &ours, &plain), Ok(true));
            let refused = save(&mut conn, &ours, &with_secrets("direct", "ours"));
            assert_eq!(refused, Err(DbError::Locked { key_id }));

            seal_key_alone(&mut conn, &theirs);
            let expected = CredentialSettings { priority: 9, ..first };
            assert!(stored(&mut conn, &theirs).settings == expected, "the row was not kept");
        });
    }
}
