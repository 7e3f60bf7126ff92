//! What a request has to tell of its way, gathered while it is under way.

use tokio::time::Instant;

use crate::{
    actors::{
        clock::on_the_wall,
        router::{Candidate, Exclusion, ExclusionReason, Plan, Stage, Substitution},
    },
    domain::{
        chat::Losses,
        credential::Credential,
        failure::Failure,
        format::FormatSource,
        model::Capabilities,
        provider::ApiFormat,
        route::Strategy,
        trace::{
            AliasTrace, AttemptEnd, AttemptKind, AttemptTrace, CandidateTrace, ExclusionTrace,
            FailureTrace, MAX_ENTRIES, PlanTrace, Trace,
        },
        usage::UsageEntry,
    },
};

/// Most plans that a trace keeps.
const MAX_PLANS: usize = 16;

/// The plans and attempts of one request.
pub struct TraceBuilder {
    arrived: Instant,
    substitution: Option<AliasTrace>,
    plans: Vec<PlanTrace>,
    attempts: Vec<AttemptTrace>,
    left_out: u32,
}

impl TraceBuilder {
    pub fn new(arrived: Instant) -> Self {
        Self { arrived, substitution: None, plans: Vec::new(), attempts: Vec::new(), left_out: 0 }
    }

    pub fn substituted(&mut self, substitution: &Substitution) {
        self.substitution =
            Some(AliasTrace { to: substitution.to.clone(), by: substitution.by.to_string() });
    }

    pub fn planned(&mut self, stage: &Stage, strategy: Strategy, plan: &Plan) {
        if self.plans.len() >= MAX_PLANS {
            return;
        }
        let plan = plan_trace(stage, strategy, plan, millis_between(self.arrived, Instant::now()));
        // Whoever waits looks again and again, mostly at the same.
        let is_known = self.plans.last().is_some_and(|last| {
            (&last.model, &last.candidates, &last.exclusions)
                == (&plan.model, &plan.candidates, &plan.exclusions)
        });
        if !is_known {
            push(&mut self.plans, plan);
        }
    }

    /// An attempt begins. `number` is its number within the request, from 1.
    pub fn begun(
        &mut self,
        now: Instant,
        number: u32,
        kind: AttemptKind,
        candidate: &Candidate,
        (api_format, format_source): (ApiFormat, FormatSource),
        credential: Option<&Credential>,
    ) {
        if self.attempts.len() >= MAX_ENTRIES {
            self.left_out += 1;
            return;
        }
        let attempt = AttemptTrace {
            number,
            kind,
            provider_id: candidate.provider.id.clone(),
            model_id: candidate.model.clone(),
            api_format,
            format_source,
            losses: Vec::new(),
            credential_id: credential.map(|credential| credential.id.clone()),
            credential_label: credential.and_then(|credential| credential.settings.label.clone()),
            after_ms: millis_between(self.arrived, now),
            proved_ms: None,
            duration_ms: 0,
            end: AttemptEnd::Abandoned,
            failure: None,
            cooldowns: Vec::new(),
        };
        push(&mut self.attempts, attempt);
    }

    /// What was lost on the way to or from an attempt.
    pub fn translated(&mut self, number: u32, losses: &Losses) {
        if losses.is_empty() {
            return;
        }
        if let Some(attempt) = self.attempts.iter_mut().rfind(|a| a.number == number) {
            attempt.losses = losses.iter().map(str::to_owned).collect();
        }
    }

    pub fn proved(&mut self, now: Instant, number: u32) {
        self.with(now, number, |attempt, took| {
            attempt.proved_ms = Some(took);
            attempt.end = AttemptEnd::Answered;
        });
    }

    pub fn failed(&mut self, number: u32, failure: &Failure) {
        self.with(Instant::now(), number, |attempt, took| {
            attempt.duration_ms = took;
            attempt.end = AttemptEnd::Failed;
            attempt.failure = Some(FailureTrace {
                class: failure.class,
                status: failure.status,
                retry_after_ms: failure
                    .retry_after
                    .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                detail: failure.detail.clone(),
            });
        });
    }

