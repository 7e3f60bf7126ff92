//! Credentials added through the API.

use diesel::prelude::*;

use crate::{
    domain::id::CredentialId,
    persistence::{connection::DbConnection, rows::CredentialRow, schema::credentials},
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
            credential::{Credential, CredentialSettings, StoredSecret},
            id::ProviderId,
            provider::Origin,
            time::Timestamp,
        },
        persistence::testing::on_every_database,
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
        CredentialRow::new(&credential(id, provider, fingerprint), "v1.sealed".into())
    }

    #[test]
    fn a_credential_reads_back_as_it_was_added() {
        on_every_database(|database| {
            let mut conn = database.conn();
            insert(&mut conn, &row("c1", "acme", "f1")).unwrap();
            let row = load(&mut conn).unwrap().remove(0);
            assert_eq!(row.secret_sealed, "v1.sealed");
            let read = row.into_credential(StoredSecret::Open("sk".into())).unwrap();
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
