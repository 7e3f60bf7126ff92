//! Rows of `routes`.

use diesel::prelude::*;

use super::{cooling_json, integer, natural, parse_cooling};
use crate::{
    domain::{
        pattern::NamePattern,
        provider::Origin,
        route::{Route, Strategy},
        time::Timestamp,
    },
    persistence::{Corrupt, schema::routes},
};

/// One route made by the API.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = routes, primary_key(name), treat_none_as_null = true)]
pub struct RouteRow {
    name: String,
    /// JSON.
    targets: String,
    strategy: Option<String>,
    /// JSON.
    fallbacks: String,
    hedge: bool,
    across_tiers: bool,
    attempt_timeout_ms: Option<i32>,
    /// JSON.
    cooling: Option<String>,
    #[diesel(skip_update)]
    created_at: i64,
    updated_at: i64,
}

impl RouteRow {
    /// A route as it is made or changed now.
    pub fn new(route: &Route, now: Timestamp) -> Self {
        let json = "names and numbers are JSON";
        Self {
            name: route.name.to_string(),
            targets: serde_json::to_string(&route.targets).expect(json),
            strategy: route.strategy.map(|strategy| strategy.as_str().to_owned()),
            fallbacks: serde_json::to_string(&route.fallbacks).expect(json),
            hedge: route.hedge,
            across_tiers: route.across_tiers,
            attempt_timeout_ms: route.attempt_timeout_ms.map(integer),
            cooling: route.cooling.as_ref().map(cooling_json),
            created_at: now.as_millis(),
            updated_at: now.as_millis(),
        }
    }
}

impl TryFrom<RouteRow> for Route {
    type Error = Corrupt;

    fn try_from(row: RouteRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt { table: "routes", row: row.name.clone(), column };
        let parse = |word: &str| Strategy::parse(word).ok_or_else(|| corrupt("strategy"));
        Ok(Self {
            name: NamePattern::parse(&row.name).map_err(|_| corrupt("name"))?,
            targets: serde_json::from_str(&row.targets).map_err(|_| corrupt("targets"))?,
            strategy: row.strategy.as_deref().map(parse).transpose()?,
            fallbacks: serde_json::from_str(&row.fallbacks).map_err(|_| corrupt("fallbacks"))?,
            hedge: row.hedge,
            across_tiers: row.across_tiers,
            attempt_timeout_ms: natural(row.attempt_timeout_ms)
                .map_err(|_| corrupt("attempt_timeout_ms"))?,
            cooling: parse_cooling(row.cooling).map_err(|_| corrupt("cooling"))?,
            origin: Origin::Api,
        })
    }
}
