//! Migrations: brings a database to the tables of this version, or says why it must not.
//!
//! All that is pending is applied in one transaction. A start that fails half way leaves the
//! database as it was, and of several that start at once one migrates while the others wait.

use diesel::{
    backend::Backend,
    connection::SimpleConnection as _,
    migration::{Migration, MigrationSource as _},
    prelude::*,
    sql_query,
    sql_types::Text,
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use thiserror::Error;

use super::{connection::DbConnection, schema::pool_meta};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Diesel's own record of what was applied.
const APPLIED_TABLE: &str = "__diesel_schema_migrations";

/// Held while migrating. Any number, as long as no other program picks it: "provpool" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"provpool");

/// Why the database cannot be brought to this version.
#[derive(Debug, Error)]
pub enum MigrateError {
    #[error(
        "the database was written by a newer providerpool (it has migration {version}, which this \
         version does not know): start that version, or restore a backup made before it"
    )]
    Newer { version: String },
    #[error(
        "the database belongs to something else (it has a table {table:?}, and no mark of \
         providerpool): give providerpool an empty database of its own"
    )]
    Foreign { table: String },
    #[error("migration of the database failed, and it was left as it was: {0}")]
    Failed(String),
}

impl From<diesel::result::Error> for MigrateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for MigrateError {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Applies what is pending, and names it.
///
/// Errors: [`MigrateError`]; the database is then unchanged.
pub fn run(conn: &mut DbConnection) -> Result<Vec<String>, MigrateError> {
    own_tables(conn)?;
    match conn {
        DbConnection::Sqlite(conn) => conn.immediate_transaction(|conn| apply(conn, &SQLITE)),
        DbConnection::Postgres(conn) => conn.transaction(|conn| {
            // Both end with the transaction.
            conn.batch_execute(&format!(
                "SET LOCAL statement_timeout = '5min'; SELECT pg_advisory_xact_lock({LOCK})"
            ))?;
            apply(conn, &POSTGRES)
        }),
    }
}

/// Names all there is to apply. Both databases have the same names.
///
/// Errors: they cannot be read.
pub fn known() -> Result<Vec<String>, MigrateError> {
    Ok(names::<Sqlite>(&SQLITE.migrations()?))
}

/// Names what [`run`] would apply, and changes nothing.
///
/// Errors: [`MigrateError`], as [`run`] would give.
pub fn pending(conn: &mut DbConnection) -> Result<Vec<String>, MigrateError> {
    if !own_tables(conn)?.iter().any(|table| table == APPLIED_TABLE) {
        // Asking Diesel would create its table.
        return known();
    }
    match conn {
        DbConnection::Sqlite(conn) => Ok(names(&unapplied(conn, &SQLITE)?)),
        DbConnection::Postgres(conn) => Ok(names(&unapplied(conn, &POSTGRES)?)),
    }
}

type Migrations<DB> = Vec<Box<dyn Migration<DB>>>;

fn apply<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: &EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError> {
    let unapplied = unapplied(conn, known)?;
    for migration in &unapplied {
        conn.run_migration(migration.as_ref())?;
    }
    Ok(names(&unapplied))
}

/// What is known here and not applied there, oldest first.
fn unapplied<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: &EmbeddedMigrations,
) -> Result<Migrations<DB>, MigrateError> {
    let applied = conn.applied_migrations()?;
    let mut unapplied: Migrations<DB> = known.migrations()?;
    for version in &applied {
        let Some(place) = unapplied.iter().position(|known| known.name().version() == *version)
        else {
            return Err(MigrateError::Newer { version: version.to_string() });
        };
        unapplied.remove(place);
    }
    unapplied.sort_by_cached_key(|migration| migration.name().version().as_owned());
    Ok(unapplied)
}

