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

/// Why a repository function failed.
#[derive(Debug, Error)]
pub enum RepoError {
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}
