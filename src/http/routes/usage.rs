//! `GET /api/v1/usage`: what was used, by provider and model.

use std::time::Duration;

use actix_web::web::{self, Data, Json, Query, ServiceConfig};
use serde::{Deserialize, Serialize};

use crate::{
    actors::{clock::now, usage_tracker::SummarizeUsage},
    domain::{
        time::Timestamp,
        usage::{UsageRange, UsageTotals},
    },
    http::{
        actors::{Actors, ask},
        problem::{Failure, Management},
    },
};

pub fn configure(services: &mut ServiceConfig) {
    services.route("/usage", web::get().to(summary));
}

/// How far back a summary reaches from now.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Day,
    /// Seven days.
    #[default]
    Week,
    /// Thirty days.
    Month,
    All,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Default: week.
    #[serde(default)]
    #[param(inline)]
    period: Period,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UsageSummary {
    period: Period,
    /// The first instant covered. Absent for `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// The first instant not covered any more.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Sorted by provider, then by the model that was asked for.
    totals: Vec<UsageTotals>,
}

/// Sums up the ledger. What was answered some milliseconds ago is in it; what was answered in this
/// very moment may still be on its way.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = UsageSummary), (status = 503, description = "The database is away; the entries are safe")))]
pub async fn summary(
    actors: Data<Actors>,
    query: Query<UsageQuery>,
) -> Result<Json<UsageSummary>, Failure<Management>> {
    const DAY: Duration = Duration::from_hours(24);
    let period = query.period;
    // The end is not covered, and an entry of this very millisecond is to be.
    let until = now().plus(Duration::from_millis(1));
    let from = match period {
        Period::Day => Some(until.minus(DAY)),
        Period::Week => Some(until.minus(DAY * 7)),
        Period::Month => Some(until.minus(DAY * 30)),
        Period::All => None,
    };
    let range = UsageRange { from: from.unwrap_or(Timestamp::from_millis(0)), until };
    let totals = ask(&actors.usage_tracker, SummarizeUsage(range)).await??;
    Ok(Json(UsageSummary { period, from, until, totals }))
}
