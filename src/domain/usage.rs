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
    /// Absent when the upstream reported none: unknown is not zero.
    pub tokens: Option<TokenUsage>,
    /// Milliseconds to the first event of a stream.
    pub first_event_ms: Option<u64>,
    /// Milliseconds from arrival to the end.
    pub duration_ms: u64,
}

/// What a summary covers: entries with `from <= at < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRange {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Totals of one provider and model over a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageTotals {
    /// Absent for requests that reached no provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub provider_id: Option<ProviderId>,
    #[schema(value_type = String)]
    pub model: ModelName,
    pub requests: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Completed requests whose upstream reported no tokens; they count in no token total.
    pub unreported: u64,
    pub tokens: TokenUsage,
    /// Mean duration of completed requests, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_duration_ms: Option<u64>,
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