    pub fn ended(&mut self, number: u32, end: AttemptEnd) {
        self.with(Instant::now(), number, |attempt, took| {
            attempt.duration_ms = took;
            attempt.end = end;
        });
    }

    /// Every attempt that is still open has lost to the one of this number.
    pub fn won(&mut self, winner: u32) {
        for attempt in &mut self.attempts {
            if attempt.number != winner && is_open(attempt) {
                let now = millis_between(self.arrived, Instant::now());
                attempt.duration_ms = now.saturating_sub(attempt.after_ms);
                attempt.end = AttemptEnd::Hedged;
            }
        }
    }

    fn with(&mut self, now: Instant, number: u32, change: impl FnOnce(&mut AttemptTrace, u64)) {
        let now = millis_between(self.arrived, now);
        if let Some(attempt) = self.attempts.iter_mut().rfind(|a| a.number == number) {
            let took = now.saturating_sub(attempt.after_ms);
            change(attempt, took);
        }
    }

    /// The whole way, as it stands at the end.
    pub fn into_trace(mut self, entry: &UsageEntry) -> Trace {
        for attempt in &mut self.attempts {
            let is_unfinished = attempt.end == AttemptEnd::Answered || is_open(attempt);
            if is_unfinished && attempt.duration_ms == 0 {
                attempt.duration_ms = entry.duration_ms.saturating_sub(attempt.after_ms);
            }
        }
        Trace {
            request_id: entry.request_id,
            at: entry.at,
            asked: entry.model.clone(),
            streamed: entry.streamed,
            substitution: self.substitution,
            plans: self.plans,
            attempts: self.attempts,
            attempts_left_out: self.left_out,
            outcome: entry.outcome,
            failure: entry.failure,
            tokens: entry.tokens,
            usage_estimated: entry.usage_estimated,
            duration_ms: entry.duration_ms,
        }
    }
}

/// Adds to a list that mostly gets one entry. Left to itself, a list takes room for four with the first,
/// and a trace is kept for long.
fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
    list.push(entry);
}

fn is_open(attempt: &AttemptTrace) -> bool {
    attempt.end == AttemptEnd::Abandoned && attempt.failure.is_none()
}

fn millis_between(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.duration_since(start).as_millis()).unwrap_or(u64::MAX)
}

/// A plan as it is shown.
pub fn plan_trace(stage: &Stage, strategy: Strategy, plan: &Plan, after_ms: u64) -> PlanTrace {
    let total = plan.candidates.len() + plan.exclusions.len();
    let candidates: Vec<CandidateTrace> =
        plan.candidates.iter().take(MAX_ENTRIES).map(candidate_trace).collect();
    let room = MAX_ENTRIES - candidates.len();
    let exclusions: Vec<ExclusionTrace> =
        plan.exclusions.iter().take(room).map(exclusion_trace).collect();
    let kept = candidates.len() + exclusions.len();
    PlanTrace {
        model: stage.model.clone(),
        route: stage.route.as_ref().map(|route| route.name.to_string()),
        strategy: strategy.as_str(),
        after_ms,
        candidates,
        exclusions,
        left_out: u32::try_from(total - kept).unwrap_or(u32::MAX),
    }
}

fn candidate_trace(candidate: &Candidate) -> CandidateTrace {
    CandidateTrace {
        provider_id: candidate.provider.id.clone(),
        model_id: candidate.model.clone(),
        score: candidate.score,
        lacks: candidate.lacks,
        same_dialect: candidate.speaks,
    }
}

/// An exclusion as it is shown.
pub fn exclusion_trace(exclusion: &Exclusion) -> ExclusionTrace {
    let lacks = match exclusion.reason {
        ExclusionReason::Lacks { capabilities } => capabilities,
        _ => Capabilities::NONE,
    };
    let (until, cause) = match exclusion.reason {
        ExclusionReason::Cooling { until, cause } => (Some(on_the_wall(until)), Some(cause)),
        _ => (None, None),
    };
    ExclusionTrace {
        provider_id: exclusion.provider_id.clone(),
        model_id: exclusion.model.clone(),
        reason: exclusion.reason.as_str(),
        lacks,
        until,
        cause,
    }
}
