//! The attempts: one candidate after the other, one credential after the other, until one has
//! proved itself or no other can help.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use bytes::{Bytes, BytesMut};
use rand::Rng;

use super::{
    client_stream::{ClientStream, LiveStream},
    deadline::{Deadline, DeadlinePassed},
    error::RelayError,
    next_step::{NextStep, next_step},
    services::Relay,
    settle::Settlement,
};
use crate::{
    actors::{
        clock::now,
        credentials::{CredentialFailed, CredentialSucceeded, Lease, LeaseCredential, LeaseError},
        events::Record,
        router::{
            AttemptFailed, AttemptSucceeded, Candidate, Plan, PlanError, PlanRequest, TakeRetry,
        },
    },
    domain::{
        event::{EventData, EventType, Fact, FailoverStep},
        failure::{Failure, FailureClass},
        id::{CredentialId, ModelName, ProviderId, RequestId},
        time::Timestamp,
    },
    gateway::{
        dialect::openai_chat::{ChatRequest, WholeAnswer, rewrite},
        stream::chat_stream::{ChatStream, Ending, StreamEnd},
        upstream::{UpstreamRequest, UpstreamResponse, Waits},
    },
};

/// Bounds of the jittered wait before the same place is tried again, in milliseconds.
const REPEAT_PAUSE_MS: std::ops::RangeInclusive<u64> = 200..=800;

/// Who answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub provider_id: ProviderId,
    /// The upstream name.
    pub model: ModelName,
    pub attempts: u32,
}

/// What the client gets.
pub enum Served {
    /// A complete answer, on the ledger already.
    Whole { by: Answered, body: Bytes },
    /// A stream. `by` is unknown when it was opened before anyone had answered.
    Stream { by: Option<Answered>, body: ClientStream },
}

/// A candidate that has proved itself.
pub(super) enum Proved {
    Whole { by: Answered, body: Bytes },
    Stream { by: Answered, live: Box<LiveStream> },
}

/// A request that is admitted and not answered yet.
pub struct Attempts {
    settlement: Settlement,
    request: ChatRequest,
    body: Bytes,
    deadline: Deadline,
    made: u32,
    last: Option<Arc<Failure>>,
}

/// What a good attempt gave.
enum Outcome {
    Whole(Bytes, WholeAnswer),
    Stream(Box<ProvedStream>),
}

/// A stream that has shown content.
pub(super) struct ProvedStream {
    pub response: UpstreamResponse,
    pub chat: ChatStream,
    /// What has come of it so far and is to be sent.
    pub held: Bytes,
    /// Set when it is over already.
    pub ending: Option<Ending>,
}

