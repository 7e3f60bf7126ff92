//! The trace of one request: what was planned, what was tried, and what came of it.

use serde::Serialize;

use super::{
    cooldown::CooldownView,
    failure::FailureClass,
    format::FormatSource,
    id::{CredentialId, ModelName, ProviderId, RequestId},
    model::Capabilities,
    provider::ApiFormat,
    time::Timestamp,
    usage::{Outcome, TokenUsage},
};

/// Most candidates, exclusions and attempts that a trace keeps. What was left out is counted.
pub const MAX_ENTRIES: usize = 100;

/// Everything about the way of one request. Ids, labels and our own words; no texts, no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Trace {
    #[schema(value_type = String)]
    pub request_id: RequestId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The name the client asked for.
    #[serde(rename = "model")]
    pub asked: ModelName,
    pub streamed: bool,
    /// Set when an alias led to another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitution: Option<AliasTrace>,
    /// One for each time a plan was made: again after a wait, and for each fallback.
    pub plans: Vec<PlanTrace>,
    pub attempts: Vec<AttemptTrace>,
    /// Attempts past [`MAX_ENTRIES`].
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts_left_out: u32,
    #[schema(value_type = String)]
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub failure: Option<FailureClass>,
    /// Absent when nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenUsage>,
    /// Whether the pool has counted them by itself, because the upstream told none.
    pub usage_estimated: bool,
    pub duration_ms: u64,
}

/// An alias at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AliasTrace {
    pub to: ModelName,
    /// The alias.
    pub by: String,
}

/// One plan.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PlanTrace {
    pub model: ModelName,
    /// The name of the route, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    pub strategy: &'static str,
    /// Since the request arrived.
    pub after_ms: u64,
    /// Best first.
    pub candidates: Vec<CandidateTrace>,
    /// Who serves the model and was not asked, and why.
    pub exclusions: Vec<ExclusionTrace>,
    /// Candidates and exclusions past [`MAX_ENTRIES`].
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u32,
}

/// One candidate of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CandidateTrace {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model_id: ModelName,
    /// Finite. What it means is the strategy's.
    pub score: f64,
    /// What the request needs and this one is known to lack.
    #[serde(skip_serializing_if = "Capabilities::is_unset")]
    #[schema(value_type = Vec<super::model::Capability>)]
    pub lacks: Capabilities,
    /// Whether it is known to speak the client's dialect: of equal ones those that do are asked first.
    pub same_dialect: bool,
}

/// One who was left out of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExclusionTrace {
    pub provider_id: ProviderId,
    pub model_id: ModelName,
    pub reason: &'static str,
    #[serde(skip_serializing_if = "Capabilities::is_unset")]
    #[schema(value_type = Vec<super::model::Capability>)]
    pub lacks: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cause: Option<FailureClass>,
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    First,
    /// After a failure: elsewhere, with another key, or here when a limit was over.
    Failover,
    /// Once more at the same place.
    Repeat,
    /// Beside one that was slow to answer.
    Hedge,
    /// To go on with a stream that had broken off.
    Resume,
    /// At the same place in another format: the one before turned out not to be there.
    Format,
}

impl AttemptKind {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Failover => "failover",
            Self::Repeat => "repeat",
            Self::Hedge => "hedge",
            Self::Resume => "resume",
            Self::Format => "format",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The client got its answer, or what of it had come when the request ended.
    Answered,
    Failed,
    /// Another attempt beside it was faster.
    Hedged,
    /// It was to go on with a stream, and said something else.
    Differs,
    /// The request was over before it was.
    Abandoned,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AttemptTrace {
    /// 1 is the first.
    pub number: u32,
    pub kind: AttemptKind,
    pub provider_id: ProviderId,
    pub model_id: ModelName,
    /// In which it was asked.
    pub api_format: ApiFormat,
    /// Why in that one.
    pub format_source: FormatSource,
    /// What of request and answer could not be said on the way, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub credential_id: Option<CredentialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_label: Option<String>,
    /// Since the request arrived.
    pub after_ms: u64,
    /// Until it had proved itself: the first event of a stream, or the whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved_ms: Option<u64>,
    pub duration_ms: u64,
    pub end: AttemptEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureTrace>,
    /// What it led to: cooldowns that were started or made longer because of it.
    pub cooldowns: Vec<CooldownView>,
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FailureTrace {
    #[schema(value_type = String)]
    pub class: FailureClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// In our own words.
    pub detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
