//! Connections: one type for both databases, and the pool of them.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
    time::Duration,
};

use diesel::{
    ConnectionError, ConnectionResult, MultiConnection, PgConnection, QueryResult,
    SqliteConnection,
    connection::{Connection as _, SimpleConnection as _, TransactionManager as _},
    r2d2::{self, ManageConnection, R2D2Connection as _},
};
use secrecy::ExposeSecret as _;
use thiserror::Error;
use url::Url;

use super::{Condition, integrity::Damaged};
use crate::domain::database_location::{DatabaseLocation, LocationError};

/// Longest wait for a connection of the pool, where the asker names none.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the locks of others in a file, which only ever are held for some milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to either database. Most queries run on it as it is; what needs one database's
/// own words (`ON CONFLICT`) goes through [`on_backend!`].
#[derive(MultiConnection)]
pub enum DbConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Runs one expression on the concrete connection, whichever it is.
macro_rules! on_backend {
    ($multi:expr, |$conn:ident| $body:expr) => {
        match $multi {
            $crate::persistence::connection::DbConnection::Sqlite($conn) => $body,
            $crate::persistence::connection::DbConnection::Postgres($conn) => $body,
        }
    };
}
pub(super) use on_backend;

/// The pool of connections.
pub type Pool = r2d2::Pool<Connector>;

/// A connection of the pool, which goes back when it is dropped.
pub type Pooled = r2d2::PooledConnection<Connector>;

/// Why there is no database to work with.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("the database URL {0}")]
    Location(#[from] LocationError),
    #[error("the database file {path} cannot be created: {source}")]
    File { path: String, source: io::Error },
    #[error("cannot connect to the database {location}: {reason}")]
    Connect { location: String, reason: String },
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// Opens the [pool](Connector::pool) of the database that a URL names.
///
/// Errors: [`OpenError`] when the URL is not understood or the first connection cannot be made.
pub fn open(url: &str, size: u32) -> Result<Pool, OpenError> {
    Connector::to(url)?.pool(size)
}

/// Asks the database for a sign of life: something that it has to look up.
pub fn ping(conn: &mut DbConnection) -> QueryResult<()> {
    conn.batch_execute("SELECT value FROM pool_meta WHERE name = 'application'")
}

/// Sets how long queries may wait for others and, on a server, take in all. Holds until it is set anew.
pub fn set_patience(conn: &mut DbConnection, patience: Duration) -> QueryResult<()> {
    // Zero would be no bound on a server.
    let millis = patience.as_millis().max(1);
    match conn {
        DbConnection::Sqlite(conn) => {
            let millis = millis.min(LOCK_TIMEOUT.as_millis());
            conn.batch_execute(&format!("PRAGMA busy_timeout = {millis}"))
        }
        DbConnection::Postgres(conn) => {
            conn.batch_execute(&format!("SET statement_timeout = {millis}"))
        }
    }
}

/// Rolls back whatever a panic left open, so that the connection can be used again. The one of a
/// database in memory cannot be replaced.
pub fn abandon_transactions(conn: &mut DbConnection) {
    while DbConnection::rollback_transaction(conn).is_ok() {}
}

/// Makes connections for the pool.
#[derive(Clone)]
pub struct Connector {
    location: DatabaseLocation,
}

impl Connector {
    pub fn new(location: DatabaseLocation) -> Self {
        Self { location }
    }

    /// Errors: the URL is not understood.
    pub fn to(url: &str) -> Result<Self, LocationError> {
        url.parse().map(Self::new)
    }

    /// Opens a pool of at most `size` connections. A database in memory exists once per connection, so
    /// it gets a pool of one, which is kept for good.
    ///
    /// Errors: [`OpenError`] when the first connection cannot be made.
    pub fn pool(&self, size: u32) -> Result<Pool, OpenError> {
        if let DatabaseLocation::File(path) = &self.location {
            create_private(path)
                .map_err(|source| OpenError::File { path: path.display().to_string(), source })?;
        }
        let failed = |reason: String| OpenError::Connect { location: self.to_string(), reason };
        // The pool would try again for as long as it may. A wrong password is better heard of at once.
        self.connect().map_err(|error| match (&error, &self.location) {
            (r2d2::Error::QueryError(query), DatabaseLocation::File(path))
                if Condition::from_query_error(query) == Condition::Damaged =>
            {
                Damaged { path: path.clone(), reason: query.to_string() }.into()
            }
            _ => failed(error.to_string()),
        })?;

        let builder = r2d2::Pool::builder().connection_timeout(CONNECTION_TIMEOUT);
        let builder = match self.location {
            DatabaseLocation::Memory => builder.max_size(1).max_lifetime(None).idle_timeout(None),
            DatabaseLocation::File(_) => {
                builder.max_size(size.max(1)).max_lifetime(None).idle_timeout(None)
            }
            DatabaseLocation::Postgres(_) => builder.max_size(size.max(1)),
        };
        // A file does not hang up; a server does, and its dead connections look whole until they are used.
        let builder =
            builder.test_on_check_out(matches!(self.location, DatabaseLocation::Postgres(_)));
        builder.build(self.clone()).map_err(|error| failed(error.to_string()))
    }

    /// The file of the database, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.location {
            DatabaseLocation::File(path) => Some(path),
            DatabaseLocation::Memory | DatabaseLocation::Postgres(_) => None,
        }
    }

    /// Whether it is at a server.
    pub fn is_server(&self) -> bool {
        matches!(self.location, DatabaseLocation::Postgres(_))
    }

    /// Whether more connections reach the same database.
    pub fn is_shared(&self) -> bool {
        !matches!(self.location, DatabaseLocation::Memory)
    }
}

