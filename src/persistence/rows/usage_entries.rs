//! Rows of `usage_entries`.
#![allow(clippy::ref_option_ref, reason = "`Insertable` makes such references")]

use diesel::{
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Integer, Nullable, Text},
    sqlite::Sqlite,
};

use super::{big_integer, integer};
use crate::{
    domain::{
        failure::FailureClass,
        id::{CredentialId, ModelName, ProviderId},
        usage::UsageEntry,
    },
    persistence::schema::usage_entries,
};

/// More tokens of a class than any request can use, about 10¹². What claims more is stored as
/// this, so that eight million liars still do not make a sum overflow.
pub const MAX_TOKENS: u64 = 1 << 40;

/// One line of the ledger, on its way in.
#[derive(Insertable)]
// Every row then has every column, and many can be inserted by one statement that is prepared once.
#[diesel(table_name = usage_entries, treat_none_as_default_value = false)]
pub struct UsageEntryRow<'a> {
    request_id: String,
    at: i64,
    client_key_id: &'a str,
    model: &'a str,
    provider_id: Option<&'a str>,
    upstream_model: Option<&'a str>,
    credential_id: Option<&'a str>,
    outcome: &'static str,
    failure: Option<&'static str>,
    streamed: bool,
    attempts: i32,
    tokens_input: Option<i64>,
    tokens_cache_read: Option<i64>,
    tokens_cache_write_5m: Option<i64>,
    tokens_cache_write_1h: Option<i64>,
    tokens_output: Option<i64>,
    first_event_ms: Option<i64>,
    duration_ms: i64,
    usage_estimated: bool,
}

impl<'a> From<&'a UsageEntry> for UsageEntryRow<'a> {
    fn from(entry: &'a UsageEntry) -> Self {
        let tokens = entry.tokens.as_ref();
        let count = |tokens: u64| big_integer(tokens.min(MAX_TOKENS));
        Self {
            request_id: entry.request_id.to_string(),
            at: entry.at.as_millis(),
            client_key_id: entry.client_key_id.as_str(),
            model: entry.model.as_str(),
            provider_id: entry.provider_id.as_ref().map(ProviderId::as_str),
            upstream_model: entry.upstream_model.as_ref().map(ModelName::as_str),
            credential_id: entry.credential_id.as_ref().map(CredentialId::as_str),
            outcome: entry.outcome.as_str(),
            failure: entry.failure.map(FailureClass::as_str),
            streamed: entry.streamed,
            attempts: integer(entry.attempts),
            tokens_input: tokens.map(|tokens| count(tokens.input)),
            tokens_cache_read: tokens.map(|tokens| count(tokens.cache_read)),
            tokens_cache_write_5m: tokens.map(|tokens| count(tokens.cache_write_5m)),
            tokens_cache_write_1h: tokens.map(|tokens| count(tokens.cache_write_1h)),
            tokens_output: tokens.map(|tokens| count(tokens.output)),
            first_event_ms: entry.first_event_ms.map(big_integer),
            duration_ms: big_integer(entry.duration_ms),
            usage_estimated: entry.usage_estimated,
        }
    }
}

/// Inserts rows on SQLite; one whose request id is there already changes nothing.
///
/// Written by hand, since this is most of what the database costs a request: Diesel's own statement
/// with `ON CONFLICT` is put into words each time it is run, to find the one that was prepared, which
/// took about as long as SQLite's own work.
pub struct InsertNew<'r, const ROWS: usize>(pub &'r [UsageEntryRow<'r>; ROWS]);

impl<const ROWS: usize> QueryId for InsertNew<'_, ROWS> {
    type QueryId = InsertNew<'static, ROWS>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const ROWS: usize> QueryFragment<Sqlite> for InsertNew<'_, ROWS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO usage_entries (request_id, at, client_key_id, model, provider_id, \
             upstream_model, credential_id, outcome, failure, streamed, attempts, tokens_input, \
             tokens_cache_read, tokens_cache_write_5m, tokens_cache_write_1h, tokens_output, \
             first_event_ms, duration_ms, usage_estimated) VALUES ",
        );
        let mut before = "(";
        for row in self.0 {
            out.push_sql(before);
            row.bind(&mut out)?;
            before = "), (";
        }
        out.push_sql(") ON CONFLICT (request_id) DO NOTHING");
        Ok(())
    }
}

impl<const ROWS: usize> RunQueryDsl<SqliteConnection> for InsertNew<'_, ROWS> {}

impl UsageEntryRow<'_> {
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Binds every column, in the order in which [`InsertNew`] names them.
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_bind_param::<Text, _>(&self.request_id)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.at)?;
        for text in [self.client_key_id, self.model] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        for text in [&self.provider_id, &self.upstream_model, &self.credential_id] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(self.outcome)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.failure)?;
        out.push_sql(", ");
        out.push_bind_param::<Bool, _>(&self.streamed)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, _>(&self.attempts)?;
        for number in [
            &self.tokens_input,
            &self.tokens_cache_read,
            &self.tokens_cache_write_5m,
            &self.tokens_cache_write_1h,
            &self.tokens_output,
            &self.first_event_ms,
        ] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<BigInt>, _>(number)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.duration_ms)?;
        out.push_sql(", ");
        out.push_bind_param::<Bool, _>(&self.usage_estimated)
    }
}
