//! The shell around the retry core: carries out its actions, and tells it what came of them.

use std::{future::poll_fn, rc::Rc, sync::Arc, task::Poll, time::Duration};

use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep_until};

use super::{
    attempt::{Attempt, AttemptResult},
    commit::Commit,
    dispatch::Dispatch,
    retry::{Action, End, Event, Facts, How, Patience, SLOTS, Slot, Unavailable},
};
use crate::{
    actors::router::Candidate,
    domain::{
        cooling::CoolingSettings,
        failure::{Failure, FailureClass},
        health::Purpose,
        rotation::TurnMode,
        trace::{AttemptEnd, AttemptKind},
    },
};

/// What became of a candidate that has answered.
pub(super) struct Winner<P> {
    pub answer: P,
    pub attempt: Attempt,
    /// The stage it is of.
    pub stage: usize,
}

/// An attempt that is under way.
struct Asking<'r, P> {
    attempt: LocalBoxFuture<'r, AttemptResult<P>>,
    candidate: Candidate,
    cooling: Option<CoolingSettings>,
    number: u32,
    started: Instant,
}

/// What is under way, and what is left of the last attempt of each slot for the next one there.
struct Slots<'r, P> {
    asking: [Option<Asking<'r, P>>; SLOTS],
    attempts: [Option<Attempt>; SLOTS],
}

