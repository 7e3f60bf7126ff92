//! What the relay tells the owners of provider and credential health about each attempt.

use std::sync::Arc;

use super::{attempts::LastFailed, place::Place, services::Relay};
use crate::{
    actors::{
        clock::now,
        credentials::{CredentialFailed, CredentialSucceeded},
        router::{AttemptFailed, AttemptSucceeded, Candidate, TrialPassed},
    },
    domain::{
        cooldown::TrialPass,
        event::{EventData, EventType, Fact, FailoverStep},
        failure::{Failure, FailureClass},
        id::RequestId,
    },
};

impl Relay {
    /// Counts a good answer, and tells of it where that is news.
    pub(super) fn tell_success(&self, place: &Place) {
        let (provider, model) = (&place.candidate.provider, &place.candidate.model);
        self.metrics.attempted(&provider.id, None);
        if let Some(lease) = &place.lease {
            lease.count(now(), true);
            if self.sights.credentials.read().wants_success(&provider.id, lease.id(), model) {
                self.peers.credential_succeeded.do_send(CredentialSucceeded {
                    provider_id: provider.id.clone(),
                    credential_id: lease.id().clone(),
                    model: model.clone(),
                });
            }
        }
        if self.sights.routing.read().wants_success(provider, model) {
            let (provider_id, model) = (provider.id.clone(), model.clone());
            self.peers.attempt_succeeded.do_send(AttemptSucceeded { provider_id, model });
        }
    }

    /// What was on trial has begun a good answer.
    pub(super) fn tell_passed(&self, pass: TrialPass) {
        let scope = pass.scope().clone();
        pass.judged();
        if scope.credential().is_some() {
            self.peers.credential_passed.do_send(TrialPassed { scope });
        } else {
            self.peers.provider_passed.do_send(TrialPassed { scope });
        }
    }

    /// Logs and counts a failed attempt.
    pub(super) fn count_failure(
        &self,
        request_id: Option<RequestId>,
        place: &Place,
        failure: &Failure,
    ) {
        let (candidate, credential_id) = (&place.candidate, place.credential_id());
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

    /// Tells the owners of health whose failure it was.
    pub(super) fn tell_blame(
        &self,
        request_id: Option<RequestId>,
        place: &Place,
        failure: &Arc<Failure>,
    ) {
        let provider_id = place.candidate.provider.id.clone();
        let model = place.candidate.model.clone();
        let attempt = request_id.map(|id| (id, place.number));
        let is_listed = is_listed(&place.candidate);
        if let Some(lease) = &place.lease {
            if !failure.is_about_the_request() {
                lease.count(now(), false);
            }
            self.peers.credential_failed.do_send(CredentialFailed {
                provider_id: provider_id.clone(),
                credential_id: lease.id().clone(),
                model: model.clone(),
                failure: Arc::clone(failure),
                is_listed,
                attempt,
            });
        }
        let failure = Arc::clone(failure);
        let fact = AttemptFailed { provider_id, model, failure, is_listed, attempt };
        self.peers.attempt_failed.do_send(fact);
    }

    /// Tells that a provider was silent for so long that another one has answered instead.
    pub(super) fn tell_silence(&self, candidate: &Candidate, failure: &Arc<Failure>) {
        let provider_id = candidate.provider.id.clone();
        tracing::info!(provider = %provider_id, detail = failure.detail, "an attempt was let go");
        self.metrics.attempted(&provider_id, Some(failure.class));
        let (model, failure) = (candidate.model.clone(), Arc::clone(failure));
        let is_listed = is_listed(candidate);
        let fact = AttemptFailed { provider_id, model, failure, is_listed, attempt: None };
        self.peers.attempt_failed.do_send(fact);
    }

    pub(super) fn tell_failover(
        &self,
        request_id: RequestId,
        last: &LastFailed,
        place: &Place,
        next: FailoverStep,
    ) {
        let cause: FailureClass = last.failure.class;
        let data = EventData::Failover {
            request_id,
            cause,
            next,
            next_provider_id: place.candidate.provider.id.clone(),
            next_model_id: place.candidate.model.clone(),
            next_credential_id: place.credential_id().cloned(),
        };
        let provider_id = last.candidate.provider.id.clone();
        let fact = Fact::of_provider(EventType::Failover, provider_id, data);
        let (credential_id, model_id) =
            (last.credential_id.clone(), Some(last.candidate.model.clone()));
        self.outbox.tell(Fact { credential_id, model_id, ..fact });
    }
}

/// Whether a list of its provider has the model that a candidate is of.
fn is_listed(candidate: &Candidate) -> bool {
    candidate.provider.models.iter().any(|served| served.name == candidate.model)
}
