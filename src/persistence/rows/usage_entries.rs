//! Rows of `usage_entries`.
#![allow(clippy::ref_option_ref, reason = "`Insertable` makes such references")]

use diesel::prelude::*;

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
        }
    }
}

/// Sums over the entries of one provider, model and outcome.
#[derive(Queryable)]
pub struct UsageSumRow {
    pub provider_id: Option<String>,
    pub model: String,
    pub outcome: String,
    pub requests: i64,
    /// Of those, the ones whose upstream reported tokens.
    pub reported: i64,
    pub tokens_input: Option<i64>,
    pub tokens_cache_read: Option<i64>,
    pub tokens_cache_write_5m: Option<i64>,
    pub tokens_cache_write_1h: Option<i64>,
    pub tokens_output: Option<i64>,
    pub duration_ms: i64,
}