impl<P> Slots<'_, P> {
    /// Done when an attempt is over.
    async fn over(&mut self) -> (Slot, AttemptResult<P>) {
        poll_fn(|cx| {
            for (slot, asking) in self.asking.iter_mut().enumerate() {
                let Some(under_way) = asking else { continue };
                if let Poll::Ready(tried) = under_way.attempt.as_mut().poll(cx) {
                    *asking = None;
                    return Poll::Ready((slot, tried));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The versions of what plans are made of.
#[derive(Clone, Copy)]
struct Versions {
    health: u64,
    credentials: u64,
    providers: u64,
}

impl Dispatch {
    /// Makes attempts until one has answered to `commit`, beginning with an event.
    pub(super) async fn drive<P>(
        &self,
        first: Event,
        commit: &impl Commit<P>,
    ) -> Result<Winner<P>, End> {
        let mut slots = Slots { asking: [None, None], attempts: [None, None] };
        let mut answer = None;
        // As they were before the plans, so that what is published meanwhile is not missed.
        let mut seen = self.versions();
        let mut event = first;
        loop {
            let action = self.state.borrow_mut().retry.next(self.elapsed(), event);
            event = match action {
                Action::Plan { stage, takes_turn } => {
                    if stage == 0 {
                        seen = self.versions();
                    }
                    let turn = if takes_turn { TurnMode::Take } else { TurnMode::Look };
                    Event::Planned(self.planned(stage, turn).await)
                }
                Action::Ask { slot, how, kind } => {
                    self.ask_slot(&mut slots, slot, how, kind, commit)
                }
                Action::Note { slot, failure, whose } => {
                    if let Some(attempt) = &mut slots.attempts[slot] {
                        self.note(attempt, &failure, whose);
                    }
                    Event::Done
                }
                Action::Abandon { slot, failure } => {
                    self.abandoned(slots.asking[slot].take(), &failure);
                    slots.attempts[slot] = None;
                    Event::Done
                }
                Action::TakeBudget { repeats_at } => {
                    let is_granted = self.take_retry(repeats_at).await;
                    Event::Budget { is_granted, random: rand::random() }
                }
                Action::Look { from, to } => self.looked(from..to).await,
                Action::Wait { until, for_others: true } => self.wait_for_others(until, seen).await,
                Action::Wait { until, for_others: false } => {
                    let until = sleep_until(self.moment(until));
                    let is_idle = slots.asking.iter().all(Option::is_none);
                    tokio::select! {
                        biased;
                        (slot, tried) = slots.over(), if !is_idle => {
                            self.tried(&mut slots, slot, tried, &mut answer)
                        }
                        () = until => Event::Timer,
                        () = self.relay().gate.closed(), if is_idle => Event::Draining,
                    }
                }
                Action::Commit { slot, stage, slow } => {
                    let detail = "another provider answered while this one was silent";
                    let failure = Arc::new(Failure::new(FailureClass::Silent, detail));
                    if let Some(slow) = slow.and_then(|slow| slots.asking[slow].take()) {
                        let purpose = self.purpose(&slow.candidate);
                        let Asking { candidate, cooling, .. } = &slow;
                        self.relay().tell_silence(candidate, purpose, *cooling, &failure);
                    }
                    let attempt = slots.attempts[slot].take().expect("it has answered");
                    let answer = answer.take().expect("it has answered");
                    return Ok(Winner { answer, attempt, stage });
                }
                Action::End(end) => {
                    if let End::Deadline = end {
                        slots.asking.into_iter().flatten().for_each(|it| self.overdue(it));
                    }
                    return Err(end);
                }
            };
        }
    }

    fn versions(&self) -> Versions {
        let snapshots = &self.relay().snapshots;
        Versions {
            health: snapshots.health.version(),
            credentials: snapshots.credentials.version(),
            providers: snapshots.providers.version(),
        }
    }

    /// Waits for somebody who can be asked.
    /// `seen`: the versions of what is published that the plans were made of.
    async fn wait_for_others(&self, until: Duration, seen: Versions) -> Event {
        let snapshots = &self.relay().snapshots;
        let busy = self.state.borrow_mut().busy.take();
        let freed = busy.and_then(|id| snapshots.credentials.read().freed(&id));
        let freed = async {
            match freed {
                Some(freed) => freed.await,
                None => std::future::pending().await,
            }
        };
        let health = snapshots.health.changed_since(seen.health);
        let credentials = snapshots.credentials.changed_since(seen.credentials);
        let providers = snapshots.providers.changed_since(seen.providers);
        tokio::select! {
            () = sleep_until(self.moment(until)) => Event::Timer,
            () = health => Event::Woken,
            () = credentials => Event::Woken,
            () = providers => Event::Woken,
            () = freed => Event::Woken,
            // Who still cannot be served then is told so, instead of being cut off.
            () = self.relay().gate.closed() => Event::Draining,
        }
    }

    /// Begins an attempt.
    fn ask_slot<'r, P: 'r>(
        &'r self,
        slots: &mut Slots<'r, P>,
        slot: Slot,
        how: How,
        kind: AttemptKind,
        commit: &'r impl Commit<P>,
    ) -> Event {
        if let Some(attempt) = &mut slots.attempts[slot] {
            if how == How::OtherFormat && !self.turn_to_next_format(attempt) {
                return Event::Unavailable { slot, why: Unavailable::NoFormat };
            }
            if how == How::NewToken {
                attempt.renew_token();
            }
        }
        let attempt = match self.enter_slot(slots.attempts[slot].take(), slot, how) {
            Ok(Ok(attempt)) => attempt,
            Ok(Err(why)) => return Event::Unavailable { slot, why },
            Err(failure) => {
                let failure = Arc::new(failure);
                return Event::Failed { slot, failure, facts: Facts::default() };
            }
        };
        let (mut attempt, now) = (attempt, Instant::now());
        self.begin(now, &mut attempt, kind);
        let candidate = attempt.candidate.clone();
        let stage = self.state.borrow().retry.stage(slot);
        let patience = self.patience(&candidate, stage);
        let (number, cooling) = (attempt.number, attempt.cooling);
        let attempt = Box::pin(self.attempt(attempt, commit));
        slots.asking[slot] = Some(Asking { attempt, candidate, cooling, number, started: now });
        Event::Started { slot, patience }
    }

    /// Takes what an attempt needs, or keeps what the one before had.
    ///
    /// Errors: the request cannot be read as deep as is needed to translate it.
    fn enter_slot(
        &self,
        last: Option<Attempt>,
        slot: Slot,
        how: How,
    ) -> Result<Result<Attempt, Unavailable>, Failure> {
        let prepared = match (how, last) {
            (How::OtherFormat | How::NewToken, Some(attempt)) => return Ok(Ok(attempt)),
            // What the one before held is given back first. After a pause it may be gone, or cooling.
            (How::OtherCredential | How::Again, Some(attempt)) => attempt.into_prepared(),
            _ => {
                let candidate = self.state.borrow().retry.candidate(slot).clone();
                match self.prepare(&candidate)? {
                    Some(prepared) => Rc::new(prepared),
                    None => return Ok(Err(Unavailable::Unfit)),
                }
            }
        };
        Ok(self.enter(slot, prepared))
    }

    /// How long an attempt may take.
    fn patience(&self, candidate: &Candidate, stage: usize) -> Patience {
        let settings = &self.relay().settings;
        let stats = &candidate.stats;
        if self.is_streamed() {
            let first_event = || stats.first_event(&candidate.model);
            let soft = settings.hedge.map(|limits| limits.first_event(&first_event()));
            return Patience { soft, hard: None };
        }
        let usual = settings
            .hedge
            .and_then(|limits| limits.whole_answer(&stats.whole_answer(&candidate.model)));
        let own = self.attempt_timeout_ms(stage).or(candidate.provider.attempt_timeout_ms);
        let hard = own.map_or(settings.attempt_timeout, |own| Duration::from_millis(own.into()));
        let hard = hard.max(usual.map_or(Duration::ZERO, |soft| soft * 2));
        Patience { soft: usual, hard: Some(hard) }
    }

    /// Takes note of an attempt that is over.
    fn tried<P>(
        &self,
        slots: &mut Slots<'_, P>,
        slot: Slot,
        (mut attempt, result): AttemptResult<P>,
        won: &mut Option<P>,
    ) -> Event {
        let event = match result {
            Ok(Some(answer)) => {
                self.proved(&mut attempt);
                *won = Some(answer);
                Event::Answered { slot }
            }
            Ok(None) => {
                let mut state = self.state.borrow_mut();
                state.settlement.trace().ended(attempt.number, AttemptEnd::Differs);
                Event::Differs { slot }
            }
            Err(failure) => {
                let is_aside = attempt.purpose == Purpose::Aside;
                let failure = Failure { is_aside, ..failure };
                let facts = self.facts(&attempt, &failure);
                Event::Failed { slot, failure: Arc::new(failure), facts }
            }
        };
        slots.attempts[slot] = Some(attempt);
        event
    }

    /// Takes note of an attempt that was given up.
    fn abandoned<P>(&self, asking: Option<Asking<'_, P>>, failure: &Arc<Failure>) {
        let Some(Asking { candidate, cooling, number, .. }) = asking else { return };
        self.state.borrow_mut().settlement.trace().failed(number, failure);
        self.relay().tell_silence(&candidate, self.purpose(&candidate), cooling, failure);
    }

    /// Takes note of an attempt that the request's deadline has ended.
    fn overdue<P>(&self, asking: Asking<'_, P>) {
        let settings = &self.relay().settings;
        // It had too little of the request's time to be blamed.
        let too_little = settings.idle_timeout.min(settings.timeout / 2);
        if self.deadline.is_lowered() || asking.started.elapsed() < too_little {
            return;
        }
        let detail = "there was no whole answer within the time a request may take";
        self.abandoned(Some(asking), &Arc::new(Failure::new(FailureClass::Silent, detail)));
    }

    fn moment(&self, since_arrival: Duration) -> Instant {
        self.arrived() + since_arrival
    }
}
