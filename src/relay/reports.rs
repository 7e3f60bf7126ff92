//! What the relay tells of each attempt: to Health, and to whoever listens.

use std::sync::Arc;

use super::{attempt::Attempt, dispatch::LastFailed, services::Relay};
use crate::{
    actors::{
        clock::steady,
        health::{AttemptFailed, AttemptSucceeded, TrialPassed},
        router::Candidate,
    },
    domain::{
        cooldown::TrialPass,
        cooling::CoolingSettings,
        event::{EventData, EventType, Fact, FailoverStep},
        failure::{Failure, FailureClass},
        health::Purpose,
        id::RequestId,
    },
};

impl Relay {
    /// Counts a good answer, and tells of it where that is news.
    pub(super) fn tell_success(&self, attempt: &Attempt) {
        let provider = &attempt.candidate.provider;
        self.metrics.attempted(&provider.id, None);
        if let Some(lease) = &attempt.lease {
            lease.count(steady(), true);
        }
        let is_news = provider.last_error.is_some()
            || self.snapshots.health.read().wants_success(attempt.used());
        // That something beside answers works says as little of them as that it does not.
        if is_news && attempt.purpose != Purpose::Aside {
            self.recipients.attempt_succeeded.do_send(AttemptSucceeded {
                provider_id: provider.id.clone(),
                model: attempt.candidate.model.clone(),
                credential_id: attempt.credential_id().cloned(),
            });
        }
    }

    /// What was on trial has begun a good answer.
    pub(super) fn tell_passed(&self, pass: TrialPass) {
        let scope = pass.scope().clone();
        pass.judged();
        self.recipients.trial_passed.do_send(TrialPassed { scope });
    }

    /// Logs and counts a failed attempt.
    pub(super) fn count_failure(
        &self,
        request_id: Option<RequestId>,
        attempt: &Attempt,
        failure: &Failure,
    ) {
        let (candidate, credential_id) = (&attempt.candidate, attempt.credential_id());
        tracing::info!(
            request_id = request_id.map(tracing::field::display),
            provider = %candidate.provider.id,
            credential = credential_id.map(tracing::field::display),
            class = failure.class.as_str(),
            status = failure.status,
            detail = failure.detail,
            "an attempt failed"
        );
        self.metrics.attempted(&candidate.provider.id, Some(failure.class));
    }

    /// Tells whose failure it was.
    pub(super) fn tell_blame(
        &self,
        request_id: Option<RequestId>,
        attempt: &Attempt,
        failure: &Arc<Failure>,
    ) {
        if let Some(lease) = attempt.lease.as_ref().filter(|_| !failure.is_about_the_request()) {
            lease.count(steady(), false);
        }
        self.recipients.attempt_failed.do_send(AttemptFailed {
            credential_id: attempt.credential_id().cloned(),
            attempt: request_id.map(|id| (id, attempt.number)),
            cooling: attempt.cooling,
            ..attempt_failed(&attempt.candidate, attempt.purpose, failure)
        });
    }

    /// Tells that a provider was silent for so long that another one has answered instead.
    pub(super) fn tell_silence(
        &self,
        candidate: &Candidate,
        purpose: Purpose,
        cooling: Option<CoolingSettings>,
        failure: &Arc<Failure>,
    ) {
        let provider_id = &candidate.provider.id;
        tracing::info!(provider = %provider_id, detail = failure.detail, "an attempt was let go");
        self.metrics.attempted(provider_id, Some(failure.class));
        let failed = attempt_failed(candidate, purpose, failure);
        self.recipients.attempt_failed.do_send(AttemptFailed { cooling, ..failed });
    }

    pub(super) fn tell_failover(
        &self,
        request_id: RequestId,
        last: &LastFailed,
        attempt: &Attempt,
        next: FailoverStep,
    ) {
        let cause: FailureClass = last.failure.class;
        let data = EventData::Failover {
            request_id,
            cause,
            next,
            next_provider_id: attempt.candidate.provider.id.clone(),
            next_model_id: attempt.candidate.model.clone(),
            next_credential_id: attempt.credential_id().cloned(),
        };
        let provider_id = last.candidate.provider.id.clone();
        let fact = Fact::of_provider(EventType::Failover, provider_id, data);
        let (credential_id, model_id) =
            (last.credential_id.clone(), Some(last.candidate.model.clone()));
        self.outbox.tell(Fact { credential_id, model_id, ..fact });
    }
}

/// The failure of an attempt at a candidate, whatever it was made with.
fn attempt_failed(
    candidate: &Candidate,
    purpose: Purpose,
    failure: &Arc<Failure>,
) -> AttemptFailed {
    let (provider, model) = (&candidate.provider, &candidate.model);
    AttemptFailed {
        provider_id: provider.id.clone(),
        model: model.clone(),
        credential_id: None,
        failure: Arc::clone(failure),
        purpose,
        cooling: None,
        is_listed: provider.models.iter().any(|served| *served.upstream() == *model),
        attempt: None,
    }
}
