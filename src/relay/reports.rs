//! What the relay tells the owners of provider and credential health about each attempt.

use std::sync::Arc;

use super::services::Relay;
use crate::{
    actors::{
        credentials::{CredentialFailed, CredentialSucceeded},
        router::{AttemptFailed, AttemptSucceeded, Candidate},
    },
    domain::{
        event::{EventData, EventType, Fact, FailoverStep},
        failure::{Failure, FailureClass},
        id::{CredentialId, RequestId},
    },
};

impl Relay {
    /// Tells of a good answer, where that is news.
    pub(super) fn tell_success(&self, candidate: &Candidate, credential_id: Option<CredentialId>) {
        let (provider, model) = (&candidate.provider, &candidate.model);
        self.metrics.attempted(&provider.id, None);
        let directory = self.sights.credentials.read();
        if let Some(credential_id) = credential_id
            && directory.wants_success(&provider.id, &credential_id, model)
        {
            self.peers.credential_succeeded.do_send(CredentialSucceeded {
                provider_id: provider.id.clone(),
                credential_id,
                model: model.clone(),
            });
        }
        if self.sights.routing.read().wants_success(provider, model) {
            let (provider_id, model) = (provider.id.clone(), model.clone());
            self.peers.attempt_succeeded.do_send(AttemptSucceeded { provider_id, model });
        }
    }

    pub(super) fn tell_failure(
        &self,
        request_id: Option<RequestId>,
        candidate: &Candidate,
        credential_id: Option<&CredentialId>,
        failure: &Arc<Failure>,
    ) {
        tracing::info!(
            request_id = request_id.map(tracing::field::display),
            provider = %candidate.provider.id,
            credential = credential_id.map(tracing::field::display),
            class = failure.class.as_str(),
            status = failure.status,
            detail = failure.detail,
            "an attempt failed"
        );
        let provider_id = candidate.provider.id.clone();
        let model = candidate.model.clone();
        self.metrics.attempted(&provider_id, Some(failure.class));
        if let Some(credential_id) = credential_id {
            self.peers.credential_failed.do_send(CredentialFailed {
                provider_id: provider_id.clone(),
                credential_id: credential_id.clone(),
                model: model.clone(),
                failure: Arc::clone(failure),
            });
        }
        let failure = Arc::clone(failure);
        self.peers.attempt_failed.do_send(AttemptFailed { provider_id, model, failure });
    }

    pub(super) fn tell_failover(
        &self,
        request_id: Option<RequestId>,
        candidate: &Candidate,
        cause: FailureClass,
        next: FailoverStep,
    ) {
        let Some(request_id) = request_id else { return };
        let data = EventData::Failover { request_id, cause, next };
        let fact = Fact::of_provider(EventType::Failover, candidate.provider.id.clone(), data);
        self.outbox.tell(fact);
    }
}
