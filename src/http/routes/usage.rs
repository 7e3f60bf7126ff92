//! `GET /api/v1/usage`: what was used, by provider and by the model that answered.

use std::time::Duration;

use actix_web::web::{Data, Json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    actors::{clock::now, usage_tracker::SummarizeUsage},
    domain::{
        time::Timestamp,
        usage::{UsagePlace, UsageQuestion, UsageRange, UsageTotals},
    },
    http::{
        actors::{Actors, ask_patiently},
        endpoint::{Endpoint, endpoint},
        paging::checked_limit,
        problem::{ErrorResponse, Management, Problem},
        query::Query,
    },
};

pub fn endpoints() -> Vec<Endpoint> {
    vec![endpoint!(summary)]
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
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Default: week.
    #[serde(default)]
    #[param(inline)]
    period: Period,
    /// Most totals to answer with, 1 to 1000. Default: 100.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Where a page begins, and when the range of all pages ends: they are sums of the same time.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cursor {
    until: i64,
    after: UsagePlace,
}

impl Cursor {
    fn into_text(self) -> String {
        let json = serde_json::to_vec(&self).expect("names are texts, and so JSON");
        URL_SAFE_NO_PAD.encode(json)
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Problem::bad_request("cursor: it is not one of ours; begin again"))
    }
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
    /// Sorted by provider, then by the model that answered.
    totals: Vec<UsageTotals>,
    /// Where the next page begins. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Sums up the ledger, by provider and by the model that answered. What was answered some milliseconds ago is in it; what was answered in this
/// very moment may still be on its way. Totals are kept longer than the entries that they sum up:
/// before the first of these, the period begins with the next full hour.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = UsageSummary), (status = 503, description = "The database is away; the entries are safe")))]
pub async fn summary(
    actors: Data<Actors>,
    query: Query<UsageQuery>,
) -> Result<Json<UsageSummary>, ErrorResponse<Management>> {
    const DAY: Duration = Duration::from_hours(24);
    let period = query.period;
    let limit = checked_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::parse).transpose()?;
    let (until, after) = match cursor {
        Some(cursor) => (Timestamp::from_millis(cursor.until), Some(cursor.after)),
        // The end is not covered, and an entry of this very millisecond is to be.
        None => (now().plus(Duration::from_millis(1)), None),
    };
    let from = match period {
        Period::Day => Some(until.minus(DAY)),
        Period::Week => Some(until.minus(DAY * 7)),
        Period::Month => Some(until.minus(DAY * 30)),
        Period::All => None,
    };
    let range = UsageRange { from: from.unwrap_or(Timestamp::from_millis(0)), until };
    // One more than is answered tells whether there are more.
    let question = UsageQuestion { range, after, limit: limit + 1 };
    let mut totals = ask_patiently(&actors.usage_tracker, SummarizeUsage(question)).await??;
    let is_last = totals.len() <= limit;
    totals.truncate(limit);
    let last = totals.last().filter(|_| !is_last).map(UsageTotals::place);
    let next_cursor = last.map(|after| Cursor { until: until.as_millis(), after }.into_text());
    Ok(Json(UsageSummary { period, from, until, totals, next_cursor }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelName;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_refused() {
        let cursor = || Cursor {
            until: 7,
            after: UsagePlace { provider_id: None, model: ModelName::parse("a/b?c").unwrap() },
        };
        let text = cursor().into_text();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(Cursor::parse(&text).unwrap(), cursor());
        for wrong in ["", "acme", &text[1..]] {
            assert!(Cursor::parse(wrong).is_err(), "{wrong}");
        }
    }
}
