//! The attempts: stage after stage, candidate after candidate, until one has proved itself or no
//! other can help.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc, time::Duration};

use actix::{Message, Recipient};

use super::{
    deadline::{Deadline, DeadlinePassed},
    error::RelayError,
    inquiry::Inquiry,
    place::Place,
    prove::Prove,
    services::Relay,
    settle::Settlement,
    spent::Spent,
};
use crate::{
    actors::{
        clock::now,
        credentials::CredentialsReady,
        router::{
            Ask, Candidate, Course, ExclusionReason, Locked, Plan, RouterReady, Stage, TakeRetry,
            never_asked,
        },
    },
    domain::{
        chat::Losses,
        failure::{Failure, FailureClass},
        id::{CredentialId, ProviderId},
        time::Timestamp,
        trace::AttemptKind,
        turns::Turn,
    },
};

/// Longest wait for an actor's word on how to go on; without it the request goes on all the same.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest rate limit that is worth waiting for while there are other models to go to: three
/// seconds, and the tenth by which a cooldown is drawn out.
const WORTH_WAITING: Duration = Duration::from_millis(3_300);

/// How often a request waits for a rate limit to end.
const MAX_WAITS: u32 = 2;

/// How often a place is looked for at a busy provider, should the word of it be missed.
const BUSY_LOOK: Duration = Duration::from_millis(250);

/// A request that is admitted and not answered yet.
pub struct Attempts {
    pub(super) inquiry: Inquiry,
    pub(super) deadline: Deadline,
    pub(super) state: RefCell<State>,
    relay: Rc<Relay>,
}

/// What changes from attempt to attempt. Several may be under way at once, on one thread.
pub(super) struct State {
    pub settlement: Settlement,
    pub made: u32,
    /// The last that failed: who goes on after it tells that.
    pub last: Option<LastFailed>,
    /// What the client is told if nobody answers.
    pub verdict: Option<Arc<Failure>>,
    pub spent: Spent,
    /// Credentials that this request does not try again.
    pub tried: Vec<CredentialId>,
    /// When the first of those passed over comes back.
    pub soonest: Option<(Timestamp, FailureClass)>,
    /// A provider that had no place left.
    pub busy: Option<ProviderId>,
    /// The stage whose candidate has proved itself.
    pub stage: Option<Stage>,
    /// Whether that was a fallback, and not what was asked for.
    pub is_fallback: bool,
    /// Whether an alias has put another name in the place of the one asked for.
    pub is_substituted: bool,
    /// Attempts made to go on with a stream.
    pub resumes: u32,
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
pub(super) struct Won<P> {
    pub proof: P,
    pub place: Place,
    pub attempts: Rc<Attempts>,
}

/// Why going on is pointless.
pub(super) enum Dead {
    Stop(Arc<Failure>),
    Deadline,
}

impl From<DeadlinePassed> for Dead {
    fn from(_: DeadlinePassed) -> Self {
        Self::Deadline
    }
}

impl Attempts {
    pub(super) fn new(settlement: Settlement, inquiry: Inquiry, deadline: Deadline) -> Self {
        let relay = Rc::clone(settlement.relay());
        let state = State {
            settlement,
            made: 0,
            last: None,
            verdict: None,
            spent: Spent::default(),
            tried: Vec::new(),
            soonest: None,
            busy: None,
            stage: None,
            is_fallback: false,
            is_substituted: false,
            resumes: 0,
            lossy: None,
            is_unserved: false,
        };
        Self { inquiry, deadline, state: RefCell::new(state), relay }
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.inquiry.request.is_streamed()
    }

    pub(super) fn relay(&self) -> &Rc<Relay> {
        &self.relay
    }

    /// The account of a request that is over.
    pub(super) fn into_settlement(self: Rc<Self>) -> Settlement {
        let attempts = Rc::into_inner(self).expect("nothing goes on with a request that is over");
        attempts.state.into_inner().settlement
    }

