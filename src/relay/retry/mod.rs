//! What a request does next: which candidate it asks, beside which other, what it waits for, and when it
//! ends. A pure core: it knows no actor, no clock and no future. [`Retry::next`] is told what has happened
//! and answers with one [`Action`], which whoever drives it carries out, to tell what came of it.
//!
//! Times are given since the request arrived.

mod policy;
mod ruled_out;
#[cfg(test)]
mod simulation;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use policy::{Next, Resume, policy};
use ruled_out::RuledOut;

use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        id::{CredentialId, ModelName, ProviderId},
        trace::AttemptKind,
    },
};

/// Most attempts of one request, whatever leads to them.
const MAX_ATTEMPTS: u32 = 100;
/// Most attempts to go on with one request's stream.
const MAX_RESUMES: u32 = 2;
/// How often a request that was refused for a rate limit waits for it to end.
const MAX_LIMIT_WAITS: u32 = 2;
/// The longest rate limit that is worth waiting for while there are other models to go to: three
/// seconds, and the tenth by which a cooldown is drawn out.
const WORTH_WAITING: Duration = Duration::from_millis(3_300);
/// How often a place is looked for at a busy provider, should the word of it be missed.
const BUSY_LOOK: Duration = Duration::from_millis(250);

/// Which of the two attempts that may be under way at once.
pub type Slot = usize;
/// Attempts that may be under way at once.
pub const SLOTS: usize = 2;

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When it must be over.
    pub deadline: Duration,
    /// The longest it waits for somebody who can be asked, all waits together.
    pub max_wait: Duration,
    /// Shortest pause before the same candidate is asked again; the longest is four times as long.
    pub pause: Duration,
}

/// One stage of a request: what was asked for, or a fallback.
#[derive(Debug, Clone, Copy)]
pub struct StageRules {
    /// Whether a second candidate may be asked beside a slow one.
    pub may_hedge: bool,
}

/// How long an attempt may take before something is done about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// After which another candidate is asked beside it. `None`: never.
    pub soft: Option<Duration>,
    /// After which it is given up, while another candidate is left. `None`: never.
    pub hard: Option<Duration>,
}

/// What became of the plan for a stage.
#[derive(Clone, Default)]
pub struct Planned {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// When the first of those left out for a while comes back, and why it was left out.
    pub soonest: Option<(Duration, FailureClass)>,
    /// Whether somebody is left out only because its credentials serve as many requests as they may.
    pub has_busy: bool,
}

/// Why no attempt could be made at a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// What it needs is cooling.
    Cooling(Duration, FailureClass),
    /// Its credentials serve as many requests at once as they may.
    Busy,
    /// It has no credential that this request has not tried.
    NoCredential,
    /// It cannot be asked for this at all.
    Unfit,
}

/// What may be done about a failure before it counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same request in another format of the provider's.
    OtherFormat,
    /// With a new token for the same credential.
    NewToken,
    /// None of the provider's formats was there: on to other candidates.
    Exhausted,
}

/// What has happened.
pub enum Event {
    /// The request begins.
    Begin,
    Planned(Planned),
    /// The attempt asked for is under way.
    Started {
        slot: Slot,
        patience: Patience,
    },
    /// The attempt asked for could not be made.
    Unavailable {
        slot: Slot,
        why: Unavailable,
    },
    Failed {
        slot: Slot,
        failure: Arc<Failure>,
        credential: Option<CredentialId>,
        remedy: Option<Remedy>,
    },
    /// It has shown that it answers.
    Answered {
        slot: Slot,
    },
    /// It says something else than the stream that it was to go on with.
    Differs {
        slot: Slot,
    },
    /// Whether the retry budget has given one, and a number from 0 to 1 drawn at random.
    Budget {
        is_granted: bool,
        random: f64,
    },
    /// What a look at the plans has shown: whether somebody could be asked now, and else when.
    Looked {
        is_open: bool,
        soonest: Option<(Duration, FailureClass)>,
    },
    /// What was asked for is done.
    Done,
    /// The time waited for has come.
    Timer,
    /// What is waited for may have come to be.
    Woken,
    /// The pool is about to stop: who waits is told so.
    Draining,
    /// The stream that was committed ended with a failure. `is_kept`: what has been sent of it can be
    /// compared.
    Broken {
        failure: Arc<Failure>,
        is_kept: bool,
    },
}

