//! Rows of `model_aliases`.

use diesel::prelude::*;

use crate::{
    domain::{pattern::NamePattern, provider::Origin, route::Alias, time::Timestamp},
    persistence::{Corrupt, schema::model_aliases},
};

/// One alias made by the API.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = model_aliases, primary_key(name))]
pub struct AliasRow {
    name: String,
    model: String,
    #[diesel(skip_update)]
    created_at: i64,
    updated_at: i64,
}

impl AliasRow {
    /// An alias as it is made or changed now.
    pub fn new(alias: &Alias, now: Timestamp) -> Self {
        Self {
            name: alias.name.to_string(),
            model: alias.model.to_string(),
            created_at: now.as_millis(),
            updated_at: now.as_millis(),
        }
    }
}

impl TryFrom<AliasRow> for Alias {
    type Error = Corrupt;

    fn try_from(row: AliasRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt { table: "model_aliases", row: row.name.clone(), column };
        Ok(Self {
            name: NamePattern::parse(&row.name).map_err(|_| corrupt("name"))?,
            model: NamePattern::parse(&row.model).map_err(|_| corrupt("model"))?,
            origin: Origin::Api,
        })
    }
}