    /// Attempts made so far.
    pub(super) fn made(&self) -> u32 {
        self.state.borrow().made
    }

    /// What led to another model than the one that was asked for.
    pub(super) fn substitution(&self) -> Option<&'static str> {
        let state = self.state.borrow();
        if state.is_fallback {
            return Some("fallback");
        }
        state.is_substituted.then_some("alias")
    }

    /// Makes attempts until a candidate has proved itself to `prove`.
    ///
    /// Errors: [`RelayError`]; the request is settled then.
    pub(super) async fn run<P>(self: Rc<Self>, prove: impl Prove<P>) -> Result<Won<P>, RelayError> {
        self.win(prove).await.map_err(|(error, attempts)| {
            attempts.state.borrow_mut().settlement.fail(&error);
            error
        })
    }

    /// The same for whoever may have another answer.
    ///
    /// Errors: [`RelayError`], and the request, which is not settled.
    pub(super) async fn win<P>(
        self: Rc<Self>,
        prove: impl Prove<P>,
    ) -> Result<Won<P>, (RelayError, Rc<Self>)> {
        match self.try_all(&prove).await {
            Ok((proof, place)) => {
                self.state.borrow_mut().settlement.journey().won(place.number);
                Ok(Won { proof, place, attempts: self })
            }
            Err(error) => Err((error, self)),
        }
    }

    async fn try_all<P>(&self, prove: &impl Prove<P>) -> Result<(P, Place), RelayError> {
        let sights = &self.relay().sights;
        sights.routing.read().count_request();
        let asked = self.inquiry.request.model();
        let course = sights.routing.read().course(asked, &sights.providers.read());
        if let Some(substitution) = &course.substitution {
            let mut state = self.state.borrow_mut();
            state.is_substituted = true;
            state.settlement.journey().substituted(substitution);
        }
        let mut waits = 0;
        loop {
            // Begun before the plans, so that what is published meanwhile is not missed.
            let (routing, credentials) = (sights.routing.changed(), sights.credentials.changed());
            self.state.borrow_mut().soonest = None;
            for (n, stage) in course.stages.iter().enumerate() {
                match self.try_stage(stage, n > 0, &mut waits, prove).await {
                    Ok(Some(won)) => return Ok(won),
                    Ok(None) => {}
                    Err(Dead::Stop(failure)) => return Err(self.stopped(&course, failure).await),
                    Err(Dead::Deadline) => return Err(RelayError::DeadlinePassed),
                }
            }
            let Some(until) = self.worth_waiting() else { break };
            let freed = self.state.borrow_mut().busy.take();
            let freed = freed.and_then(|id| sights.credentials.read().freed(&id));
            let freed = async {
                match freed {
                    Some(freed) => freed.await,
                    None => std::future::pending().await,
                }
            };
            let wait = async {
                tokio::select! {
                    () = tokio::time::sleep(until) => {}
                    () = routing => {}
                    () = credentials => {}
                    () = freed => {}
                    // Who still cannot be served then is told so, instead of being cut off.
                    () = self.relay().gate.closed() => {}
                }
            };
            let waited = self.deadline.bound(wait).await;
            waited.map_err(|_: DeadlinePassed| RelayError::DeadlinePassed)?;
        }
        let verdict = self.state.borrow_mut().verdict.take();
        Err(match verdict {
            Some(verdict) => self.stopped(&course, verdict).await,
            None => self.nobody(&course),
        })
    }

    /// How long to wait for somebody who can be asked: for a free place; and, when nobody has been
    /// asked yet because all are cooling, for the first of them, if the deadline allows it.
    fn worth_waiting(&self) -> Option<Duration> {
        if self.relay().gate.is_draining() {
            return None;
        }
        let state = self.state.borrow();
        if state.busy.is_some() {
            return Some(BUSY_LOOK);
        }
        let (until, _) = state.soonest.filter(|_| state.made == 0)?;
        Some(until.since(now())).filter(|wait| self.deadline.allows(*wait))
    }

