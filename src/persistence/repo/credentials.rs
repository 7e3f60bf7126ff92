//! Credentials added through the API.

use diesel::prelude::*;

use crate::{
    domain::id::CredentialId,
    persistence::{
        connection::DbConnection,
        rows::{CredentialRow, PlainSettings, SealedSettings},
        schema::credentials,
    },
};

/// All rows, oldest first, with their secrets sealed.
pub fn load(conn: &mut DbConnection) -> QueryResult<Vec<CredentialRow>> {
    credentials::table
        .order((credentials::created_at, credentials::id))
        .select(CredentialRow::as_select())
        .load(conn)
}

/// Adds a row.
///
/// Errors: a unique violation when the provider has a credential of the same fingerprint.
pub fn insert(conn: &mut DbConnection, row: &CredentialRow) -> QueryResult<()> {
    diesel::insert_into(credentials::table).values(row).execute(conn)?;
    Ok(())
}

/// Changes the settings that are no secrets. Says whether the credential was there.
pub fn save_settings(
    conn: &mut DbConnection,
    id: &CredentialId,
    settings: &PlainSettings,
) -> QueryResult<bool> {
    let changed =
        diesel::update(credentials::table.find(id.as_str())).set(settings).execute(conn)?;
    Ok(changed > 0)
}

/// The row of a credential that is there.
///
/// Errors: not found.
pub fn load_one(conn: &mut DbConnection, id: &CredentialId) -> QueryResult<CredentialRow> {
    credentials::table.find(id.as_str()).select(CredentialRow::as_select()).first(conn)
}

/// Writes other sealed settings over the stored ones, readable or not.
pub fn replace_sealed(
    conn: &mut DbConnection,
    id: &CredentialId,
    sealed: &SealedSettings,
) -> QueryResult<()> {
    diesel::update(credentials::table.find(id.as_str())).set(sealed).execute(conn)?;
    Ok(())
}

/// Deletes a credential. Says whether it was there.
pub fn delete(conn: &mut DbConnection, id: &CredentialId) -> QueryResult<bool> {
    let deleted = diesel::delete(credentials::table.find(id.as_str())).execute(conn)?;
    Ok(deleted > 0)
}

#[cfg(test)]
pub(in crate::persistence) mod tests {
    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;
    use crate::{
        domain::{
            credential::{Credential, CredentialSettings, Egress, StoredSecret},
            id::ProviderId,
            provider::{Origin, SecretHeader},
            time::Timestamp,
        },
        persistence::{Corrupt, rows::Opened, testing::on_every_database},
    };

    pub fn credential(id: &str, provider: &str, fingerprint: &str) -> Credential {
        Credential {
            id: id.into(),
            provider_id: ProviderId::parse(provider).unwrap(),
            settings: CredentialSettings {
                label: Some("mine".into()),
                ..CredentialSettings::default()
            },
            origin: Origin::Api,
            secret: StoredSecret::Locked { key_id: String::new() },
            mask: "sk-a…wxyz".into(),
            fingerprint: fingerprint.into(),
            created_at: Timestamp::from_millis(5),
        }
    }

    fn row(id: &str, provider: &str, fingerprint: &str) -> CredentialRow {
        let credential = credential(id, provider, fingerprint);
        CredentialRow::new(&credential, "v1.sealed".into(), SealedSettings::default())
    }

    fn opened(egress: Egress) -> Opened {
        let headers = vec![SecretHeader { name: "x-team".into(), value: "t".into() }];
        Opened { secret: StoredSecret::open("sk"), egress, headers }
    }

    #[test]
    fn a_credential_reads_back_as_it_was_added() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            let row = load(&mut conn).unwrap().remove(0);
            assert_eq!(row.secret_sealed, "v1.sealed");
            let read = row.into_credential(opened(Egress::Direct)).unwrap();
            let expected = credential("c1", "acme", "f1");
            assert_eq!(read.id, expected.id);
            assert_eq!(read.provider_id, expected.provider_id);
            assert_eq!((read.settings.label, read.mask), (expected.settings.label, expected.mask));
            assert_eq!((read.fingerprint, read.origin), (expected.fingerprint, Origin::Api));
            assert_eq!((read.settings.enabled, read.created_at), (true, expected.created_at));
        });
    }

    #[test]
    fn a_provider_has_each_key_once() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            let again = insert(&mut conn, &row("c2", "acme", "f1"));
            assert!(matches!(
                again,
                Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
            ));
            insert(&mut conn, &row("c3", "acme", "f2")).unwrap();
            insert(&mut conn, &row("c4", "other", "f1")).unwrap();
            assert_eq!(load(&mut conn).unwrap().len(), 3);
        });
    }

    #[test]
    fn settings_read_back_as_they_were_changed_and_the_sealed_ones_stay() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let id = CredentialId::from("c1");
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            let sealed = SealedSettings {
                egress_sealed: Some("v1.egress".into()),
                headers_sealed: Some("v1.headers".into()),
            };
            replace_sealed(&mut conn, &id, &sealed).unwrap();
            let settings = CredentialSettings {
                label: None,
                enabled: false,
                priority: -7,
                weight: 1_000_000,
                max_in_flight: Some(3),
                egress: Egress::Direct,
                headers: opened(Egress::Direct).headers,
            };
            assert!(save_settings(&mut conn, &id, &(&settings).into()).unwrap());
            assert!(!save_settings(&mut conn, &"c2".into(), &(&settings).into()).unwrap());

            let row = load(&mut conn).unwrap().remove(0);
            assert_eq!(row.sealed_settings.egress_sealed.as_deref(), Some("v1.egress"));
            assert_eq!(row.sealed_settings.headers_sealed.as_deref(), Some("v1.headers"));
            let read = row.into_credential(opened(Egress::Direct)).unwrap();
            assert!(read.settings == settings, "a setting was lost");

            replace_sealed(&mut conn, &id, &SealedSettings::default()).unwrap();
            let sealed = load_one(&mut conn, &id).unwrap().sealed_settings;
            assert_eq!((sealed.egress_sealed, sealed.headers_sealed), (None, None));
            assert!(load_one(&mut conn, &"c2".into()).is_err());
        });
    }

    #[test]
    fn a_number_that_cannot_be_is_named_by_table_row_and_column() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            for column in ["weight", "max_in_flight"] {
                let set = |value| format!("UPDATE credentials SET {column} = {value}");
                diesel::sql_query(set(-1)).execute(&mut *conn).unwrap();
                let read =
                    load(&mut conn).unwrap().remove(0).into_credential(opened(Egress::Usual));
                let expected = Corrupt { table: "credentials", row: "c1".into(), column };
                assert_eq!(read.err(), Some(expected));
                diesel::sql_query(set(1)).execute(&mut *conn).unwrap();
            }
        });
    }

    #[test]
    fn deleting_says_whether_it_was_there() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            assert!(delete(&mut conn, &"c1".into()).unwrap());
            assert!(!delete(&mut conn, &"c1".into()).unwrap());
            assert!(load(&mut conn).unwrap().is_empty());
        });
    }
}
