//! Databases of one test each: a file, or one on PostgreSQL, gone with the test.

use std::{any::type_name, sync::OnceLock};

use diesel::connection::SimpleConnection as _;
use providerpool::persistence::connection::open;
use tokio::sync::oneshot;
use url::Url;

use super::{tell, within};

/// Where a test's application keeps its data, besides its folder.
#[derive(Default)]
pub enum Database {
    /// The SQLite file in the folder.
    #[default]
    File,
    Server {
        admin: Url,
        name: String,
        _guard: oneshot::Sender<()>,
    },
}

impl Database {
    /// Also says when it is gone, which is after the application has stopped.
    fn on_server(admin: &Url) -> (Self, oneshot::Receiver<()>) {
        let name = format!("pp_api_{:016x}", rand::random::<u64>());
        execute(admin, &format!("CREATE DATABASE {name}"));
        let (guard, gone) = oneshot::channel();
        (Self::Server { admin: admin.clone(), name, _guard: guard }, gone)
    }

    /// The address, when it is not the usual one.
    pub fn url(&self) -> Option<String> {
        let Self::Server { admin, name, .. } = self else { return None };
        let mut url = admin.clone();
        url.set_path(name);
        Some(url.into())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Server { admin, name, .. } = self {
            execute(admin, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// Runs a test on each kind of database. Says so when PostgreSQL is not there.
pub async fn on_every_database<F: AsyncFn(Database)>(test: F) {
    test(Database::File).await;
    match server() {
        Some(admin) => {
            let (database, gone) = Database::on_server(admin);
            test(database).await;
            assert!(within("the end of the database", gone).await.is_err());
        }
        None => report_skipped(type_name::<F>()),
    }
}

/// The closure a test hands in bears the name of the test.
fn report_skipped(closure: &str) {
    let test = closure.replace("::{{closure}}", "");
    assert!(
        std::env::var("REQUIRE_POSTGRES").as_deref() != Ok("1"),
        "REQUIRE_POSTGRES=1, but there is no PostgreSQL for {test}"
    );
    tell(&format!("SKIPPED (no PostgreSQL): {test}"));
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
