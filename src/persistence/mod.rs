//! The database: tables, migrations, and one function per need, each running on SQLite and PostgreSQL.
//!
//! Takes and gives domain values, with secrets as the sealed texts they are stored as: nothing here
//! opens one. Nothing here is async, waits for a person, or decides a rule.

pub mod connection;
mod error;
pub mod integrity;
pub mod migrate;
pub mod presence;
pub mod repo;
pub mod rows;
pub mod schema;
#[cfg(test)]
pub(crate) mod testing;

pub use error::{Condition, Corrupt, Loaded, RepoError};