/// How the next attempt in a slot is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// At another candidate.
    Fresh,
    /// With another credential of the same candidate.
    OtherCredential,
    /// As the one before.
    Again,
    OtherFormat,
    NewToken,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Plan this stage. `takes_turn`: whether it counts as a turn of its candidates.
    Plan {
        stage: usize,
        takes_turn: bool,
    },
    /// Make an attempt at the candidate of a slot: see [`Retry::candidate`].
    Ask {
        slot: Slot,
        how: How,
        kind: AttemptKind,
    },
    /// End the attempt of a slot, which has failed by its silence.
    Abandon {
        slot: Slot,
        failure: Arc<Failure>,
    },
    /// Take one attempt from the retry budget.
    TakeBudget {
        repeats_at: Option<ProviderId>,
    },
    /// Look at what the plans of these stages would be once all that was told is heard.
    Look {
        from: usize,
        to: usize,
    },
    /// Wait until then for what is under way. `for_others`: also for somebody who can be asked.
    Wait {
        until: Duration,
        for_others: bool,
    },
    /// The answer of this slot is the answer; what else is under way is let go. `slow`: was silent while
    /// it answered.
    Commit {
        slot: Slot,
        stage: usize,
        slow: Option<Slot>,
    },
    End(End),
}

/// How a request ends that nobody has answered.
#[derive(Debug)]
pub enum End {
    /// With this failure.
    Failed(Arc<Failure>),
    /// Nobody was asked.
    NobodyAsked,
    Deadline,
    /// The stream cannot be gone on with.
    NotResumed,
}

/// Of one request: what it does next.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, noted when it is met"
)]
pub struct Retry {
    limits: Limits,
    stages: Vec<StageRules>,
    phase: Phase,
    /// The stage that candidates are taken from.
    stage: usize,
    is_planned: bool,
    queue: VecDeque<Candidate>,
    slots: [Option<Running>; SLOTS],
    /// What whoever drives it was asked for.
    asked: Asked,
    ruled_out: RuledOut,
    /// Credentials that are not tried again.
    tried: Vec<CredentialId>,
    made: u32,
    verdict: Option<Arc<Failure>>,
    soonest: Option<(Duration, FailureClass)>,
    has_busy: bool,
    /// Whether a rate limit kept the request from a candidate of this stage.
    is_limited: bool,
    limit_waits: u32,
    /// Whether it was refused, and has waited since.
    is_back: bool,
    waited: Duration,
    resumes: u32,
    is_draining: bool,
}

/// Whether an answer is looked for, or one that goes on with a stream.
enum Phase {
    Seeking,
    Committed { stage: usize, candidate: Candidate },
    Resuming { broken: Option<Candidate> },
}

enum Asked {
    Nothing,
    Plan,
    Repeat(Slot),
    Hedge,
    Resume,
    /// To ask again who was refused for a limit.
    AfterLimit {
        stage: usize,
    },
    LookAtStage,
    LookAtAll,
    Abandon {
        then: Option<AttemptKind>,
    },
    ShortWait {
        began: Duration,
        is_retry: bool,
    },
    LongWait {
        began: Duration,
    },
}

struct Running {
    candidate: Candidate,
    stage: usize,
    /// Its credentials that were tried for it.
    tried: Vec<CredentialId>,
    is_repeated: bool,
    state: RunState,
    last: Option<Arc<Failure>>,
}

#[derive(Clone, Copy)]
enum RunState {
    Starting,
    /// Asked. Slow from `slow_at` on, given up at `over_at` while another candidate is left.
    Asked {
        slow_at: Option<Duration>,
        over_at: Option<Duration>,
    },
    /// To be asked once more at that time.
    Pausing(Duration),
    /// Waits for the budget.
    Held,
}

impl Retry {
    pub fn new(limits: Limits, stages: Vec<StageRules>) -> Self {
        Self {
            limits,
            stages,
            phase: Phase::Seeking,
            stage: 0,
            is_planned: false,
            queue: VecDeque::new(),
            slots: [None, None],
            asked: Asked::Nothing,
            ruled_out: RuledOut::default(),
            tried: Vec::new(),
            made: 0,
            verdict: None,
            soonest: None,
            has_busy: false,
            is_limited: false,
            limit_waits: 0,
            is_back: false,
            waited: Duration::ZERO,
            resumes: 0,
            is_draining: false,
        }
    }

