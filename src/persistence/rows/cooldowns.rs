//! Rows of `cooldowns`.

use diesel::prelude::*;

use super::integer;
use crate::{
    domain::{
        cooldown::{Cooldown, CooldownScope},
        failure::FailureClass,
        id::{ModelName, ProviderId},
        time::Timestamp,
    },
    persistence::{Corrupt, schema::cooldowns},
};

/// One cooldown. It is found by a text made from its scope, since parts of a scope may be absent.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = cooldowns, primary_key(scope_key), treat_none_as_null = true)]
pub struct CooldownRow {
    scope_key: String,
    provider_id: String,
    credential_id: Option<String>,
    model: Option<String>,
    cause: String,
    status: Option<i32>,
    started_at: i64,
    until: i64,
    strikes: i32,
}

/// The text a scope is found by: a JSON array of its parts, so that no two scopes share one.
pub fn scope_key(scope: &CooldownScope) -> String {
    serde_json::to_string(&(scope.provider(), scope.credential(), scope.model()))
        .expect("ids are texts, and so JSON")
}

impl From<&Cooldown> for CooldownRow {
    fn from(cooldown: &Cooldown) -> Self {
        let scope = &cooldown.scope;
        Self {
            scope_key: scope_key(scope),
            provider_id: scope.provider().to_string(),
            credential_id: scope.credential().map(ToString::to_string),
            model: scope.model().map(ToString::to_string),
            cause: cooldown.cause.as_str().to_owned(),
            status: cooldown.status.map(i32::from),
            started_at: cooldown.started_at.as_millis(),
            until: cooldown.until.as_millis(),
            strikes: integer(cooldown.strikes),
        }
    }
}

impl TryFrom<CooldownRow> for Cooldown {
    type Error = Corrupt;

    fn try_from(row: CooldownRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt { table: "cooldowns", row: row.scope_key.clone(), column };
        let provider = ProviderId::parse(&row.provider_id).map_err(|_| corrupt("provider_id"))?;
        let model = row.model.as_deref().map(ModelName::parse).transpose();
        let model = model.map_err(|_| corrupt("model"))?;
        let status = row.status.map(u16::try_from).transpose();
        Ok(Self {
            scope: CooldownScope::from_parts(
                provider,
                row.credential_id.clone().map(Into::into),
                model,
            ),
            cause: FailureClass::parse(&row.cause).ok_or_else(|| corrupt("cause"))?,
            status: status.map_err(|_| corrupt("status"))?,
            started_at: Timestamp::from_millis(row.started_at),
            until: Timestamp::from_millis(row.until),
            strikes: u32::try_from(row.strikes).map_err(|_| corrupt("strikes"))?,
        })
    }
}
