//! Whether a database file is whole, looked at before anything is done with it.

use std::path::{Path, PathBuf};

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};
use thiserror::Error;

use super::connection::DbConnection;

/// Largest file that is read through at each start, in bytes. SQLite checks some 500 MB in a second
/// when they are in memory, and what a disk gives when they are not.
const WHOLE_LIMIT: i64 = 512 * 1024 * 1024;

/// The tables that grow with every request. Where the file is too large, damage in them is found when
/// it is met.
const LARGE_TABLES: [&str; 1] = ["usage_entries"];

/// A database file that is not whole.
#[derive(Debug, Error)]
#[error(
    "the database {path} is damaged ({reason}); nothing was changed in it. Move it away, and with it what \
     stands beside it with -wal or -shm behind its name; then put a backup in its place, or what can still \
     be read: sqlite3 FILE .recover | sqlite3 recovered.db",
    path = path.display()
)]
pub struct Damaged {
    pub path: PathBuf,
    /// SQLite's words.
    pub reason: String,
}

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    message: String,
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// Looks a SQLite file through: all of it, or the small tables of a large one. A server looks after
/// itself.
///
/// Errors: what was found, in SQLite's words, or that it cannot be looked at.
pub fn check(conn: &mut DbConnection) -> Result<(), String> {
    check_up_to(conn, WHOLE_LIMIT)
}

fn check_up_to(conn: &mut DbConnection, whole_limit: i64) -> Result<(), String> {
    let DbConnection::Sqlite(_) = conn else { return Ok(()) };
    findings(conn, whole_limit).map_err(|error| error.to_string()).and_then(|findings| {
        match findings.into_iter().find(|finding| finding != "ok") {
            // What SQLite says may have many lines.
            Some(finding) => Err(finding.lines().collect::<Vec<_>>().join(" ")),
            None => Ok(()),
        }
    })
}

fn findings(conn: &mut DbConnection, whole_limit: i64) -> QueryResult<Vec<String>> {
    let size = "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size";
    let size: Size = sql_query(size).get_result(conn)?;
    let check = if size.bytes > whole_limit {
        let large = LARGE_TABLES.map(|table| format!("'{table}'")).join(", ");
        format!(
            "SELECT quick_check AS message FROM sqlite_master AS tables, pragma_quick_check(tables.name) \
             WHERE tables.type = 'table' AND tables.name NOT IN ({large})"
        )
    } else {
        "SELECT quick_check AS message FROM pragma_quick_check".to_owned()
    };
    let found: Vec<Finding> = sql_query(check).load(conn)?;
    Ok(found.into_iter().map(|finding| finding.message).collect())
}

/// Whether a file is there and has nothing in it.
pub fn is_empty_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.len() == 0)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt as _};

    use diesel::connection::SimpleConnection as _;

    use super::*;
    use crate::persistence::{Condition, connection::open, migrate, repo};

    #[derive(QueryableByName)]
    struct Page {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }

    /// A database in a file, with the page that a table begins with written over.
    fn damaged_at(table: &str) -> (tempfile::TempDir, crate::persistence::connection::Pool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.db");
        let url = path.to_str().unwrap();
        let pool = open(url, 1).unwrap();
        let mut conn = pool.get().unwrap();
        migrate::run(&mut conn).unwrap();
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let query = format!("SELECT rootpage AS number FROM sqlite_master WHERE name = '{table}'");
        let page: Page = sql_query(query).get_result(&mut *conn).unwrap();
        drop((conn, pool));
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let page_size = 4096;
        file.write_all_at(&[0xA5; 4096], page_size * (u64::try_from(page.number).unwrap() - 1))
            .unwrap();
        (folder, open(url, 1).unwrap())
    }

    #[test]
    fn a_whole_file_passes_and_a_damaged_table_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let pool = open(folder.path().join("pool.db").to_str().unwrap(), 1).unwrap();
        let mut conn = pool.get().unwrap();
        assert_eq!(check(&mut conn), Ok(()), "a file of nothing is not whole");
        migrate::run(&mut conn).unwrap();
        assert_eq!(check(&mut conn), Ok(()));
        assert_eq!(check_up_to(&mut conn, 0), Ok(()));
        for table in ["usage_entries", "credentials", "usage_hours", "sqlite_autoindex_providers_1"]
        {
            let (_folder, pool) = damaged_at(table);
            assert!(check(&mut pool.get().unwrap()).is_err(), "{table}");
        }
    }

    #[test]
    fn of_a_large_file_the_small_tables_are_looked_through_and_the_ledger_tells_when_it_is_met() {
        let (_folder, pool) = damaged_at("credentials");
        assert!(check_up_to(&mut pool.get().unwrap(), 0).is_err());

        let (_folder, pool) = damaged_at("usage_entries");
        let mut conn = pool.get().unwrap();
        assert_eq!(check_up_to(&mut conn, 0), Ok(()));
        let error = repo::usage::append(&mut conn, &[repo::usage::tests::entry(1)]).unwrap_err();
        assert_eq!(Condition::from_query_error(&error), Condition::Damaged, "{error}");
    }
}
