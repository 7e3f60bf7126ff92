//! Fresh databases for tests: a file and, when a server is there, one on PostgreSQL.

use std::{
    any::type_name,
    io::{self, Write as _},
    sync::OnceLock,
};

use diesel::{connection::SimpleConnection as _, r2d2::PooledConnection};
use tempfile::TempDir;
use url::Url;

use super::{
    connection::{Connector, Pool, open},
    migrate,
};

/// Connections each test database gets.
pub const POOL_SIZE: u32 = 2;

/// A database of one test, gone with it.
pub struct TestDatabase {
    pub pool: Pool,
    /// Makes more connections.
    pub connector: Connector,
    _keeper: Keeper,
}

/// What has to be cleaned up.
enum Keeper {
    Folder { _folder: TempDir },
    Server { admin: Url, name: String },
}

impl TestDatabase {
    pub fn conn(&self) -> PooledConnection<Connector> {
        self.pool.get().unwrap()
    }

    fn in_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("pool.db").display());
        let pool = open(&url, POOL_SIZE).unwrap();
        let connector = Connector::to(&url).unwrap();
        Self { pool, connector, _keeper: Keeper::Folder { _folder: folder } }
    }

    fn on_server(admin: &Url) -> Self {
        let name = format!("pp_test_{:016x}", rand::random::<u64>());
        execute(admin, &format!("CREATE DATABASE {name}"));
        let mut url = admin.clone();
        url.set_path(&name);
        let pool = open(url.as_str(), POOL_SIZE).unwrap();
        let connector = Connector::to(url.as_str()).unwrap();
        Self { pool, connector, _keeper: Keeper::Server { admin: admin.clone(), name } }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Self::Server { admin, name } = self {
            execute(admin, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// Runs a test on an empty database of each kind. Says so when PostgreSQL is not there.
pub fn on_every_empty_database<F: Fn(&TestDatabase)>(test: F) {
    on_each(type_name::<F>(), &test);
}

/// Runs a test on a migrated database of each kind. Says so when PostgreSQL is not there.
pub fn on_every_database<F: Fn(&TestDatabase)>(test: F) {
    on_each(type_name::<F>(), &|database| {
        migrate::run(&mut database.conn()).unwrap();
        test(database);
    });
}

/// The closure a test hands in bears the name of the test.
fn on_each(closure: &str, test: &dyn Fn(&TestDatabase)) {
    test(&TestDatabase::in_file());
    match server() {
        Some(admin) => test(&TestDatabase::on_server(admin)),
        None => report_skipped(closure),
    }
}

fn report_skipped(closure: &str) {
    let test = closure.trim_end_matches("::{{closure}}");
    assert!(
        std::env::var("REQUIRE_POSTGRES").as_deref() != Ok("1"),
        "REQUIRE_POSTGRES=1, but there is no PostgreSQL for {test}"
    );
    // Not `eprintln!`, which the test harness swallows when a test passes.
    writeln!(io::stderr(), "SKIPPED (no PostgreSQL): {test}").unwrap();
}

fn server() -> Option<&'static Url> {
    static SERVER: OnceLock<Option<Url>> = OnceLock::new();
    let find = || {
        let given = std::env::var("TEST_DATABASE_URL").ok();
        let url = given.as_deref().unwrap_or("postgres://postgres@127.0.0.1:5432/postgres");
        open(url, 1).is_ok().then(|| url.parse().unwrap())
    };
    SERVER.get_or_init(find).as_ref()
}

fn execute(server: &Url, statement: &str) {
    open(server.as_str(), 1).unwrap().get().unwrap().batch_execute(statement).unwrap();
}
