//! The database as an actor: queries run on threads of their own, one at a time on each, and the
//! rest of the program awaits them. The only actor that touches `persistence`.
//!
//! Who waits in person is answered within two seconds ([`Patience`]); summaries never take all threads;
//! signs of life have a thread and a connection of their own.
//!
//! Secrets are sealed on the way in and opened on the way out: whoever asks sees domain values.

mod actor;
mod error;
mod handle;
mod patience;
mod probe;
mod routing;
mod secrets;
mod turn;

pub use error::DbError;
pub use handle::{DbHandle, OnRestart, StoredProviders};
pub use patience::Patience;
pub use routing::{StoredByName, StoredNames};

pub use crate::persistence::repo::access_keys::KeysDigest;
