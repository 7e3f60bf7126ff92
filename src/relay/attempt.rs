//! The attempts: one candidate after the other, one credential after the other, until one has
//! proved itself or no other can help.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use bytes::Bytes;
use rand::Rng;

use super::{
    deadline::{Deadline, DeadlinePassed},
    error::RelayError,
    next_step::{NextStep, next_step},
    services::Relay,
    settle::Settlement,
};
use crate::{
    actors::{
        clock::now,
        credentials::{CredentialsReady, Lease, LeaseError},
        router::{Candidate, Plan, PlanError, RouterReady, TakeRetry},
    },
    domain::{
        event::FailoverStep,
        failure::{Failure, FailureClass},
        id::CredentialId,
        time::Timestamp,
    },
    gateway::{
        dialect::openai_chat::{ChatRequest, rewrite},
        upstream::{UpstreamRequest, Waits},
    },
};

/// Bounds of the jittered wait before the same place is tried again, in milliseconds.
const REPEAT_PAUSE_MS: std::ops::RangeInclusive<u64> = 200..=800;

/// Longest wait for an actor's word on how to go on; without it the request goes on all the same.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// A request that is admitted and not answered yet.
pub struct Attempts {
    settlement: Settlement,
    request: ChatRequest,
    body: Bytes,
    deadline: Deadline,
    made: u32,
    last: Option<FailedAttempt>,
    /// What the client is told if nobody answers.
    verdict: Option<Arc<Failure>>,
}

/// The attempt before this one.
struct FailedAttempt {
    candidate: Candidate,
    credential_id: Option<CredentialId>,
    failure: Arc<Failure>,
}

/// A candidate that has proved itself, and what the request came with.
pub(super) struct Won<P> {
    pub proof: P,
    pub candidate: Candidate,
    pub settlement: Settlement,
    pub deadline: Deadline,
    pub attempts: u32,
}

impl<P> Won<P> {
    /// Tells that the candidate has answered in full. Not before: a stream may still break off.
    pub(super) fn tell_success(&mut self) {
        let credential_id = self.settlement.entry().and_then(|entry| entry.credential_id.clone());
        self.settlement.relay().tell_success(&self.candidate, credential_id);
    }
}

