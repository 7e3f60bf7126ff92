//! The database as an actor: queries run on threads of their own, one at a time on each, and the
//! rest of the program awaits them. The only actor that touches `persistence`.
//!
//! Secrets are sealed on the way in and opened on the way out: whoever asks sees domain values.

mod actor;
mod error;
mod handle;
mod routing;
mod secrets;

pub use error::DbError;
pub use handle::{DbHandle, OnRestart, StoredProviders};
pub use routing::{StoredByName, StoredNames};
