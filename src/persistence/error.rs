//! What can go wrong with a query.

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

/// Why a repository function failed.
#[derive(Debug, Error)]
pub enum RepoError {
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}