    /// Tries the candidates of one stage. `None`: none of them could answer.
    async fn try_stage<P>(
        &self,
        stage: &Stage,
        is_fallback: bool,
        waits: &mut u32,
        prove: &impl Prove<P>,
    ) -> Result<Option<(P, Place)>, Dead> {
        loop {
            let plan = self.plan(stage, Turn::Take);
            self.note_plan(stage, &plan);
            self.state.borrow_mut().spent.enter_stage(is_fallback);
            let mut queue = VecDeque::from(plan.candidates);
            while let Some(candidate) = self.next_of(&mut queue) {
                let won = self.race(candidate, &mut queue, stage.may_hedge(), prove).await?;
                if let Some((proof, place)) = won {
                    let mut state = self.state.borrow_mut();
                    (state.stage, state.is_fallback) = (Some(stage.clone()), is_fallback);
                    return Ok(Some((proof, place)));
                }
            }
            if *waits >= MAX_WAITS || !self.wait_for_limit(stage).await? {
                return Ok(None);
            }
            *waits += 1;
        }
    }

    pub(super) fn plan(&self, stage: &Stage, turn: Turn) -> Plan {
        let sights = &self.relay().sights;
        let bound = self.binding();
        let ask = Ask {
            now: now(),
            options: &self.inquiry.options,
            needs: self.inquiry.needs,
            prompt_bytes: self.inquiry.request.body().len() as u64,
            prompt_tokens: &|| self.inquiry.prompt_tokens(),
            bound: bound.as_ref().map(|binding| &binding.provider_id),
        };
        let (providers, credentials) = (sights.providers.read(), sights.credentials.read());
        sights.routing.read().plan(&ask, stage, &providers, &credentials, turn)
    }

    fn note_plan(&self, stage: &Stage, plan: &Plan) {
        let pools_own = self.relay().sights.routing.read().routes().strategy();
        let strategy = stage.strategy(&self.inquiry.options).unwrap_or(pools_own);
        let mut state = self.state.borrow_mut();
        state.settlement.journey().planned(stage, strategy, plan);
        if let Some((until, cause)) = plan.soonest_back() {
            note_soonest(&mut state.soonest, until, cause);
        }
        let spent = &state.spent;
        let busy = plan.busy().find(|busy| !spent.is_excluded(&busy.provider_id, &busy.model));
        if let Some(busy) = busy {
            state.busy = Some(busy.provider_id.clone());
        }
    }

    /// Waits for a rate limit of this model that is about to end. `false`: there is none.
    async fn wait_for_limit(&self, stage: &Stage) -> Result<bool, Dead> {
        let is_limited = |failure: &Arc<Failure>| failure.class == FailureClass::RateLimit;
        let was_limited = self.state.borrow().verdict.as_ref().is_some_and(is_limited);
        let was_kept_away =
            self.state.borrow().soonest.is_some_and(|(_, cause)| cause == FailureClass::RateLimit);
        if !was_limited && !was_kept_away || self.relay().gate.is_draining() {
            return Ok(false);
        }
        if was_limited && !self.heard().await {
            return Ok(false);
        }
        let plan = self.plan(stage, Turn::Look);
        let is_back = plan.candidates.iter().any(|candidate| {
            // A place that was refused for its limit is not spent.
            !self.state.borrow().spent.is_spent(candidate)
        });
        let wait = match plan.soonest_back() {
            _ if is_back && was_limited => Duration::ZERO,
            Some((until, FailureClass::RateLimit)) => until.since(now()),
            _ => return Ok(false),
        };
        if wait > WORTH_WAITING || !self.deadline.allows(wait) {
            return Ok(false);
        }
        let ended = async {
            tokio::select! {
                () = tokio::time::sleep(wait) => true,
                () = self.relay().gate.closed() => false,
            }
        };
        if !self.deadline.bound(ended).await? {
            return Ok(false);
        }
        // Who was refused is asked again: that is a retry as any other.
        Ok(!was_limited || self.take_retry(None).await)
    }