    /// The candidate of an attempt.
    pub fn candidate(&self, slot: Slot) -> &Candidate {
        &self.running(slot).candidate
    }

    /// Credentials that the next attempt in a slot is not made with.
    pub fn tried(&self, slot: Slot) -> impl Iterator<Item = &CredentialId> {
        self.tried.iter().chain(&self.running(slot).tried)
    }

    /// Attempts made so far.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Whether a model of a provider is not asked again.
    pub fn rules_out(&self, provider: &ProviderId, model: &ModelName) -> bool {
        self.ruled_out.has(provider, model)
    }

    /// Whether a candidate of a stage is not asked again.
    pub fn excludes(&self, candidate: &Candidate, stage: usize) -> bool {
        self.ruled_out.excludes(candidate, stage > 0)
    }

    /// When the first of those passed over comes back, and why it is away.
    pub fn soonest(&self) -> Option<(Duration, FailureClass)> {
        self.soonest
    }

    /// Takes note of what has happened, and says what to do.
    pub fn next(&mut self, now: Duration, event: Event) -> Action {
        let mut due = None;
        match event {
            Event::Begin | Event::Done => {}
            Event::Planned(planned) => self.planned(planned),
            Event::Started { slot, patience } => self.started(now, slot, patience),
            Event::Unavailable { slot, why } => self.unavailable(slot, &why),
            Event::Differs { slot } => self.slots[slot] = None,
            Event::Draining => {
                self.is_draining = true;
                self.asked = Asked::Nothing;
            }
            Event::Answered { slot } => return self.answered(now, slot),
            Event::Failed { slot, failure, credential, remedy } => {
                due = self.failed(slot, failure, credential, remedy);
            }
            Event::Budget { is_granted, random } => due = self.budget(now, is_granted, random),
            Event::Looked { is_open, soonest } => due = self.looked(now, is_open, soonest),
            Event::Timer | Event::Woken => due = self.waited(now),
            Event::Broken { failure, is_kept } => due = self.broken(&failure, is_kept),
        }
        due.unwrap_or_else(|| self.advance(now))
    }

    fn running(&self, slot: Slot) -> &Running {
        self.slots[slot].as_ref().expect("there is an attempt in this slot")
    }

    /// Whether it looks for somebody who goes on with a stream.
    pub fn is_resuming(&self) -> bool {
        matches!(self.phase, Phase::Resuming { .. })
    }

