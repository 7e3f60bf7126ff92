//! The ledger's words: one entry per request, and totals over entries.

use serde::{Deserialize, Serialize};

use super::{
    failure::FailureClass,
    id::{CredentialId, KeyId, ModelName, ProviderId, RequestId},
    time::Timestamp,
};

/// Tokens of one request by class. The classes are disjoint: their sum is all that was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenUsage {
    /// Prompt tokens neither read from nor written to a cache.
    pub input: u64,
    pub cache_read: u64,
    /// Written to a cache that lives five minutes.
    pub cache_write_5m: u64,
    /// Written to a cache that lives an hour.
    pub cache_write_1h: u64,
    /// Everything generated, reasoning included.
    pub output: u64,
}

impl TokenUsage {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
        }
    }

    pub fn total(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Tokens of one request, and who has counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedTokens {
    pub tokens: TokenUsage,
    /// Whether the pool has counted some of them by itself, because the upstream told none.
    pub is_estimated: bool,
}

impl UsedTokens {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        let is_estimated = self.is_estimated || other.is_estimated;
        Self { tokens: self.tokens.plus(other.tokens), is_estimated }
    }
}

/// What the upstream has told.
impl From<TokenUsage> for UsedTokens {
    fn from(tokens: TokenUsage) -> Self {
        Self { tokens, is_estimated: false }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client got a complete good answer.
    Completed,
    /// The client got an error.
    Failed,
    /// The client left before the end.
    Cancelled,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// One line of the ledger. Written once per request; the request id makes writing it again harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEntry {
    pub request_id: RequestId,
    /// When the request arrived.
    pub at: Timestamp,
    pub client_key_id: KeyId,
    /// The model the client asked for.
    pub model: ModelName,
    /// Who answered, or was tried last. Absent when nobody was.
    pub provider_id: Option<ProviderId>,
    pub upstream_model: Option<ModelName>,
    pub credential_id: Option<CredentialId>,
    pub outcome: Outcome,
    pub failure: Option<FailureClass>,
    pub streamed: bool,
    pub attempts: u32,
    /// Absent when the upstream reported none and nobody has counted: unknown is not zero.
    pub tokens: Option<TokenUsage>,
    /// Whether the pool has counted some of them by itself, because the upstream told none, or none of what
    /// it said last.
    #[serde(default, skip_serializing_if = "is_false")]
    pub usage_estimated: bool,
    /// Milliseconds to the first event of a stream.
    pub first_event_ms: Option<u64>,
    /// Milliseconds from arrival to the end.
    pub duration_ms: u64,
}

impl UsageEntry {
    pub fn used(&self) -> Option<UsedTokens> {
        let is_estimated = self.usage_estimated;
        self.tokens.map(|tokens| UsedTokens { tokens, is_estimated })
    }

    pub fn note_used(&mut self, used: Option<UsedTokens>) {
        self.tokens = used.map(|used| used.tokens);
        self.usage_estimated = used.is_some_and(|used| used.is_estimated);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a summary covers: entries with `from <= at < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRange {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What a summary is asked for: one page of the totals of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuestion {
    pub range: UsageRange,
    /// Where the page before has ended. `None`: the first page.
    pub after: Option<UsagePlace>,
    /// Most totals to answer with.
    pub limit: usize,
}

impl UsageEntry {
    /// The model under which it is summed up: the one that answered or, where nobody was asked, the one
    /// that the client asked for.
    pub fn summed_model(&self) -> &ModelName {
        self.upstream_model.as_ref().unwrap_or(&self.model)
    }
}

/// The place of one total among all of them, which are sorted by provider and then by model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsagePlace {
    pub provider_id: Option<ProviderId>,
    pub model: ModelName,
}

/// Totals of one provider and model over a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageTotals {
    /// Absent for requests that reached no provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
    /// The model that answered or was asked last, by its upstream name. For requests that reached no
    /// provider: the one that the client asked for.
    pub model: ModelName,
    pub requests: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Completed requests of which no tokens are known; they count in no token total.
    pub unreported: u64,
    /// Requests whose tokens the pool has estimated, because the upstream reported none; they count in
    /// the token totals.
    pub estimated: u64,
    pub tokens: TokenUsage,
    /// Mean duration of completed requests, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_duration_ms: Option<u64>,
}

impl UsageTotals {
    pub fn place(&self) -> UsagePlace {
        UsagePlace { provider_id: self.provider_id.clone(), model: self.model.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_add_up() {
        let tokens = TokenUsage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 4,
            cache_write_1h: 8,
            output: 16,
        };
        assert_eq!(tokens.total(), 31);
    }

    #[test]
    fn every_outcome_reads_back_from_its_word() {
        for outcome in [Outcome::Completed, Outcome::Failed, Outcome::Cancelled] {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }
}