impl std::fmt::Display for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.location.fmt(f)
    }
}

impl ManageConnection for Connector {
    type Connection = DbConnection;
    type Error = r2d2::Error;

    fn connect(&self) -> Result<DbConnection, r2d2::Error> {
        match &self.location {
            DatabaseLocation::Memory => connect_sqlite(":memory:"),
            DatabaseLocation::File(path) => connect_sqlite(&path.to_string_lossy()),
            DatabaseLocation::Postgres(url) => connect_postgres(url.expose_secret()),
        }
    }

    fn is_valid(&self, conn: &mut DbConnection) -> Result<(), r2d2::Error> {
        conn.ping().map_err(r2d2::Error::QueryError)
    }

    fn has_broken(&self, conn: &mut DbConnection) -> bool {
        // Dropping the connection would drop the database.
        !matches!(self.location, DatabaseLocation::Memory) && conn.is_broken()
    }
}

/// How long a connection waits for the lock of another one, in milliseconds.
const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 5000";

/// A connection by which nothing of a SQLite file is changed, nor of the `-wal` beside it.
///
/// Errors: it cannot be opened so.
pub fn open_to_look(path: &Path) -> ConnectionResult<DbConnection> {
    let invalid = || ConnectionError::BadConnection(format!("{} is no path", path.display()));
    let path = std::path::absolute(path).map_err(|_| invalid())?;
    let mut url = Url::from_file_path(path).map_err(|()| invalid())?;
    url.set_query(Some("mode=ro"));
    let mut conn = SqliteConnection::establish(url.as_str())?;
    conn.batch_execute(BUSY_TIMEOUT).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(DbConnection::Sqlite(conn))
}

fn connect_sqlite(path: &str) -> Result<DbConnection, r2d2::Error> {
    let mut conn = SqliteConnection::establish(path).map_err(r2d2::Error::ConnectionError)?;
    for pragma in [
        // First, since the others may have to wait for a lock too.
        BUSY_TIMEOUT,
        "PRAGMA journal_mode = WAL",
        // A commit is handed to the operating system and not waited for until it is on the disk. It
        // survives the death of the process, which together with the journal of usage is what the
        // ledger promises. A power cut may take the last commits back, and never breaks the file.
        "PRAGMA synchronous = NORMAL",
        "PRAGMA foreign_keys = ON",
    ] {
        conn.batch_execute(pragma).map_err(r2d2::Error::QueryError)?;
    }
    Ok(DbConnection::Sqlite(conn))
}

fn connect_postgres(url: &str) -> Result<DbConnection, r2d2::Error> {
    let mut conn = PgConnection::establish(&bounded(url)).map_err(|error| {
        let reason = presentable(&error.to_string()).to_owned();
        r2d2::Error::ConnectionError(diesel::ConnectionError::BadConnection(reason))
    })?;
    // Nothing waits without a bound: a query nobody waits for any more is ended by the server.
    conn.batch_execute("SET statement_timeout = '10s'; SET client_min_messages = warning")
        .map_err(r2d2::Error::QueryError)?;
    Ok(DbConnection::Postgres(conn))
}

/// What libpq says of a URL that it cannot read, or reads amiss, quotes parts of it, and a password
/// may be among them. What it says of a server it has found does not.
fn presentable(reason: &str) -> &str {
    if reason.starts_with("connection to server") {
        reason.trim_end()
    } else if reason.starts_with("could not translate host name") {
        "the host in its URL is not known"
    } else if reason.contains("SSL support is not compiled in") {
        "its URL asks for TLS (sslmode), which this build does not have: build it with \
         '--features postgres-tls', or leave sslmode out"
    } else {
        "its URL is not valid: percent-encode what is special in user name and password"
    }
}