    /// Waits until what this request has told of its failures is in what is published.
    async fn heard(&self) -> bool {
        let peers = &self.relay().peers;
        // In this order: Credentials may have something to tell the Router.
        self.ask_in_time(&peers.credentials_ready, CredentialsReady).await.is_some()
            && self.ask_in_time(&peers.router_ready, RouterReady).await.is_some()
    }

    /// Takes one attempt more than there are requests from the budget, if it has one. `provider`: one
    /// that must not be cooling by now.
    pub(super) async fn take_retry(&self, provider: Option<&ProviderId>) -> bool {
        let question = TakeRetry { provider_id: provider.cloned() };
        self.ask_in_time(&self.relay().peers.take_retry, question).await == Some(true)
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
    async fn stopped(&self, course: &Course, last: Arc<Failure>) -> RelayError {
        if last.is_about_the_request() {
            return RelayError::AtFault(last);
        }
        let retry_after = match last.class {
            FailureClass::RateLimit | FailureClass::Payment | FailureClass::Overload => {
                self.soonest_again(course).await
            }
            _ => None,
        };
        RelayError::Exhausted { last, attempts: self.made(), retry_after }
    }

    /// How long until someone could answer. `None`: at once, or it cannot be told.
    async fn soonest_again(&self, course: &Course) -> Option<Duration> {
        if !self.heard().await {
            return None;
        }
        let plans: Vec<Plan> =
            course.stages.iter().map(|stage| self.plan(stage, Turn::Look)).collect();
        if plans.iter().any(|plan| !plan.candidates.is_empty()) {
            return None;
        }
        let soonest = plans.iter().filter_map(Plan::soonest_back).map(|(until, _)| until).min();
        soonest.map(|until| until.since(now()))
    }

    /// Why nobody was asked.
    fn nobody(&self, course: &Course) -> RelayError {
        let state = self.state.borrow();
        let first = &course.stages[0];
        if let Some(Locked { kind, name }) = first.locked.clone() {
            return RelayError::RouteUnreadable { kind, name };
        }
        let model = first.model.clone();
        if let Some(losses) = &state.lossy {
            return RelayError::Lossy { model, losses: losses.clone() };
        }
        if state.is_unserved && self.inquiry.request.continues_elsewhere() {
            return RelayError::UnknownAnswer;
        }
        if state.is_unserved {
            return RelayError::NotOffered { model };
        }
        if let Some((until, cause)) = state.soonest {
            return RelayError::Cooling { model, cause, retry_after: until.since(now()) };
        }
        drop(state);
        let plans: Vec<Plan> =
            course.stages.iter().map(|stage| self.plan(stage, Turn::Look)).collect();
        let reasons = || plans.iter().flat_map(|plan| &plan.exclusions).map(|e| e.reason);
        let lacking = reasons().find_map(|reason| match reason {
            ExclusionReason::Lacks { capabilities } => Some(capabilities),
            _ => None,
        });
        if let Some(capabilities) = lacking {
            return RelayError::Lacking { model, capabilities };
        }
        let is_own_wish = |reason| {
            matches!(reason, ExclusionReason::ExcludedByRequest | ExclusionReason::OtherMode)
        };
        if reasons().any(is_own_wish) {
            return RelayError::NoneAllowed { model };
        }
        let table = self.relay().sights.providers.read();
        let serves_others = reasons().next().is_some()
            || never_asked(first, &table)
                .iter()
                .any(|exclusion| exclusion.reason == ExclusionReason::OtherModel);
        if serves_others { RelayError::NoSuchModel(model) } else { RelayError::NoProvider }
    }

    /// The kind of an attempt at another place.
    pub(super) fn next_kind(&self) -> AttemptKind {
        if self.made() == 0 { AttemptKind::First } else { AttemptKind::Failover }
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
