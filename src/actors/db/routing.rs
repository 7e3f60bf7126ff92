//! What can be asked of the database about routes and aliases.

use super::{DbError, DbHandle};
use crate::{
    domain::{
        pattern::NamePattern,
        route::{Alias, Route},
        time::Timestamp,
    },
    persistence::{
        Corrupt,
        repo::{aliases, routes},
    },
};

/// The routes that are stored.
pub struct StoredRoutes {
    /// By name.
    pub rows: Vec<Route>,
    /// The names of those that are there and not understood. To save one would destroy its row.
    pub unreadable: Vec<String>,
}

/// The aliases that are stored.
pub struct StoredAliases {
    /// By name.
    pub rows: Vec<Alias>,
    /// The names of those that are there and not understood. To save one would destroy its row.
    pub unreadable: Vec<String>,
}

fn names(unreadable: Vec<Corrupt>) -> Vec<String> {
    unreadable.into_iter().map(|corrupt| corrupt.row).collect()
}

/// Errors of all: as those of [`DbHandle`].
impl DbHandle {
    /// All routes that are stored.
    pub async fn load_routes(&self) -> Result<StoredRoutes, DbError> {
        let loaded = self.run(routes::load).await?;
        self.report_unreadable("routes", &loaded.unreadable);
        Ok(StoredRoutes { rows: loaded.rows, unreadable: names(loaded.unreadable) })
    }

    /// Makes a route, or writes it over the one of the same name.
    pub async fn save_route(&self, route: Route, now: Timestamp) -> Result<(), DbError> {
        self.run(move |conn| routes::save(conn, &route, now)).await
    }

    /// Deletes a route. Says whether it was there.
    pub async fn delete_route(&self, name: NamePattern) -> Result<bool, DbError> {
        self.run(move |conn| routes::delete(conn, &name)).await
    }

    /// All aliases that are stored.
    pub async fn load_aliases(&self) -> Result<StoredAliases, DbError> {
        let loaded = self.run(aliases::load).await?;
        self.report_unreadable("model_aliases", &loaded.unreadable);
        Ok(StoredAliases { rows: loaded.rows, unreadable: names(loaded.unreadable) })
    }

    /// Makes an alias, or writes it over the one of the same name.
    pub async fn save_alias(&self, alias: Alias, now: Timestamp) -> Result<(), DbError> {
        self.run(move |conn| aliases::save(conn, &alias, now)).await
    }

    /// Deletes an alias. Says whether it was there.
    pub async fn delete_alias(&self, name: NamePattern) -> Result<bool, DbError> {
        self.run(move |conn| aliases::delete(conn, &name)).await
    }
}
