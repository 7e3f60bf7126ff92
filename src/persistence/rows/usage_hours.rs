//! Rows of `usage_hours`, and sums over them.

use diesel::{
    backend::Backend,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Text},
};

use super::{MAX_TOKENS, big_integer};
use crate::{
    domain::{
        id::{ModelName, ProviderId},
        usage::{Outcome, TokenUsage, UsageEntry, UsageTotals},
    },
    persistence::Corrupt,
};

/// What one hour adds up to for one provider and model.
pub struct UsageHourRow<'a> {
    hour: i64,
    provider_id: &'a str,
    model: &'a str,
    requests: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    unreported: i64,
    estimated: i64,
    tokens_input: i64,
    tokens_cache_read: i64,
    tokens_cache_write_5m: i64,
    tokens_cache_write_1h: i64,
    tokens_output: i64,
    completed_ms: i64,
}

impl<'a> UsageHourRow<'a> {
    /// Nothing yet. No provider is the empty text.
    pub fn new(hour: i64, provider_id: &'a str, model: &'a str) -> Self {
        Self {
            hour,
            provider_id,
            model,
            requests: 0,
            completed: 0,
            failed: 0,
            cancelled: 0,
            unreported: 0,
            estimated: 0,
            tokens_input: 0,
            tokens_cache_read: 0,
            tokens_cache_write_5m: 0,
            tokens_cache_write_1h: 0,
            tokens_output: 0,
            completed_ms: 0,
        }
    }

    /// Counts an entry as it is stored.
    pub fn add(&mut self, entry: &UsageEntry) {
        self.requests += 1;
        self.estimated += i64::from(entry.usage_estimated);
        match entry.outcome {
            Outcome::Completed => {
                self.completed += 1;
                self.unreported += i64::from(entry.tokens.is_none());
                let took = big_integer(entry.duration_ms);
                self.completed_ms = self.completed_ms.saturating_add(took);
            }
            Outcome::Failed => self.failed += 1,
            Outcome::Cancelled => self.cancelled += 1,
        }
        if let Some(tokens) = &entry.tokens {
            let count = |tokens: u64| big_integer(tokens.min(MAX_TOKENS));
            self.tokens_input += count(tokens.input);
            self.tokens_cache_read += count(tokens.cache_read);
            self.tokens_cache_write_5m += count(tokens.cache_write_5m);
            self.tokens_cache_write_1h += count(tokens.cache_write_1h);
            self.tokens_output += count(tokens.output);
        }
    }

    /// What is added up, and the columns it stands in.
    fn sums(&self) -> [(&'static str, &i64); 12] {
        [
            ("requests", &self.requests),
            ("completed", &self.completed),
            ("failed", &self.failed),
            ("cancelled", &self.cancelled),
            ("unreported", &self.unreported),
            ("estimated", &self.estimated),
            ("tokens_input", &self.tokens_input),
            ("tokens_cache_read", &self.tokens_cache_read),
            ("tokens_cache_write_5m", &self.tokens_cache_write_5m),
            ("tokens_cache_write_1h", &self.tokens_cache_write_1h),
            ("tokens_output", &self.tokens_output),
            ("completed_ms", &self.completed_ms),
        ]
    }
}

/// Adds a row to what its hour has.
///
/// Written by hand: Diesel never keeps a statement with `DO UPDATE` prepared, and to prepare this one took
/// half of what a commit of a few entries costs.
pub struct AddToHour<'r>(pub &'r UsageHourRow<'r>);

impl QueryId for AddToHour<'_> {
    type QueryId = AddToHour<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<D> QueryFragment<D> for AddToHour<'_>
where
    D: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    i64: ToSql<BigInt, D>,
    str: ToSql<Text, D>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, D>) -> QueryResult<()> {
        let row = self.0;
        out.push_sql("INSERT INTO usage_hours (hour, provider_id, model");
        for (column, _) in row.sums() {
            out.push_sql(", ");
            out.push_sql(column);
        }
        out.push_sql(") VALUES (");
        out.push_bind_param::<BigInt, _>(&row.hour)?;
        for text in [row.provider_id, row.model] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        for (_, sum) in row.sums() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(sum)?;
        }
        let mut before = ") ON CONFLICT (hour, provider_id, model) DO UPDATE SET ";
        for (column, _) in row.sums() {
            for words in [before, column, " = usage_hours.", column, " + excluded.", column] {
                out.push_sql(words);
            }
            before = ", ";
        }
        Ok(())
    }
}

impl<C> RunQueryDsl<C> for AddToHour<'_> {}

/// What a range of time adds up to for one provider and model.
#[derive(QueryableByName)]
pub struct UsageSumRow {
    #[diesel(sql_type = Text)]
    provider_id: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    completed: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    cancelled: i64,
    #[diesel(sql_type = BigInt)]
    unreported: i64,
    #[diesel(sql_type = BigInt)]
    estimated: i64,
    #[diesel(sql_type = BigInt)]
    tokens_input: i64,
    #[diesel(sql_type = BigInt)]
    tokens_cache_read: i64,
    #[diesel(sql_type = BigInt)]
    tokens_cache_write_5m: i64,
    #[diesel(sql_type = BigInt)]
    tokens_cache_write_1h: i64,
    #[diesel(sql_type = BigInt)]
    tokens_output: i64,
    #[diesel(sql_type = BigInt)]
    completed_ms: i64,
}

impl TryFrom<UsageSumRow> for UsageTotals {
    type Error = Corrupt;

    fn try_from(row: UsageSumRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt {
            table: "usage_hours",
            row: format!("{}/{}", row.provider_id, row.model),
            column,
        };
        let unsigned = |column, sum: i64| u64::try_from(sum).map_err(|_| corrupt(column));
        let provider_id = match row.provider_id.as_str() {
            "" => None,
            id => Some(ProviderId::parse(id).map_err(|_| corrupt("provider_id"))?),
        };
        let requests = unsigned("requests", row.requests)?;
        let completed = unsigned("completed", row.completed)?;
        let failed = unsigned("failed", row.failed)?;
        let cancelled = unsigned("cancelled", row.cancelled)?;
        // An entry ended in none of the ways that there are.
        if completed + failed + cancelled != requests {
            return Err(corrupt("requests"));
        }
        Ok(Self {
            provider_id,
            model: ModelName::parse(&row.model).map_err(|_| corrupt("model"))?,
            requests,
            completed,
            failed,
            cancelled,
            unreported: unsigned("unreported", row.unreported)?,
            estimated: unsigned("estimated", row.estimated)?,
            tokens: TokenUsage {
                input: unsigned("tokens_input", row.tokens_input)?,
                cache_read: unsigned("tokens_cache_read", row.tokens_cache_read)?,
                cache_write_5m: unsigned("tokens_cache_write_5m", row.tokens_cache_write_5m)?,
                cache_write_1h: unsigned("tokens_cache_write_1h", row.tokens_cache_write_1h)?,
                output: unsigned("tokens_output", row.tokens_output)?,
            },
            mean_duration_ms: unsigned("completed_ms", row.completed_ms)?.checked_div(completed),
        })
    }
}