/// Sends a request upstream and reads as much as proves the candidate.
pub(super) trait Prove<P>:
    AsyncFn(&Relay, UpstreamRequest<'_>) -> Result<P, Failure>
{
}

impl<P, F: AsyncFn(&Relay, UpstreamRequest<'_>) -> Result<P, Failure>> Prove<P> for F {}

/// Why going on is pointless.
enum Dead {
    Stop(Arc<Failure>),
    Deadline,
}

impl From<DeadlinePassed> for Dead {
    fn from(_: DeadlinePassed) -> Self {
        Self::Deadline
    }
}

impl Attempts {
    pub(super) fn new(
        settlement: Settlement,
        request: ChatRequest,
        body: Bytes,
        deadline: Deadline,
    ) -> Self {
        Self { settlement, request, body, deadline, made: 0, last: None, verdict: None }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.request.stream
    }

    /// Whether the pool asks for usage where the client did not, and so keeps the report to itself.
    pub(super) fn strips_usage(&self) -> bool {
        self.relay().settings.ask_stream_usage && self.request.may_ask_usage()
    }

    pub(super) fn relay(&self) -> &Rc<Relay> {
        self.settlement.relay()
    }

    /// Makes attempts until a candidate has proved itself to `prove`.
    ///
    /// Errors: [`RelayError`]; the request is settled then.
    pub(super) async fn run<P>(mut self, prove: impl Prove<P>) -> Result<Won<P>, RelayError> {
        match self.try_all(&prove).await {
            Ok((proof, candidate)) => Ok(Won {
                proof,
                candidate,
                settlement: self.settlement,
                deadline: self.deadline,
                attempts: self.made,
            }),
            Err(error) => {
                self.settlement.fail(&error);
                Err(error)
            }
        }
    }

    async fn try_all<P>(&mut self, prove: &impl Prove<P>) -> Result<(P, Candidate), RelayError> {
        self.relay().sights.routing.read().count_request();
        let plan = self.plan()?;
        let mut soonest = plan.soonest_back;
        for candidate in plan.candidates {
            match self.try_candidate(&candidate, &mut soonest, prove).await {
                Ok(Some(proof)) => return Ok((proof, candidate)),
                Ok(None) => {}
                Err(Dead::Stop(failure)) if failure.is_about_the_request() => {
                    return Err(RelayError::AtFault(failure));
                }
                Err(Dead::Stop(last)) => return Err(self.exhausted(last).await),
                Err(Dead::Deadline) => return Err(RelayError::DeadlinePassed),
            }
        }
        match (self.verdict.take(), soonest) {
            (Some(verdict), _) => Err(self.exhausted(verdict).await),
            (None, Some((until, cause))) => Err(RelayError::Cooling {
                model: self.request.model.clone(),
                cause,
                retry_after: until.since(now()),
            }),
            // Every key went away between the plan and the lease.
            (None, None) => Err(RelayError::NoProvider),
        }
    }

    fn plan(&self) -> Result<Plan, RelayError> {
        let sights = &self.relay().sights;
        let at = now();
        let planned = sights.routing.read().plan(at, &self.request.model, &sights.providers.read());
        planned.map_err(|error| match error {
            PlanError::NoProvider => RelayError::NoProvider,
            PlanError::NoSuchModel(model) => RelayError::NoSuchModel(model),
            PlanError::Cooling { model, until, cause } => {
                RelayError::Cooling { model, cause, retry_after: until.since(at) }
            }
        })
    }

    /// Asks an actor, for as long as a small answer is worth waiting for. A part that has just
    /// panicked is asked once more: it lost the question, and may have restarted by now.
    async fn ask<M>(&self, actor: &Recipient<M>, question: M) -> Option<M::Result>
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        let asking = async {
            match actor.send(question.clone()).await {
                Ok(answer) => Some(answer),
                Err(_) => actor.send(question).await.ok(),
            }
        };
        let bounded = tokio::time::timeout(ASK_TIMEOUT, asking);
        self.deadline.bound(bounded).await.ok()?.ok()?
    }

    /// Tries one candidate with one credential after the other. `None`: on to the next candidate.
    async fn try_candidate<P>(
        &mut self,
        candidate: &Candidate,
        soonest: &mut Option<(Timestamp, FailureClass)>,
        prove: &impl Prove<P>,
    ) -> Result<Option<P>, Dead> {
        let mut tried: Vec<CredentialId> = Vec::new();
        let mut again: Option<Lease> = None;
        let mut repeated = false;
        loop {
            let lease = match again.take() {
                Some(lease) => Some(lease),
                None if candidate.needs_credential => match self.lease(candidate, &tried) {
                    Ok(lease) => Some(lease),
                    Err(LeaseError::NoneLeft) => return Ok(None),
                    Err(LeaseError::Cooling { until, cause }) => {
                        if soonest.is_none_or(|(soonest, _)| until < soonest) {
                            *soonest = Some((until, cause));
                        }
                        return Ok(None);
                    }
                },
                None => None,
            };
            let failure = match self.attempt(candidate, lease.as_ref(), prove).await? {
                Ok(proof) => return Ok(Some(proof)),
                Err(failure) => Arc::new(failure),
            };
            let request_id = self.settlement.request_id();
            let credential_id = lease.as_ref().map(|lease| &lease.id);
            self.relay().tell_failure(request_id, candidate, credential_id, &failure);
            // Who failed may serve it later; who has no such model says nothing about that.
            if self.verdict.is_none() || failure.class != FailureClass::ModelMissing {
                self.verdict = Some(Arc::clone(&failure));
            }
            self.last = Some(FailedAttempt {
                candidate: candidate.clone(),
                credential_id: credential_id.cloned(),
                failure: Arc::clone(&failure),
            });
            match next_step(failure.class, repeated) {
                NextStep::Stop => return Err(Dead::Stop(failure)),
                NextStep::Repeat => {
                    if !self.may_repeat(candidate).await {
                        return Ok(None);
                    }
                    repeated = true;
                    again = lease;
                }
                NextStep::OtherCredential => {
                    let Some(lease) = lease else { return Ok(None) };
                    tried.push(lease.id);
                }
                NextStep::OtherProvider => return Ok(None),
            }
        }
    }

    fn lease(&self, candidate: &Candidate, tried: &[CredentialId]) -> Result<Lease, LeaseError> {
        let directory = self.relay().sights.credentials.read();
        directory.lease(now(), &candidate.provider.id, &candidate.model, tried)
    }

    /// Waits the jittered pause before the same place is tried again, if the budget allows it.
    async fn may_repeat(&self, candidate: &Candidate) -> bool {
        let pause = Duration::from_millis(rand::rng().random_range(REPEAT_PAUSE_MS));
        if !self.deadline.allows(pause) {
            return false;
        }
        let question = TakeRetry { provider_id: candidate.provider.id.clone() };
        let allowed = self.ask(&self.relay().peers.take_retry, question).await == Some(true);
        if allowed {
            tokio::time::sleep(pause).await;
        }
        allowed
    }

    /// One try of one candidate with one credential.
    async fn attempt<P>(
        &mut self,
        candidate: &Candidate,
        lease: Option<&Lease>,
        prove: &impl Prove<P>,
    ) -> Result<Result<P, Failure>, Dead> {
        self.tell_failover(candidate, lease);
        self.made += 1;
        let made = self.made;
        if let Some(entry) = self.settlement.entry() {
            entry.attempts = made;
            entry.provider_id = Some(candidate.provider.id.clone());
            entry.upstream_model = Some(candidate.model.clone());
            entry.credential_id = lease.map(|lease| lease.id.clone());
        }
        if made == 1 {
            let own_time = self.settlement.arrived().elapsed();
            self.relay().metrics.overhead.observe(own_time.as_secs_f64());
        }
        let relay = Rc::clone(self.relay());
        let ask_usage = relay.settings.ask_stream_usage;
        let idle = relay.settings.idle_timeout;
        let waits = Waits {
            // The request's own deadline comes first.
            deadline: self.deadline.instant() + Duration::from_secs(1),
            head: if self.request.stream { idle } else { relay.settings.timeout },
            idle,
        };
        let request = UpstreamRequest {
            url: &candidate.url,
            credential: lease.map(|lease| &lease.secret),
            headers: &candidate.provider.headers,
            body: rewrite(&self.body, &self.request, &candidate.model, ask_usage),
            stream: self.request.stream,
            location: candidate.provider.location,
            waits,
        };
        let proved = self.deadline.bound(prove(&relay, request)).await;
        if proved.is_err() && !self.deadline.is_lowered() {
            let detail = "there was no whole answer within the time a request may take";
            let failure = Arc::new(Failure::new(FailureClass::Silent, detail));
            let credential_id = lease.map(|lease| &lease.id);
            let request_id = self.settlement.request_id();
            relay.tell_failure(request_id, candidate, credential_id, &failure);
        }
        Ok(proved?)
    }

    /// Tells that the attempt before was not the last, unless this one is at the very same place.
    fn tell_failover(&self, candidate: &Candidate, lease: Option<&Lease>) {
        let Some(last) = &self.last else { return };
        let next = if last.candidate.provider.id != candidate.provider.id {
            FailoverStep::Provider
        } else if last.credential_id.as_ref() != lease.map(|lease| &lease.id) {
            FailoverStep::Credential
        } else {
            return;
        };
        let request_id = self.settlement.request_id();
        self.relay().tell_failover(request_id, &last.candidate, last.failure.class, next);
    }

    /// The error after the last attempt, with the time at which asking again makes sense.
    async fn exhausted(&self, last: Arc<Failure>) -> RelayError {
        let retry_after = match last.class {
            FailureClass::RateLimit | FailureClass::Payment | FailureClass::Overload => {
                self.soonest_again().await
            }
            _ => None,
        };
        RelayError::Exhausted { last, attempts: self.made, retry_after }
    }

    /// How long until someone could answer. `None`: at once, or it cannot be told.
    async fn soonest_again(&self) -> Option<Duration> {
        // What this request has told of its failures must be in what is looked at.
        let peers = &self.relay().peers;
        self.ask(&peers.router_ready, RouterReady).await?;
        self.ask(&peers.credentials_ready, CredentialsReady).await?;
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(RelayError::Cooling { retry_after, .. }) => return Some(retry_after),
            Err(_) => return None,
        };
        let mut soonest = plan.soonest_back.map(|(until, _)| until);
        for candidate in &plan.candidates {
            if !candidate.needs_credential {
                return None;
            }
            match self.lease(candidate, &[]) {
                Err(LeaseError::Cooling { until, .. }) => {
                    soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                }
                Err(LeaseError::NoneLeft) => {}
                Ok(_) => return None,
            }
        }
        soonest.map(|until| until.since(now()))
    }
}
