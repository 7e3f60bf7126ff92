//! A request on its way to an answer: what plans it has, what it asks of actors, and what its client is
//! told when nobody answers.

use std::{cell::RefCell, ops::Range, rc::Rc, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use tokio::time::Instant;

use super::{
    admitted_request::AdmittedRequest,
    attempt::Attempt,
    commit::Commit,
    deadline::{Deadline, DeadlinePassed},
    error::RelayError,
    retry::{End, Event, Limits, Planned, Retry, Slot, StageRules, passes_after},
    run::Winner,
    services::Relay,
    settle::Settlement,
};
use crate::{
    actors::{
        clock::steady,
        health::AwaitHealth,
        registry::ListedProvider,
        router::{
            Candidate, ExclusionReason, FallbackChain, Locked, Plan, PlanRequest, Stage, TakeRetry,
            never_asked,
        },
    },
    domain::{
        chat::Losses,
        cooldown::Use,
        cooling::CoolingSettings,
        failure::{Failure, FailureClass},
        id::{CredentialId, ModelName, ProviderId},
        rotation::TurnMode,
        time::Timestamp,
    },
    gateway::exchange::Operation,
};

/// Longest wait for an actor's word on how to go on; without it the request goes on all the same.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// A request that is admitted and not answered yet.
pub struct Dispatch {
    pub(super) admitted: AdmittedRequest,
    pub(super) deadline: Deadline,
    pub(super) state: RefCell<State>,
    /// What the name asked for leads to.
    chain: FallbackChain,
    arrived: Instant,
    relay: Rc<Relay>,
}

/// What changes from attempt to attempt. Two may be under way at once, on one thread.
pub(super) struct State {
    pub settlement: Settlement,
    pub retry: Retry,
    /// The last that failed: who goes on after it tells that.
    pub last: Option<LastFailed>,
    /// A provider that had no place left.
    pub busy: Option<ProviderId>,
    /// Whether the answer is a fallback's, and not of what was asked for.
    pub is_fallback: bool,
    /// What would be lost on the way to a candidate that was passed over because of it.
    pub lossy: Option<Losses>,
    /// Whether a candidate was passed over because its APIs have nothing of what is asked for.
    pub is_unserved: bool,
}

/// The attempt before.
pub(super) struct LastFailed {
    pub candidate: Candidate,
    pub credential_id: Option<CredentialId>,
    pub failure: Arc<Failure>,
}

/// A candidate that has proved itself, and the request it has proved itself to.
pub(super) struct Committed<P> {
    pub answer: P,
    pub attempt: Attempt,
    pub dispatch: Rc<Dispatch>,
}

impl Dispatch {
    pub(super) fn new(
        mut settlement: Settlement,
        admitted: AdmittedRequest,
        deadline: Deadline,
    ) -> Self {
        let relay = Rc::clone(settlement.relay());
        let arrived = settlement.arrived();
        let snapshots = &relay.snapshots;
        let chain = {
            let routing = snapshots.routing.read();
            routing.count_request();
            routing.chain(admitted.request.model(), &snapshots.providers.read())
        };
        if let Some(substitution) = &chain.substitution {
            settlement.trace().substituted(substitution);
        }
        let hedges = relay.settings.hedge.is_some();
        let rules = |stage: &Stage| StageRules { may_hedge: hedges && stage.may_hedge() };
        // What can be told at once is not waited for, nor is somebody silent.
        let is_count = admitted.request.asked().operation() == Operation::CountTokens;
        let patience = relay.settings.hedge.unwrap_or_default().unknown;
        let deadline = if is_count { deadline.at_most(arrived + patience) } else { deadline };
        let limits = Limits {
            deadline: deadline.instant().duration_since(arrived),
            max_wait: if is_count { Duration::ZERO } else { relay.settings.max_wait },
            pause: relay.settings.retry_pause,
        };
        let retry = Retry::new(limits, chain.stages.iter().map(rules).collect());
        let state = State {
            settlement,
            retry,
            last: None,
            busy: None,
            is_fallback: false,
            lossy: None,
            is_unserved: false,
        };
        Self { admitted, deadline, state: RefCell::new(state), chain, arrived, relay }
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.admitted.request.is_streamed()
    }

    pub(super) fn arrived(&self) -> Instant {
        self.arrived
    }

    pub(super) fn relay(&self) -> &Rc<Relay> {
        &self.relay
    }

    /// The account of a request that is over.
    pub(super) fn into_settlement(self: Rc<Self>) -> Settlement {
        let dispatch = Rc::into_inner(self).expect("nothing goes on with a request that is over");
        dispatch.state.into_inner().settlement
    }

    /// Attempts made so far.
    pub(super) fn made(&self) -> u32 {
        self.state.borrow().retry.made()
    }

    /// What led to another model than the one that was asked for.
    pub(super) fn substitution(&self) -> Option<&'static str> {
        if self.state.borrow().is_fallback {
            return Some("fallback");
        }
        self.chain.substitution.as_ref().map(|_| "alias")
    }

    /// Makes attempts until a candidate has answered to `commit`.
    ///
    /// Errors: [`RelayError`]; the request is settled then.
    pub(super) async fn run<P>(
        self: Rc<Self>,
        commit: impl Commit<P>,
    ) -> Result<Committed<P>, RelayError> {
        self.win(commit).await.map_err(|(error, dispatch)| {
            dispatch.state.borrow_mut().settlement.fail(&error);
            error
        })
    }

    /// The same for whoever may have another answer.
    ///
    /// Errors: [`RelayError`], and the request, which is not settled.
    pub(super) async fn win<P>(
        self: Rc<Self>,
        commit: impl Commit<P>,
    ) -> Result<Committed<P>, (RelayError, Rc<Self>)> {
        match self.drive(Event::Begin, &commit).await {
            Ok(Winner { answer, attempt, stage }) => {
                {
                    let mut state = self.state.borrow_mut();
                    state.is_fallback = stage > 0;
                    state.settlement.trace().won(attempt.number);
                }
                Ok(Committed { answer, attempt, dispatch: self })
            }
            Err(End::Failed(failure)) => Err((self.final_error(failure).await, self)),
            Err(End::Deadline) => Err((RelayError::DeadlinePassed, self)),
            Err(End::NobodyAsked | End::NotResumed) => Err((self.no_candidate_error(), self)),
        }
    }

    /// Plans a stage, once all that was told of failures is heard, and puts the plan on the trace.
    pub(super) async fn planned(&self, stage: usize, turn: TurnMode) -> Planned {
        if self.state.borrow().last.is_some() {
            // Without an answer, what is published will do.
            self.await_published().await;
        }
        let stage = &self.chain.stages[stage];
        let plan = self.plan(stage, turn);
        if turn == TurnMode::Take {
            self.note_plan(stage, &plan);
        }
        let soonest = self.soonest_back(&plan).map(|(until, cause)| (self.at(until), cause));
        let mut state = self.state.borrow_mut();
        let busy = plan.busy().find(|busy| !state.retry.rules_out(&busy.provider_id, &busy.model));
        if let Some(busy) = busy {
            state.busy = Some(busy.provider_id.clone());
        }
        Planned { has_busy: busy.is_some(), candidates: plan.candidates, soonest }
    }

    /// What the plans of these stages would be, once all that was told of failures is heard.
    pub(super) async fn looked(&self, stages: Range<usize>) -> Event {
        if !self.await_published().await {
            return Event::Looked { is_open: false, soonest: None };
        }
        let (mut is_open, mut soonest) = (false, None);
        for stage in stages {
            let plan = self.plan(&self.chain.stages[stage], TurnMode::Look);
            let retry = &self.state.borrow().retry;
            is_open |= plan.candidates.iter().any(|it| !retry.excludes(it, stage));
            if let Some((until, cause)) = self.soonest_back(&plan) {
                note_soonest(&mut soonest, until, cause);
            }
        }
        let soonest = soonest.map(|(until, cause)| (self.at(until), cause));
        Event::Looked { is_open, soonest }
    }

    /// When the first of a plan comes back whom the request asks again, and why it is away.
    fn soonest_back(&self, plan: &Plan) -> Option<(Timestamp, FailureClass)> {
        let retry = &self.state.borrow().retry;
        plan.soonest_back(|provider, model| !retry.rules_out(provider, model))
    }

    /// Since when it is under way.
    pub(super) fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// A moment to come as the time since the request arrived.
    pub(super) fn at(&self, moment: Timestamp) -> Duration {
        self.elapsed() + moment.since(steady())
    }

    fn plan(&self, stage: &Stage, turn: TurnMode) -> Plan {
        self.plan_with(stage, turn, &|provider, model, key| {
            self.state.borrow().retry.has_tried(provider, model, key)
        })
    }

    /// The plans of all stages as the next request will have them.
    fn next_plans(&self) -> Vec<Plan> {
        let plan = |stage| self.plan_with(stage, TurnMode::Look, &|_, _, _| false);
        self.chain.stages.iter().map(plan).collect()
    }

    fn plan_with(
        &self,
        stage: &Stage,
        turn: TurnMode,
        is_tried: &dyn Fn(&ProviderId, &ModelName, &CredentialId) -> bool,
    ) -> Plan {
        let snapshots = &self.relay().snapshots;
        let bound = self.binding();
        let request = PlanRequest {
            now: steady(),
            options: &self.admitted.options,
            client: self.admitted.request.api().dialect(),
            is_chat: self.asks_for_answer(),
            is_streamed: self.is_streamed(),
            needs: self.admitted.needs,
            prompt_bytes: self.admitted.request.body().len() as u64,
            prompt_tokens: &|| self.admitted.prompt_tokens(),
            bound: bound.as_ref().map(|binding| &binding.provider_id),
            is_tried,
        };
        let (providers, credentials) = (snapshots.providers.read(), snapshots.credentials.read());
        let health = snapshots.health.read();
        snapshots.routing.read().plan(&request, stage, &providers, &credentials, &health, turn)
    }

    /// The time that the route of a stage gives to an attempt at a whole answer.
    pub(super) fn attempt_timeout_ms(&self, stage: usize) -> Option<u32> {
        self.chain.stages[stage].route.as_ref()?.attempt_timeout_ms
    }

    /// What the route of a stage sets of how failures cool.
    pub(super) fn cooling(&self, stage: usize) -> Option<CoolingSettings> {
        self.chain.stages[stage].route.as_ref()?.cooling
    }

    fn note_plan(&self, stage: &Stage, plan: &Plan) {
        let pools_own = self.relay().snapshots.routing.read().routes().strategy();
        let strategy = stage.strategy(&self.admitted.options).unwrap_or(pools_own);
        self.state.borrow_mut().settlement.trace().planned(stage, strategy, plan);
    }

    /// Waits until what this request has told of its failures is in what is published.
    async fn await_published(&self) -> bool {
        self.ask_in_time(&self.relay().recipients.health_ready, AwaitHealth).await.is_some()
    }

    /// Takes one attempt more than there are requests from the budget, if it has one. `repeats`: the one
    /// to be made once more, at a candidate that must not be cooling by now.
    pub(super) async fn take_retry(&self, repeats: Option<Slot>) -> bool {
        if let Some(slot) = repeats
            && (!self.await_published().await || self.is_cooling(slot))
        {
            return false;
        }
        let is_granted =
            self.ask_in_time(&self.relay().recipients.take_retry, TakeRetry).await == Some(true);
        if !is_granted {
            self.relay().metrics.retry_budget_empty.inc();
        }
        is_granted
    }

    fn is_cooling(&self, slot: Slot) -> bool {
        let state = self.state.borrow();
        let Candidate { provider, model, .. } = state.retry.candidate(slot);
        let used = Use { provider: &provider.id, credential: None, model };
        self.relay().snapshots.health.read().kept_from(steady(), used).is_some()
    }

    /// Asks an actor, for as long as a small answer is worth waiting for.
    async fn ask_in_time<M>(&self, actor: &Recipient<M>, question: M) -> Option<M::Result>
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        self.ask(actor, question, ASK_TIMEOUT).await.ok()?
    }

    /// Asks an actor, for `patience` at most. One that has just panicked is asked once more: it lost
    /// the question, and may have restarted by now. `None`: there is no answer.
    pub(super) async fn ask<M>(
        &self,
        actor: &Recipient<M>,
        question: M,
        patience: Duration,
    ) -> Result<Option<M::Result>, DeadlinePassed>
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
        let bounded = tokio::time::timeout(patience, asking);
        Ok(self.deadline.bound(bounded).await?.ok().flatten())
    }

    /// The error after the last attempt, with the time at which asking again makes sense.
    async fn final_error(&self, last: Arc<Failure>) -> RelayError {
        let passes = matches!(
            last.class_told(),
            FailureClass::RateLimit | FailureClass::Payment | FailureClass::Overload
        );
        // Where it cooled nothing, its own word is all there is, or what its class says.
        let retry_after = if passes {
            let usual = || last.is_aside.then(|| passes_after(&last));
            self.soonest_again(&last).await.or(last.retry_after).or_else(usual)
        } else {
            last.retry_after
        };
        if last.is_about_the_request() {
            return RelayError::AtFault(Arc::new(Failure { retry_after, ..(*last).clone() }));
        }
        let provider = self.state.borrow().retry.failed_at(&last).map(|(id, _)| id.clone());
        RelayError::Exhausted { last, provider, attempts: self.made(), retry_after }
    }

    /// How long until someone could answer after this failure. `None`: at once, or it cannot be told.
    async fn soonest_again(&self, last: &Arc<Failure>) -> Option<Duration> {
        if !self.await_published().await {
            return None;
        }
        let plans = self.next_plans();
        let is_open = plans.iter().any(|plan| !plan.candidates.is_empty());
        let state = self.state.borrow();
        // Who could be asked at once has failed in a way that passes later: what is told is this failure's.
        let failed_at = state.retry.failed_at(last);
        let back = |plan: &Plan| {
            plan.soonest_back(|provider, model| !is_open || failed_at == Some((provider, model)))
        };
        let soonest = plans.iter().filter_map(back).map(|(until, _)| until).min();
        soonest.map(|until| until.since(steady()))
    }

    /// Why nobody was asked.
    fn no_candidate_error(&self) -> RelayError {
        let state = self.state.borrow();
        let first = &self.chain.stages[0];
        if let Some(Locked { kind, name }) = first.locked.clone() {
            return RelayError::RouteUnreadable { kind, name };
        }
        let model = first.model.clone();
        if let Some(losses) = &state.lossy {
            return RelayError::Lossy { model, losses: losses.clone() };
        }
        if state.is_unserved && self.admitted.request.continues_elsewhere() {
            return RelayError::UnknownAnswer;
        }
        if state.is_unserved {
            return RelayError::NotOffered { model };
        }
        // A place is free before a cooldown is over.
        if state.retry.has_busy() {
            return RelayError::ProvidersBusy { model };
        }
        if let Some((until, cause)) = state.retry.soonest() {
            let retry_after = until.saturating_sub(self.elapsed());
            return RelayError::Cooling { model, cause, retry_after };
        }
        drop(state);
        let plans = self.next_plans();
        let reasons = || plans.iter().flat_map(|plan| &plan.exclusions).map(|e| e.reason);
        if reasons().any(|reason| reason == ExclusionReason::ForEmbeddings) {
            return RelayError::ForEmbeddings { model };
        }
        let lacking = reasons().find_map(|reason| match reason {
            ExclusionReason::Lacks { capabilities } => Some(capabilities),
            _ => None,
        });
        if let Some(capabilities) = lacking {
            return RelayError::Lacking { model, capabilities };
        }
        let wish = reasons().find_map(|reason| match reason {
            ExclusionReason::ExcludedByRequest => Some("the header x-providerpool-exclude"),
            ExclusionReason::OtherMode if first.mode.is_some() => Some("its name"),
            ExclusionReason::OtherMode => Some("the header x-providerpool-mode"),
            _ => None,
        });
        if let Some(by) = wish {
            return RelayError::NoneAllowed { model, by };
        }
        let table = self.relay().snapshots.providers.read();
        let is_meant = reasons().next().is_some();
        let serves_others = || {
            let never = never_asked(first, &table);
            never.iter().any(|exclusion| exclusion.reason == ExclusionReason::OtherModel)
        };
        if !is_meant && first.mode.is_some() && table.rows().any(ListedProvider::is_usable) {
            return RelayError::NoModelListed { mode: model };
        }
        if is_meant || serves_others() {
            RelayError::NoSuchModel(model)
        } else {
            RelayError::NoProvider
        }
    }
}

/// Keeps the first end.
pub(super) fn note_soonest(
    known: &mut Option<(Timestamp, FailureClass)>,
    until: Timestamp,
    cause: FailureClass,
) {
    if known.is_none_or(|(known, _)| until < known) {
        *known = Some((until, cause));
    }
}
