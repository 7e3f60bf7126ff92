//! Why the database did not do what it was asked.

use diesel::result::Error;
use thiserror::Error;

use crate::persistence::{Condition, Corrupt, RepoError};

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DbError {
    /// Nothing was done. Asking again later may help.
    #[error("too many queries are waiting for the database")]
    Busy,
    /// Nothing was done, nor will be: its turn did not come in time.
    #[error("the database did not get to it in time")]
    Late,
    /// It had begun. Whether it was done, or will be, is not known.
    #[error("the database did not answer in time")]
    Timeout,
    /// Others had it for too long. Nothing was done.
    #[error("the database is taken: {0}")]
    Taken(String),
    /// Trying again does not help: somebody has to restore it.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("there is no room left in the database: {0}")]
    Full(String),
    #[error("the database actor has stopped")]
    Stopped,
    /// What the query had begun was rolled back.
    #[error("the database actor panicked in a query")]
    Panicked,
    #[error("there is no connection to the database: {0}")]
    Connection(String),
    #[error("a query failed: {0}")]
    Query(String),
    #[error("{table}.{column} of row {row:?} holds a value that is not understood")]
    Corrupt { table: &'static str, row: String, column: &'static str },
    /// One that counts as equal is there already.
    #[error("it is there already")]
    Duplicate,
    /// A secret that cannot be read cannot be stored anew.
    #[error("the secret is sealed under key {key_id}, which is not here")]
    Locked { key_id: String },
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        match Condition::from_query_error(&error) {
            Condition::Duplicate => Self::Duplicate,
            Condition::Gone => Self::Connection(said),
            Condition::Taken => Self::Taken(said),
            Condition::Damaged => Self::Damaged(said),
            Condition::Full => Self::Full(said),
            Condition::Other => Self::Query(said),
        }
    }
}

impl From<Corrupt> for DbError {
    fn from(Corrupt { table, row, column }: Corrupt) -> Self {
        Self::Corrupt { table, row, column }
    }
}

impl From<RepoError> for DbError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Query(error) => error.into(),
            RepoError::Corrupt(corrupt) => corrupt.into(),
        }
    }
}