/// Adds what libpq leaves unbounded: seconds to connect, and milliseconds until a peer that does
/// not answer is given up. What the user has set stays.
fn bounded(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "5"), ("tcp_user_timeout", "10000")] {
        if !url.contains(&format!("{name}=")) {
            let sign = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{sign}{name}={value}");
        }
    }
    url
}

/// Creates the file and its folder, open to their owner alone, unless they are there; a file that is
/// there is closed to others. SQLite gives the files it adds the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // A copy that was put in its place has the mode of whoever made it. The database works as it is for
    // a file that belongs to somebody else.
    let mode = file.metadata()?.mode();
    if mode & 0o077 != 0 && file.set_permissions(Permissions::from_mode(0o600)).is_ok() {
        tracing::warn!(path = %path.display(), "the database file was open to others; it is not any more");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use diesel::{prelude::*, sql_query, sql_types::Integer};

    use super::*;

    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Integer)]
        value: i32,
    }

    #[test]
    fn a_file_and_its_folder_are_open_to_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("deep/data/pool.db");
        let pool = open(&format!("sqlite:{}", file.display()), 2).unwrap();
        pool.get().unwrap().batch_execute("CREATE TABLE t (x)").unwrap();
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        for file in fs::read_dir(file.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[test]
    fn a_file_that_was_put_in_its_place_is_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pool.db");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let pool = open(file.to_str().unwrap(), 1).unwrap();
        pool.get().unwrap().batch_execute("CREATE TABLE t (x)").unwrap();
        for file in fs::read_dir(home.path()).unwrap().map(Result::unwrap) {
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[test]
    fn every_connection_to_a_file_is_set_up() {
        let home = tempfile::tempdir().unwrap();
        let pool = open(home.path().join("pool.db").to_str().unwrap(), 3).unwrap();
        let mut conns: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
        for conn in &mut conns {
            for (pragma, column, expected) in [
                ("synchronous", "synchronous", 1),
                ("foreign_keys", "foreign_keys", 1),
                ("busy_timeout", "timeout", 5000),
            ] {
                let query = format!("SELECT {column} AS value FROM pragma_{pragma}");
                let setting: Setting = sql_query(query).get_result(&mut **conn).unwrap();
                assert_eq!(setting.value, expected, "{pragma}");
            }
        }
        assert!(home.path().join("pool.db-wal").exists(), "there is no write-ahead log");
    }

    #[test]
    fn memory_is_one_connection_that_a_panic_does_not_lose() {
        let pool = open(":memory:", 8).unwrap();
        assert_eq!(pool.max_size(), 1);
        pool.get().unwrap().batch_execute("CREATE TABLE t (x)").unwrap();
        {
            let mut conn = pool.get().unwrap();
            DbConnection::begin_transaction(&mut conn).unwrap();
            conn.batch_execute("DROP TABLE t").unwrap();
            abandon_transactions(&mut conn);
        }
        pool.get().unwrap().batch_execute("INSERT INTO t VALUES (1)").unwrap();
    }

    #[test]
    fn a_server_that_is_not_there_is_reported_without_the_password() {
        let url = "postgres://me:secret@127.0.0.1:1/pool";
        let error = open(url, 1).err().unwrap().to_string();
        assert!(error.contains("database postgres://127.0.0.1:1/pool: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
        for url in ["postgres://me:sec ret@db/pool", "postgres://me:a@secret.invalid:b@db/pool"] {
            let error = open(url, 1).err().unwrap().to_string();
            let reason = error.split_once(": ").unwrap().1;
            assert!(reason.contains("URL") && !reason.contains("sec"), "{error}");
        }
    }

    #[cfg(not(feature = "postgres-tls"))]
    #[test]
    fn who_asks_for_tls_is_told_that_there_is_none() {
        let error = open("postgres://me@127.0.0.1:1/pool?sslmode=require", 1).err().unwrap();
        assert!(error.to_string().contains("'--features postgres-tls'"), "{error}");
    }

    #[test]
    fn bounds_that_the_user_set_stay() {
        assert_eq!(
            bounded("postgres://db/pool?connect_timeout=1"),
            "postgres://db/pool?connect_timeout=1&tcp_user_timeout=10000"
        );
        assert_eq!(
            bounded("postgres://db/pool"),
            "postgres://db/pool?connect_timeout=5&tcp_user_timeout=10000"
        );
    }
}