/// Why going on is pointless.
enum Dead {
    Stop(Arc<Failure>),
    Deadline,
    Restarting,
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
        Self { settlement, request, body, deadline, made: 0, last: None }
    }

    /// Serves the request. A stream that nobody has answered in time is opened all the same, and
    /// goes on trying behind keep-alives.
    ///
    /// Errors: [`RelayError`]; the request is settled then.
    pub async fn serve(self) -> Result<Served, RelayError> {
        let relay = Rc::clone(self.settlement.relay());
        let streamed = self.request.stream;
        let mut proving = Box::pin(self.prove());
        if !streamed {
            return Ok(Served::from(proving.await?));
        }
        match tokio::time::timeout(relay.settings.keep_alive, &mut proving).await {
            Ok(proved) => Ok(Served::from(proved?)),
            Err(_) => {
                let body = ClientStream::waiting(proving, relay.settings.keep_alive);
                Ok(Served::Stream { by: None, body })
            }
        }
    }

    async fn prove(mut self) -> Result<Proved, RelayError> {
        match self.try_all().await {
            Ok((outcome, candidate)) => self.deliver(outcome, &candidate).await,
            Err(error) => {
                self.settlement.fail(&error);
                Err(error)
            }
        }
    }

    fn relay(&self) -> &Rc<Relay> {
        self.settlement.relay()
    }

    async fn try_all(&mut self) -> Result<(Outcome, Candidate), RelayError> {
        let plan = self.plan().await?;
        let mut soonest = None;
        for candidate in plan.candidates {
            match self.try_candidate(&candidate, &mut soonest).await {
                Ok(Some(outcome)) => return Ok((outcome, candidate)),
                Ok(None) => {}
                Err(Dead::Stop(failure)) if failure.is_about_the_request() => {
                    return Err(RelayError::AtFault(failure));
                }
                Err(Dead::Stop(last)) => return Err(self.exhausted(last).await),
                Err(Dead::Deadline) => return Err(RelayError::DeadlinePassed),
                Err(Dead::Restarting) => return Err(RelayError::Restarting),
            }
        }
        match (self.last.take(), soonest) {
            (Some(last), _) => Err(self.exhausted(last).await),
            (None, Some((until, cause))) => Err(RelayError::Cooling {
                model: self.request.model.clone(),
                cause,
                retry_after: until.since(now()),
            }),
            // Every key went away between the plan and the lease.
            (None, None) => Err(RelayError::NoProvider),
        }
    }

    async fn plan(&self) -> Result<Plan, RelayError> {
        let question = PlanRequest { model: self.request.model.clone() };
        let planned = self.ask(&self.relay().peers.plan, question).await;
        match planned.map_err(|dead| match dead {
            Dead::Deadline => RelayError::DeadlinePassed,
            Dead::Stop(_) | Dead::Restarting => RelayError::Restarting,
        })? {
            Ok(plan) => Ok(plan),
            Err(PlanError::NoProvider) => Err(RelayError::NoProvider),
            Err(PlanError::NoSuchModel(model)) => Err(RelayError::NoSuchModel(model)),
            Err(PlanError::Cooling { model, until, cause }) => {
                Err(RelayError::Cooling { model, cause, retry_after: until.since(now()) })
            }
        }
    }

    /// Asks an actor within the deadline. A part that has just panicked is asked once more: it
    /// lost the question, and has restarted by now.
    async fn ask<M>(&self, actor: &Recipient<M>, question: M) -> Result<M::Result, Dead>
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        if let Ok(answer) = self.deadline.bound(actor.send(question.clone())).await? {
            return Ok(answer);
        }
        self.deadline.bound(actor.send(question)).await?.map_err(|_| Dead::Restarting)
    }

    /// Tries one candidate with one credential after the other. `None`: on to the next candidate.
    async fn try_candidate(
        &mut self,
        candidate: &Candidate,
        soonest: &mut Option<(Timestamp, FailureClass)>,
    ) -> Result<Option<Outcome>, Dead> {
        let mut tried: Vec<CredentialId> = Vec::new();
        let mut again: Option<Lease> = None;
        let mut repeated = false;
        loop {
            let lease = match again.take() {
                Some(lease) => Some(lease),
                None if candidate.needs_credential => match self.lease(candidate, &tried).await? {
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
            let failure = match self.attempt(candidate, lease.as_ref()).await? {
                Ok(outcome) => {
                    self.tell_success(candidate, lease);
                    return Ok(Some(outcome));
                }
                Err(failure) => Arc::new(failure),
            };
            self.tell_failure(candidate, lease.as_ref(), &failure);
            self.last = Some(Arc::clone(&failure));
            match next_step(failure.class, repeated) {
                NextStep::Stop => return Err(Dead::Stop(failure)),
                NextStep::Repeat => {
                    if !self.may_repeat(candidate).await? {
                        self.tell_failover(candidate, failure.class, FailoverStep::Provider);
                        return Ok(None);
                    }
                    repeated = true;
                    again = lease;
                }
                NextStep::OtherCredential => {
                    let Some(lease) = lease else { return Ok(None) };
                    tried.push(lease.id);
                    self.tell_failover(candidate, failure.class, FailoverStep::Credential);
                }
                NextStep::OtherProvider => {
                    self.tell_failover(candidate, failure.class, FailoverStep::Provider);
                    return Ok(None);
                }
            }
        }
    }

    async fn lease(
        &self,
        candidate: &Candidate,
        tried: &[CredentialId],
    ) -> Result<Result<Lease, LeaseError>, Dead> {
        let question = LeaseCredential {
            provider_id: candidate.provider.id.clone(),
            model: candidate.model.clone(),
            tried: tried.to_vec(),
        };
        self.ask(&self.relay().peers.lease, question).await
    }

    /// Waits the jittered pause before the same place is tried again, if the budget allows it.
    async fn may_repeat(&self, candidate: &Candidate) -> Result<bool, Dead> {
        let pause = Duration::from_millis(rand::rng().random_range(REPEAT_PAUSE_MS));
        if !self.deadline.allows(pause) {
            return Ok(false);
        }
        let question = TakeRetry { provider_id: candidate.provider.id.clone() };
        let allowed = self.ask(&self.relay().peers.take_retry, question).await?;
        if allowed {
            tokio::time::sleep(pause).await;
        }
        Ok(allowed)
    }

    /// One try of one candidate with one credential.
    async fn attempt(
        &mut self,
        candidate: &Candidate,
        lease: Option<&Lease>,
    ) -> Result<Result<Outcome, Failure>, Dead> {
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
        let Some(url) = candidate.provider.chat_url() else {
            let missing = Failure::new(FailureClass::Server, "the provider has no address");
            return Ok(Err(missing));
        };
        let relay = Rc::clone(self.relay());
        let ask_usage = relay.settings.ask_stream_usage;
        let idle = relay.settings.idle_timeout;
        let waits = Waits {
            // The request's own deadline comes first, and is not held against the provider.
            deadline: self.deadline.instant() + Duration::from_secs(1),
            head: if self.request.stream { idle } else { relay.settings.timeout },
            idle,
        };
        let request = UpstreamRequest {
            url: &url,
            credential: lease.map(|lease| &lease.secret),
            headers: &candidate.provider.headers,
            body: rewrite(&self.body, &self.request, &candidate.model, ask_usage),
            stream: self.request.stream,
            location: candidate.provider.location,
            waits,
        };
        let strip_usage = ask_usage && self.request.may_ask_usage();
        let streamed = self.request.stream;
        let work = async {
            if streamed {
                // An upstream's own keep-alives do not make it less silent.
                let proving = prove_stream(&relay, request, strip_usage);
                tokio::time::timeout(idle, proving).await.unwrap_or_else(|_| {
                    let detail = format!("no first event within {} s", idle.as_secs_f32());
                    Err(Failure::new(FailureClass::Silent, detail))
                })
            } else {
                prove_whole(&relay, request).await
            }
        };
        let outcome = self.deadline.bound(work).await?;
        let failure = outcome.as_ref().err().map(|failure| failure.class);
        relay.metrics.attempted(&candidate.provider.id, failure);
        Ok(outcome)
    }

    fn tell_success(&self, candidate: &Candidate, lease: Option<Lease>) {
        let peers = &self.relay().peers;
        let provider_id = candidate.provider.id.clone();
        let model = candidate.model.clone();
        if let Some(lease) = lease {
            peers.credential_succeeded.do_send(CredentialSucceeded {
                provider_id: provider_id.clone(),
                credential_id: lease.id,
                model: model.clone(),
            });
        }
        peers.attempt_succeeded.do_send(AttemptSucceeded { provider_id, model });
    }

    fn tell_failure(&self, candidate: &Candidate, lease: Option<&Lease>, failure: &Arc<Failure>) {
        let request_id = self.request_id().map(tracing::field::display);
        tracing::info!(
            request_id,
            provider = %candidate.provider.id,
            credential = lease.map(|lease| tracing::field::display(&lease.id)),
            class = failure.class.as_str(),
            status = failure.status,
            detail = failure.detail,
            "an attempt failed"
        );
        tell_failure(self.relay(), candidate, lease.map(|lease| &lease.id), failure);
    }

    fn request_id(&self) -> Option<RequestId> {
        self.settlement.request_id()
    }

    fn tell_failover(&self, candidate: &Candidate, cause: FailureClass, next: FailoverStep) {
        let Some(request_id) = self.request_id() else { return };
        let data = EventData::Failover { request_id, cause, next };
        let fact = Fact::of_provider(EventType::Failover, candidate.provider.id.clone(), data);
        self.relay().peers.events.do_send(Record(fact));
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

    /// How long until someone could answer. The failures of this request have been told before, so
    /// their cooldowns are in the answer. `None`: cannot be told.
    async fn soonest_again(&self) -> Option<Duration> {
        let plan = match self.plan().await {
            Ok(plan) => plan,
            Err(RelayError::Cooling { retry_after, .. }) => return Some(retry_after),
            Err(_) => return None,
        };
        let mut soonest: Option<Timestamp> = None;
        for candidate in plan.candidates.iter().filter(|candidate| candidate.needs_credential) {
            match self.lease(candidate, &[]).await {
                Ok(Err(LeaseError::Cooling { until, .. })) => {
                    soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
                }
                Ok(Err(LeaseError::NoneLeft)) | Err(_) => {}
                Ok(Ok(_)) => return None,
            }
        }
        soonest.map(|until| until.since(now()))
    }

    /// Turns a proven candidate into what the client gets, on the ledger if it is complete.
    async fn deliver(
        mut self,
        outcome: Outcome,
        candidate: &Candidate,
    ) -> Result<Proved, RelayError> {
        let by = Answered {
            provider_id: candidate.provider.id.clone(),
            model: candidate.model.clone(),
            attempts: self.made,
        };
        match outcome {
            Outcome::Whole(body, answer) => {
                self.settlement.complete(answer.usage).await?;
                Ok(Proved::Whole { by, body })
            }
            Outcome::Stream(proved) => {
                let waited = self.settlement.arrived().elapsed();
                self.relay().metrics.first_event.observe(waited.as_secs_f64());
                if let Some(entry) = self.settlement.entry() {
                    entry.first_event_ms = u64::try_from(waited.as_millis()).ok();
                }
                let live =
                    LiveStream::new(*proved, self.settlement, candidate.clone(), self.deadline);
                Ok(Proved::Stream { by, live: Box::new(live) })
            }
        }
    }
}

/// Tells the owners of provider and credential health about a failed attempt.
pub(super) fn tell_failure(
    relay: &Relay,
    candidate: &Candidate,
    credential_id: Option<&CredentialId>,
    failure: &Arc<Failure>,
) {
    let provider_id = candidate.provider.id.clone();
    let model = candidate.model.clone();
    if let Some(credential_id) = credential_id {
        relay.peers.credential_failed.do_send(CredentialFailed {
            provider_id: provider_id.clone(),
            credential_id: credential_id.clone(),
            model: model.clone(),
            failure: Arc::clone(failure),
        });
    }
    let failure = Arc::clone(failure);
    relay.peers.attempt_failed.do_send(AttemptFailed { provider_id, model, failure });
}

impl From<Proved> for Served {
    fn from(proved: Proved) -> Self {
        match proved {
            Proved::Whole { by, body } => Self::Whole { by, body },
            Proved::Stream { by, live } => {
                Self::Stream { by: Some(by), body: ClientStream::live(live) }
            }
        }
    }
}

/// Sends a request and takes the whole answer, if it is a complete good one.
async fn prove_whole(relay: &Relay, request: UpstreamRequest<'_>) -> Result<Outcome, Failure> {
    let response = relay.upstream.send(request).await?;
    let body = response.read_whole(relay.settings.max_answer_bytes).await?;
    let answer = WholeAnswer::parse(&body)?;
    Ok(Outcome::Whole(body, answer))
}

/// Sends a request and reads its stream up to the first content event.
async fn prove_stream(
    relay: &Relay,
    request: UpstreamRequest<'_>,
    strip_usage: bool,
) -> Result<Outcome, Failure> {
    let mut response = relay.upstream.send(request).await?;
    if response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        // Most likely an error that came with a good status; it says more than that it is no stream.
        WholeAnswer::parse(&response.read_whole(relay.settings.max_answer_bytes).await?)?;
        let detail = "the provider sent a whole answer where a stream was asked for";
        return Err(Failure::new(FailureClass::Server, detail));
    }
    let mut chat = ChatStream::new(strip_usage);
    let mut held = BytesMut::new();
    loop {
        let ending = match response.next_chunk().await? {
            Some(chunk) => {
                let output = chat.feed(chunk);
                held.extend_from_slice(&output.forward);
                output.ending
            }
            None if chat.end() == StreamEnd::Cut => {
                return Err(Failure::new(FailureClass::Cut, "the stream ended before any content"));
            }
            None => Some(Ending::Done(Bytes::new())),
        };
        let is_proved = chat.progress().proved;
        match ending {
            Some(Ending::Failed(failure)) => return Err(failure),
            Some(Ending::Done(_)) if !is_proved => {
                return Err(Failure::new(FailureClass::Cut, "the stream was empty"));
            }
            ending if is_proved => {
                return Ok(Outcome::Stream(Box::new(ProvedStream {
                    response,
                    chat,
                    held: held.freeze(),
                    ending,
                })));
            }
            // What has no content after so many bytes is let through: holding back more helps nobody.
            None if held.len() > relay.settings.hold_back_bytes => {
                return Ok(Outcome::Stream(Box::new(ProvedStream {
                    response,
                    chat,
                    held: held.freeze(),
                    ending: None,
                })));
            }
            _ => {}
        }
    }
}
