//! A database of one test, what is on the ledger in it, and how it is taken away for a while.

use std::io::{self, Write as _};

use diesel::{connection::SimpleConnection as _, prelude::*, r2d2::PooledConnection};
use providerpool::persistence::{
    connection::{Connector, open},
    schema::usage_entries,
};
use url::Url;

use crate::support::Workplace;

/// Where the ledger is.
pub enum Database {
    /// In the data directory of the workplace.
    Sqlite,
    Postgres {
        server: Url,
        name: String,
    },
}

/// One line of the ledger.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub request_id: String,
    pub outcome: String,
    pub streamed: bool,
    pub input: Option<i64>,
    pub output: Option<i64>,
}

/// While it is there, the database takes nothing.
pub enum Away {
    /// The lock that keeps everybody else from writing.
    Sqlite {
        _lock: PooledConnection<Connector>,
    },
    Postgres {
        server: Url,
        name: String,
    },
}

impl Database {
    /// A fresh database on the PostgreSQL server of the tests. `None`, and a word about it, when there
    /// is no server.
    pub fn on_postgres(test: &str) -> Option<Self> {
        let given = std::env::var("TEST_DATABASE_URL").ok();
        let url = given.as_deref().unwrap_or("postgres://postgres@127.0.0.1:5432/postgres");
        if open(url, 1).is_err() {
            assert!(
                std::env::var("REQUIRE_POSTGRES").as_deref() != Ok("1"),
                "REQUIRE_POSTGRES=1, but there is no PostgreSQL for {test}"
            );
            // Not `eprintln!`, which the test harness swallows when a test passes.
            let mut stderr = io::stderr();
            writeln!(stderr, "SKIPPED (no PostgreSQL): {test}").unwrap();
            return None;
        }
        let name = format!("pp_test_{:016x}", rand::random::<u64>());
        let server: Url = url.parse().unwrap();
        execute(&server, &format!("CREATE DATABASE {name}"));
        Some(Self::Postgres { server, name })
    }

    /// The `[database]` section that names it.
    pub fn section(&self) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres { server, name } => {
                format!("[database]\nurl = \"{}\"\n", postgres_url(server, name))
            }
        }
    }

    fn connect(&self, workplace: &Workplace) -> PooledConnection<Connector> {
        let url = match self {
            Self::Sqlite => workplace.path("data/providerpool.db").display().to_string(),
            Self::Postgres { server, name } => postgres_url(server, name),
        };
        open(&url, 1).unwrap().get().unwrap()
    }

    pub fn rows(&self, workplace: &Workplace) -> Vec<Row> {
        type Columns = (String, String, bool, Option<i64>, Option<i64>);
        let rows: Vec<Columns> = usage_entries::table
            .select((
                usage_entries::request_id,
                usage_entries::outcome,
                usage_entries::streamed,
                usage_entries::tokens_input,
                usage_entries::tokens_output,
            ))
            .load(&mut self.connect(workplace))
            .unwrap();
        let row = |(request_id, outcome, streamed, input, output)| Row {
            request_id,
            outcome,
            streamed,
            input,
            output,
        };
        rows.into_iter().map(row).collect()
    }

    /// Takes it away until what this gives is dropped.
    pub fn take_away(&self, workplace: &Workplace) -> Away {
        match self {
            Self::Sqlite => {
                let mut lock = self.connect(workplace);
                lock.batch_execute("BEGIN EXCLUSIVE").unwrap();
                Away::Sqlite { _lock: lock }
            }
            Self::Postgres { server, name } => {
                execute(server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
                execute(
                    server,
                    &format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = '{name}'"
                    ),
                );
                Away::Postgres { server: server.clone(), name: name.clone() }
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            execute(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            execute(server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        }
    }
}

fn postgres_url(server: &Url, name: &str) -> String {
    let mut url = server.clone();
    url.set_path(name);
    url.into()
}

fn execute(server: &Url, statement: &str) {
    open(server.as_str(), 1).unwrap().get().unwrap().batch_execute(statement).unwrap();
}
