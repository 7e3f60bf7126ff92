//! What can be asked of the database about routes and aliases.

use super::{DbError, DbHandle};
use crate::domain::{pattern::NamePattern, time::Timestamp};

pub use crate::persistence::repo::named::StoredByName;

/// The routes that are stored, or the aliases.
pub struct StoredNames<T> {
    /// By name.
    pub rows: Vec<T>,
    /// The names of those that are there and not understood. To save one would destroy its row.
    pub unreadable: Vec<String>,
}

/// Errors of all: as those of [`DbHandle`].
impl DbHandle {
    /// All of them that are stored.
    pub async fn load_named<T: StoredByName>(&self) -> Result<StoredNames<T>, DbError> {
        let loaded = self.run_patiently(T::load).await?;
        self.report_unreadable(T::TABLE, &loaded.unreadable);
        let unreadable = loaded.unreadable.into_iter().map(|corrupt| corrupt.row).collect();
        Ok(StoredNames { rows: loaded.rows, unreadable })
    }

    /// Makes one, or writes it over the one of the same name.
    pub async fn save_named<T: StoredByName>(
        &self,
        entry: T,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.run(move |conn| entry.save(conn, now)).await
    }

    /// Deletes one. Says whether it was there.
    pub async fn delete_named<T: StoredByName>(&self, name: NamePattern) -> Result<bool, DbError> {
        self.run(move |conn| T::delete(conn, &name)).await
    }
}
