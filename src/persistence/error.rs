//! What can go wrong with a query.

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use thiserror::Error;

/// A stored value that cannot be what the program wrote. Never replaced by a default: somebody
/// has to look at it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{table}.{column} of row {row:?} holds a value that is not understood")]
pub struct Corrupt {
    pub table: &'static str,
    pub row: String,
    pub column: &'static str,
}

/// What a table holds: one row that is not understood keeps nobody from the others.
#[derive(Debug)]
pub struct Loaded<T> {
    pub rows: Vec<T>,
    /// One for each row that is not among `rows`.
    pub unreadable: Vec<Corrupt>,
}

impl<T> FromIterator<Result<T, Corrupt>> for Loaded<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, Corrupt>>>(read: I) -> Self {
        let mut loaded = Self { rows: Vec::new(), unreadable: Vec::new() };
        for row in read {
            match row {
                Ok(row) => loaded.rows.push(row),
                Err(corrupt) => loaded.unreadable.push(corrupt),
            }
        }
        loaded
    }
}

/// What a failed query says of the state of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// One that counts as equal is there already.
    Duplicate,
    /// The connection is gone.
    Gone,
    /// Others had it for as long as the query might wait, or the query took longer than it may. Nothing
    /// was done.
    Taken,
    /// The file is not a database any more, or parts of it are not.
    Damaged,
    /// There is no room left for what was to be written.
    Full,
    /// None of these: the query itself was at fault.
    Other,
}

impl Condition {
    /// Diesel passes on the words and not the codes of what it has no kind for.
    ///
    /// Source: `sqlite3ErrStr` in SQLite's `main.c`, `sqlite3CorruptSchema` in its `prepare.c`; PostgreSQL's
    /// `postgres.c` and `md.c`, in English. Read 2026-11-29.
    pub fn from_query_error(error: &QueryError) -> Self {
        let QueryError::DatabaseError(kind, said) = error else { return Self::Other };
        match kind {
            DatabaseErrorKind::UniqueViolation => return Self::Duplicate,
            DatabaseErrorKind::ClosedConnection => return Self::Gone,
            _ => {}
        }
        let said = said.message();
        let begins = |words: &[&str]| words.iter().any(|word| said.starts_with(word));
        if begins(&["database is locked", "database table is locked", "canceling statement due to"])
        {
            Self::Taken
        } else if begins(&[
            "database disk image is malformed",
            "file is not a database",
            "malformed database schema",
        ]) {
            Self::Damaged
        } else if begins(&["database or disk is full"]) || said.ends_with("No space left on device")
        {
            Self::Full
        } else {
            Self::Other
        }
    }
}

/// Why a repository function failed.
#[derive(Debug, Error)]
pub enum RepoError {
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}