fn names<DB: Backend>(migrations: &Migrations<DB>) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Names the tables that are there. None at all is a database for us to fill.
///
/// Errors: [`MigrateError::Foreign`] when there are some and our mark is not.
fn own_tables(conn: &mut DbConnection) -> Result<Vec<String>, MigrateError> {
    let query = match conn {
        DbConnection::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        DbConnection::Postgres(_) => {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()"
        }
    };
    let tables: Vec<Table> = sql_query(query).load(conn)?;
    let tables: Vec<String> = tables.into_iter().map(|table| table.name).collect();
    let strange = if tables.iter().any(|table| table == "pool_meta") {
        let application = pool_meta::table.find("application").select(pool_meta::value);
        let mark: Option<String> = application.first(conn).optional()?;
        (mark.as_deref() != Some("providerpool")).then(|| "pool_meta".to_owned())
    } else {
        tables.iter().find(|table| *table != APPLIED_TABLE).cloned()
    };
    strange.map_or(Ok(tables), |table| Err(MigrateError::Foreign { table }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        domain::credential::{CredentialSettings, Egress, StoredSecret},
        persistence::{
            repo,
            rows::Opened,
            testing::{on_every_database, on_every_empty_database},
        },
    };

    fn revert_all(conn: &mut DbConnection) {
        match conn {
            DbConnection::Sqlite(conn) => conn.revert_all_migrations(SQLITE).unwrap(),
            DbConnection::Postgres(conn) => conn.revert_all_migrations(POSTGRES).unwrap(),
        };
    }

    /// Reverts migrations down to the one that made a table, and applies them again to what is there.
    pub fn redo_from(conn: &mut DbConnection, table: &str) {
        while own_tables(conn).unwrap().iter().any(|it| it == table) {
            match conn {
                DbConnection::Sqlite(conn) => conn.revert_last_migration(SQLITE).map(drop).unwrap(),
                DbConnection::Postgres(conn) => {
                    conn.revert_last_migration(POSTGRES).map(drop).unwrap();
                }
            }
        }
        run(conn).unwrap();
    }

    #[test]
    fn both_databases_have_migrations_of_the_same_names() {
        let sqlite = names::<Sqlite>(&SQLITE.migrations().unwrap());
        assert_eq!(sqlite, names::<diesel::pg::Pg>(&POSTGRES.migrations().unwrap()));
        assert!(!sqlite.is_empty());
    }

    #[test]
    fn every_migration_goes_up_and_down_and_up_again() {
        on_every_empty_database(|database| {
            let mut conn = database.conn();
            let expected = pending(&mut conn).unwrap();
            assert_eq!(own_tables(&mut conn).unwrap(), [""; 0], "asking changed the database");
            assert_eq!(run(&mut conn).unwrap(), expected);
            assert_eq!(pending(&mut conn).unwrap(), [""; 0]);
            assert_eq!(run(&mut conn).unwrap(), [""; 0], "a migration was applied twice");

            revert_all(&mut conn);
            assert_eq!(own_tables(&mut conn).unwrap(), [APPLIED_TABLE]);
            assert_eq!(pending(&mut conn).unwrap(), expected);
            assert_eq!(run(&mut conn).unwrap(), expected);
        });
    }

    #[test]
    fn rows_of_the_first_version_get_the_defaults_of_this_one() {
        on_every_empty_database(|database| {
            let mut conn = database.conn();
            match &mut *conn {
                DbConnection::Sqlite(conn) => conn.run_next_migration(SQLITE).map(drop).unwrap(),
                DbConnection::Postgres(conn) => {
                    conn.run_next_migration(POSTGRES).map(drop).unwrap();
                }
            }
            let old_rows = "INSERT INTO credentials VALUES
                    ('c1', 'acme', 'mine', 'v1.sealed', '****', 'f1', TRUE, 5);
                INSERT INTO providers (id, custom, created_at, updated_at)
                    VALUES ('acme', TRUE, 5, 5)";
            conn.batch_execute(old_rows).unwrap();

            run(&mut conn).unwrap();

            let key = repo::credentials::load(&mut conn).unwrap().remove(0);
            let opened = Opened {
                secret: StoredSecret::open("sk"),
                egress: Egress::default(),
                headers: Vec::new(),
            };
            let expected =
                CredentialSettings { label: Some("mine".into()), ..CredentialSettings::default() };
            assert!(key.sealed_settings.egress_sealed.is_none());
            assert!(key.sealed_settings.headers_sealed.is_none());
            assert!(key.into_credential(opened).unwrap().settings == expected);
            let acme = repo::providers::load(&mut conn).unwrap().remove(0);
            let settings = acme.into_provider(None).unwrap().settings;
            assert_eq!((settings.credential_strategy, settings.rules), (None, None));
            assert_eq!((settings.attempt_timeout_ms, settings.cooling), (None, None));
        });
    }

    #[test]
    fn a_newer_database_is_refused() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let newer =
                "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
            conn.batch_execute(newer).unwrap();
            for refused in [run(&mut conn), pending(&mut conn)] {
                let error = refused.unwrap_err();
                assert!(matches!(error, MigrateError::Newer { .. }), "{error}");
                assert!(error.to_string().contains("29990101000000"), "{error}");
            }
        });
    }

    #[test]
    fn a_foreign_database_is_refused_and_left_alone() {
        on_every_empty_database(|database| {
            let mut conn = database.conn();
            conn.batch_execute("CREATE TABLE customers (id INTEGER)").unwrap();
            for refused in [run(&mut conn), pending(&mut conn)] {
                let error = refused.unwrap_err();
                assert!(error.to_string().contains("\"customers\""), "{error}");
            }
            conn.batch_execute("DROP TABLE customers").unwrap();
            assert_eq!(own_tables(&mut conn).unwrap(), [""; 0]);
        });
    }

    #[test]
    fn a_mark_of_another_application_is_foreign_too() {
        on_every_database(|database| {
            let mut conn = database.conn();
            conn.batch_execute("UPDATE pool_meta SET value = 'other'").unwrap();
            assert!(matches!(run(&mut conn), Err(MigrateError::Foreign { .. })));
        });
    }

    #[test]
    fn those_that_start_at_once_migrate_once() {
        on_every_empty_database(|database| {
            let applied: Vec<usize> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..2)
                    .map(|_| scope.spawn(|| run(&mut database.conn()).unwrap().len()))
                    .collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let known = names::<Sqlite>(&SQLITE.migrations().unwrap()).len();
            assert_eq!(applied.iter().sum::<usize>(), known);
        });
    }
}