    fn under_way(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    fn planned(&mut self, planned: Planned) {
        self.asked = Asked::Nothing;
        self.queue = planned.candidates.into();
        self.has_busy |= planned.has_busy;
        if let Some((until, cause)) = planned.soonest {
            self.note_cooling(until, cause);
        }
    }

    fn note_cooling(&mut self, until: Duration, cause: FailureClass) {
        self.is_limited |= cause == FailureClass::RateLimit;
        if self.soonest.is_none_or(|(known, _)| until < known) {
            self.soonest = Some((until, cause));
        }
    }

    fn started(&mut self, now: Duration, slot: Slot, patience: Patience) {
        let after = |time: Option<Duration>| time.and_then(|time| now.checked_add(time));
        if let Some(running) = &mut self.slots[slot] {
            running.state =
                RunState::Asked { slow_at: after(patience.soft), over_at: after(patience.hard) };
        }
        self.made += 1;
        // Who is woken in vain has not waited.
        self.limit_waits += u32::from(std::mem::take(&mut self.is_back));
    }

    fn unavailable(&mut self, slot: Slot, why: &Unavailable) {
        let Some(running) = self.slots[slot].take() else { return };
        match why {
            Unavailable::Cooling(until, cause) => self.note_cooling(*until, *cause),
            Unavailable::Busy => self.has_busy = true,
            Unavailable::NoCredential => {
                if let Some(last) = &running.last {
                    self.ruled_out.note(&running.candidate, last);
                }
            }
            Unavailable::Unfit => {
                // It stays so for as long as the request lasts.
                let (provider, model) = (&running.candidate.provider.id, &running.candidate.model);
                self.ruled_out.add(provider, model);
            }
        }
    }

    fn failed(
        &mut self,
        slot: Slot,
        failure: Arc<Failure>,
        credential: Option<CredentialId>,
        remedy: Option<Remedy>,
    ) -> Option<Action> {
        let may_ask = self.made < MAX_ATTEMPTS;
        match remedy {
            Some(Remedy::OtherFormat) if may_ask => {
                return Some(self.ask(slot, How::OtherFormat, AttemptKind::Format));
            }
            Some(Remedy::NewToken) if may_ask => {
                return Some(self.ask(slot, How::NewToken, AttemptKind::Repeat));
            }
            _ => {}
        }
        self.note_verdict(&failure);
        let policy = policy(&failure);
        let running = self.slots[slot].as_mut()?;
        let ended = (remedy == Some(Remedy::Exhausted))
            .then(|| (running.candidate.provider.id.clone(), running.candidate.model.clone()));
        running.last = Some(Arc::clone(&failure));
        let next = match policy.next {
            Next::Repeat if running.is_repeated => Next::OtherCandidate,
            _ if remedy == Some(Remedy::Exhausted) => Next::OtherCandidate,
            next => next,
        };
        if failure.class == FailureClass::RateLimit && failure.rule.is_none() {
            self.is_limited = true;
        }
        match next {
            Next::Stop => return Some(Action::End(End::Failed(failure))),
            Next::Repeat if may_ask => {
                running.state = RunState::Held;
                self.asked = Asked::Repeat(slot);
                let provider = running.candidate.provider.id.clone();
                return Some(Action::TakeBudget { repeats_at: Some(provider) });
            }
            Next::OtherCredential if may_ask && let Some(credential) = credential => {
                running.tried.push(credential.clone());
                // A rate limit may be over when this candidate is asked again.
                if failure.class != FailureClass::RateLimit || failure.rule.is_some() {
                    self.tried.push(credential);
                }
                return Some(self.ask(slot, How::OtherCredential, AttemptKind::Failover));
            }
            _ => self.give_up(slot, &failure),
        }
        if let Some((provider, model)) = ended {
            self.ruled_out.add(&provider, &model);
        }
        None
    }

    /// Keeps of several failures the one that passes soonest; of equal ones the last.
    fn note_verdict(&mut self, failure: &Arc<Failure>) {
        let passes = |failure: &Failure| policy(failure).passes_after;
        if self.verdict.as_ref().is_none_or(|known| passes(failure) <= passes(known)) {
            self.verdict = Some(Arc::clone(failure));
        }
    }

    fn give_up(&mut self, slot: Slot, failure: &Failure) {
        if let Some(running) = self.slots[slot].take() {
            self.ruled_out.note(&running.candidate, failure);
        }
    }

    fn answered(&mut self, now: Duration, slot: Slot) -> Action {
        let slow = (0..SLOTS).find(|other| {
            *other != slot
                && self.slots[*other].as_ref().is_some_and(|running| running.is_slow(now))
        });
        if let Some(slow) = slow.and_then(|slow| self.slots[slow].take()) {
            self.ruled_out.add(&slow.candidate.provider.id, &slow.candidate.model);
        }
        let running = self.running(slot);
        let (stage, candidate) = (running.stage, running.candidate.clone());
        self.phase = Phase::Committed { stage, candidate };
        self.slots = [None, None];
        self.queue.clear();
        Action::Commit { slot, stage, slow }
    }

    fn budget(&mut self, now: Duration, is_granted: bool, random: f64) -> Option<Action> {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Repeat(slot) => {
                let pause = self.limits.pause.mul_f64(1.0 + 3.0 * random.clamp(0.0, 1.0));
                let at = now + pause;
                let running = self.slots[slot].as_mut()?;
                if is_granted && at < self.limits.deadline {
                    running.is_repeated = true;
                    running.state = RunState::Pausing(at);
                } else if let Some(last) = running.last.clone() {
                    self.give_up(slot, &last);
                }
                None
            }
            Asked::Hedge if is_granted => self.ask_next(AttemptKind::Hedge),
            // Who is silent is not waited for: the request moves on.
            Asked::Hedge => self.abandon(Some(AttemptKind::Failover)),
            Asked::Resume if is_granted => self.ask_next(AttemptKind::Resume),
            Asked::Resume => Some(Action::End(End::NotResumed)),
            Asked::AfterLimit { stage } if is_granted => {
                self.open(stage);
                None
            }
            Asked::AfterLimit { .. } => None,
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// Ends the attempt that has been silent for longest.
    fn abandon(&mut self, then: Option<AttemptKind>) -> Option<Action> {
        let slot = (0..SLOTS).find(|slot| self.slots[*slot].is_some())?;
        Some(self.abandon_slot(slot, then))
    }

    fn abandon_slot(&mut self, slot: Slot, then: Option<AttemptKind>) -> Action {
        let failure =
            Arc::new(Failure::new(FailureClass::Silent, "it was silent, and another is asked"));
        self.note_verdict(&failure);
        self.give_up(slot, &failure);
        self.asked = Asked::Abandon { then };
        Action::Abandon { slot, failure }
    }

    fn looked(
        &mut self,
        now: Duration,
        is_open: bool,
        soonest: Option<(Duration, FailureClass)>,
    ) -> Option<Action> {
        let was_refused = self.verdict.as_ref().is_some_and(|last| is_limit(last));
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::LookAtStage => {
                let until = match soonest {
                    _ if is_open && was_refused => now,
                    Some((until, FailureClass::RateLimit)) => until.max(now),
                    _ => return None,
                };
                if until.saturating_sub(now) > WORTH_WAITING || until >= self.limits.deadline {
                    return None;
                }
                self.limit_waits += 1;
                self.asked = Asked::ShortWait { began: now, is_retry: was_refused };
                if until == now {
                    return self.waited(now);
                }
                Some(Action::Wait { until, for_others: false })
            }
            Asked::LookAtAll => {
                self.soonest = soonest;
                let until = if is_open { Some(now + BUSY_LOOK) } else { soonest.map(|it| it.0) };
                Some(match until {
                    Some(until) => self.wait_long(now, until),
                    None => self.end(),
                })
            }
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// What was waited for has come, or its time.
    fn waited(&mut self, now: Duration) -> Option<Action> {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::ShortWait { began, is_retry } => {
                self.waited += now.saturating_sub(began);
                self.again(self.stage, is_retry)
            }
            // As the next request would: what was refused is kept from everyone by its cooldown, and from
            // all but one after it.
            Asked::LongWait { began } => {
                self.waited += now.saturating_sub(began);
                self.is_back = self.verdict.is_some();
                self.open(0);
                None
            }
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// Opens a stage again. Who was refused is asked again: that is a retry as any other.
    fn again(&mut self, stage: usize, is_retry: bool) -> Option<Action> {
        if is_retry {
            self.asked = Asked::AfterLimit { stage };
            return Some(Action::TakeBudget { repeats_at: None });
        }
        self.open(stage);
        None
    }

    /// Begins with a stage anew.
    fn open(&mut self, stage: usize) {
        self.stage = stage;
        self.is_planned = false;
        self.queue.clear();
        (self.soonest, self.has_busy, self.is_limited) = (None, false, false);
    }

    fn broken(&mut self, failure: &Arc<Failure>, is_kept: bool) -> Option<Action> {
        let not_resumed = Some(Action::End(End::NotResumed));
        let resume = policy(failure).resume;
        let committed = std::mem::replace(&mut self.phase, Phase::Resuming { broken: None });
        let Phase::Committed { stage, candidate } = committed else { return not_resumed };
        if resume == Resume::Never || !is_kept || self.is_draining {
            return not_resumed;
        }
        self.ruled_out.note(&candidate, failure);
        self.ruled_out.add(&candidate.provider.id, &candidate.model);
        let broken = (resume == Resume::Anywhere).then_some(candidate);
        self.phase = Phase::Resuming { broken };
        self.open(stage);
        None
    }

    /// Goes on with whatever is to be done now.
    fn advance(&mut self, now: Duration) -> Action {
        if now >= self.limits.deadline {
            return Action::End(End::Deadline);
        }
        if let Asked::Abandon { then } = self.asked {
            self.asked = Asked::Nothing;
            if let Some(kind) = then
                && let Some(action) = self.ask_next(kind)
            {
                return action;
            }
        }
        let ready = (0..SLOTS).find(|slot| {
            let state = self.slots[*slot].as_ref().map(|running| running.state);
            matches!(state, Some(RunState::Pausing(at)) if at <= now)
        });
        if let Some(slot) = ready {
            return self.ask(slot, How::Again, AttemptKind::Repeat);
        }
        if self.under_way() == 0 { self.go_on(now) } else { self.watch(now) }
    }

    /// Nothing is under way: the next candidate is asked, or the next stage planned.
    fn go_on(&mut self, now: Duration) -> Action {
        if self.is_resuming() {
            return self.resume_next();
        }
        let kind = if self.made == 0 { AttemptKind::First } else { AttemptKind::Failover };
        if let Some(action) = self.ask_next(kind) {
            return action;
        }
        let may_wait = self.limit_waits < MAX_LIMIT_WAITS && !self.is_draining;
        if self.is_planned && self.is_limited && may_wait {
            self.is_limited = false;
            self.asked = Asked::LookAtStage;
            return Action::Look { from: self.stage, to: self.stage + 1 };
        }
        if let Some(action) = self.plan_next(true) {
            return action;
        }
        self.all_asked(now)
    }

    /// Every stage was tried: somebody is waited for, or it is the end.
    fn all_asked(&mut self, now: Duration) -> Action {
        if self.is_draining {
            return self.end();
        }
        if self.has_busy {
            return self.wait_long(now, now + BUSY_LOOK);
        }
        match (&self.verdict, self.soonest) {
            (None, Some((until, _))) => self.wait_long(now, until),
            (Some(verdict), _) if is_limit(verdict) && self.limit_waits < MAX_LIMIT_WAITS => {
                self.asked = Asked::LookAtAll;
                Action::Look { from: 0, to: self.stages.len() }
            }
            _ => self.end(),
        }
    }

    /// Waits for somebody who can be asked, as long as a request may: as the next request would.
    fn wait_long(&mut self, now: Duration, until: Duration) -> Action {
        let left = self.limits.max_wait.saturating_sub(self.waited);
        let until = until.max(now);
        if until.saturating_sub(now) > left || until >= self.limits.deadline {
            return self.end();
        }
        self.asked = Asked::LongWait { began: now };
        Action::Wait { until, for_others: true }
    }

    fn end(&mut self) -> Action {
        Action::End(match self.verdict.take() {
            _ if self.is_resuming() => End::NotResumed,
            Some(verdict) => End::Failed(verdict),
            None => End::NobodyAsked,
        })
    }

    /// Another candidate, or the one a stream broke off at when there is none.
    fn resume_next(&mut self) -> Action {
        if self.resumes >= MAX_RESUMES || self.made >= MAX_ATTEMPTS || self.is_draining {
            return Action::End(End::NotResumed);
        }
        if !self.has_next() {
            if let Some(action) = self.plan_next(false) {
                return action;
            }
            let broken = match &mut self.phase {
                Phase::Resuming { broken } => broken.take(),
                Phase::Seeking | Phase::Committed { .. } => None,
            };
            let Some(broken) = broken else { return Action::End(End::NotResumed) };
            self.ruled_out.forgive(&broken.provider.id, &broken.model);
            self.queue.push_back(broken);
        }
        // Only where no other was left the one it broke off at is asked.
        self.phase = Phase::Resuming { broken: None };
        self.resumes += 1;
        self.asked = Asked::Resume;
        Action::TakeBudget { repeats_at: None }
    }

    /// Plans the stage that candidates are taken from, or the next one.
    fn plan_next(&mut self, takes_turn: bool) -> Option<Action> {
        let stage = if self.is_planned { self.stage + 1 } else { self.stage };
        if stage >= self.stages.len() {
            return None;
        }
        (self.stage, self.is_planned, self.is_limited) = (stage, true, false);
        self.asked = Asked::Plan;
        Some(Action::Plan { stage, takes_turn })
    }

    /// Something is under way: it is watched, and another candidate asked beside it when it is slow.
    fn watch(&mut self, now: Duration) -> Action {
        if !self.is_resuming() {
            if let Some(action) = self.hedge(now) {
                return action;
            }
            if let Some(action) = self.give_up_overdue(now) {
                return action;
            }
        }
        let mut until = self.limits.deadline;
        for running in self.slots.iter().flatten() {
            let due = match running.state {
                RunState::Pausing(at) => Some(at),
                RunState::Asked { slow_at, over_at } if !self.is_resuming() => {
                    let can_hedge = self.under_way() < SLOTS && self.may_have_next();
                    let slow_at = slow_at.filter(|at| *at > now && can_hedge);
                    let over_at = over_at.filter(|at| *at > now && self.may_have_next());
                    match (slow_at, over_at) {
                        (Some(slow), Some(over)) => Some(slow.min(over)),
                        (one, other) => one.or(other),
                    }
                }
                _ => None,
            };
            until = due.map_or(until, |due| due.min(until));
        }
        Action::Wait { until, for_others: false }
    }

    /// Another candidate beside one that is slow.
    fn hedge(&mut self, now: Duration) -> Option<Action> {
        let [running] = &self.slots.iter().flatten().collect::<Vec<_>>()[..] else { return None };
        if !running.is_slow(now) || !self.stages[running.stage].may_hedge {
            return None;
        }
        if !self.has_next() {
            return self.plan_next(true);
        }
        // After a hedge that failed, who is slow is not waited for alone.
        self.asked = Asked::Hedge;
        Some(Action::TakeBudget { repeats_at: None })
    }

    /// Ends an attempt whose time is over, as long as there is another candidate.
    fn give_up_overdue(&mut self, now: Duration) -> Option<Action> {
        let overdue = (0..SLOTS).find(|slot| {
            let state = self.slots[*slot].as_ref().map(|running| running.state);
            matches!(state, Some(RunState::Asked { over_at: Some(at), .. }) if at <= now)
        })?;
        if !self.has_next() {
            return self.plan_next(true);
        }
        Some(self.abandon_slot(overdue, Some(AttemptKind::Failover)))
    }

    /// Whether a candidate is left in the queue; those ruled out are dropped from it.
    fn has_next(&mut self) -> bool {
        while let Some(next) = self.queue.front() {
            if !self.ruled_out.excludes(next, self.stage > 0) && !self.is_under_way(next) {
                return true;
            }
            self.queue.pop_front();
        }
        false
    }

    fn is_under_way(&self, candidate: &Candidate) -> bool {
        self.slots.iter().flatten().any(|running| {
            running.candidate.provider.id == candidate.provider.id
                && running.candidate.model == candidate.model
        })
    }

    /// Whether there may be another candidate, in the queue or in a stage that is not planned yet.
    fn may_have_next(&self) -> bool {
        let in_queue = self
            .queue
            .iter()
            .any(|next| !self.ruled_out.excludes(next, self.stage > 0) && !self.is_under_way(next));
        in_queue || !self.is_planned || self.stage + 1 < self.stages.len()
    }

    fn ask_next(&mut self, kind: AttemptKind) -> Option<Action> {
        if self.made >= MAX_ATTEMPTS || !self.has_next() {
            return None;
        }
        let slot = (0..SLOTS).find(|slot| self.slots[*slot].is_none())?;
        let candidate = self.queue.pop_front()?;
        self.slots[slot] = Some(Running {
            candidate,
            stage: self.stage,
            tried: Vec::new(),
            is_repeated: false,
            state: RunState::Starting,
            last: None,
        });
        Some(self.ask(slot, How::Fresh, kind))
    }

    fn ask(&mut self, slot: Slot, how: How, kind: AttemptKind) -> Action {
        if let Some(running) = &mut self.slots[slot] {
            running.state = RunState::Starting;
        }
        let kind = if self.is_resuming() && how == How::Fresh { AttemptKind::Resume } else { kind };
        Action::Ask { slot, how, kind }
    }
}

impl Running {
    fn is_slow(&self, now: Duration) -> bool {
        matches!(self.state, RunState::Asked { slow_at: Some(at), .. } if at <= now)
    }
}

fn is_limit(failure: &Failure) -> bool {
    failure.class == FailureClass::RateLimit && failure.rule.is_none()
}
