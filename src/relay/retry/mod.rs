//! What a request does next: which candidate it asks, beside which other, what it waits for, and when it
//! ends. A pure core: it knows no actor, no clock and no future. [`Retry::next`] is told what has happened
//! and answers with one [`Action`], which whoever drives it carries out, to tell what came of it.
//!
//! Times are given since the request arrived.

mod event;
mod failed;
mod format;
mod policy;
mod race;
mod resume;
mod ruled_out;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod token;
mod verdict;
mod waits;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use event::{
    Action, End, Event, Facts, How, Limits, Patience, Planned, SLOTS, Slot, StageRules,
    Unavailable, Whose,
};
pub use format::FormatFacts;
use format::FormatsAsked;
pub use policy::passes_after;
use ruled_out::RuledOut;
use token::Tokens;
use verdict::{Verdict, mark_past};
use waits::MAX_WAITS_FOR_ONE;

use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        id::{CredentialId, ModelName, ProviderId},
        trace::AttemptKind,
    },
};

/// A model of a provider, and the credential it is asked with.
type Who = (ProviderId, ModelName, Option<CredentialId>);

/// Most attempts of one request, whatever leads to them.
const MAX_ATTEMPTS: u32 = 100;

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
    /// Attempts made when the first of the stages was planned last.
    made_before: u32,
    queue: VecDeque<Candidate>,
    slots: [Option<Running>; SLOTS],
    /// What whoever drives it was asked for.
    asked: Awaiting,
    ruled_out: RuledOut,
    /// Credentials that are not tried again.
    tried: Vec<CredentialId>,
    made: u32,
    /// The failures met, oldest first.
    verdicts: Vec<Verdict>,
    soonest: Option<(Duration, FailureClass)>,
    /// When the first of those who were not asked because they were cooling may be asked, whatever stage
    /// they are of.
    first_back: Option<Duration>,
    has_busy: bool,
    /// Whether a rate limit kept the request from a candidate of this stage.
    is_limited: bool,
    /// How often who was open at once after a limit was looked for.
    retries_at_once: u32,
    /// Who has said when to come back, and how often.
    refusals: Vec<(Who, u32)>,
    /// When it is looked for somebody to be asked beside who is slow.
    look_beside_at: Duration,
    waited: Duration,
    /// The part of it that passed before another model was asked.
    waited_here: Duration,
    /// Where the stream broke off first, until it is asked to go on.
    broken: Option<Candidate>,
    /// Whether the budget has given an attempt that is not made yet.
    is_granted: bool,
    is_draining: bool,
}

/// Whether an answer is looked for, or one that goes on with a stream.
enum Phase {
    Seeking,
    Committed {
        stage: usize,
        candidate: Candidate,
    },
    /// Goes on with a stream of this stage.
    Resuming {
        stage: usize,
    },
}

enum Awaiting {
    Nothing,
    Plan,
    /// To tell of a failure.
    Note {
        slot: Slot,
        whose: Whose,
        credential: Option<CredentialId>,
    },
    Repeat(Slot),
    Hedge,
    Resume,
    /// To ask again who was refused for a limit.
    AfterLimit {
        stage: usize,
    },
    LookAtStage,
    LookAtAll,
    /// Whether somebody can be asked beside who is slow.
    LookBeside,
    /// Whether somebody who was cooling is back.
    LookAgain,
    Abandon {
        then: Option<AttemptKind>,
    },
    ShortWait {
        began: Duration,
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
    formats: FormatsAsked,
    tokens: Tokens,
    state: RunState,
    last: Option<Arc<Failure>>,
}

#[derive(Clone, Copy)]
enum RunState {
    Starting,
    /// Asked. Slow from `slow_at` on, given up at `over_at` while another candidate is left.
    Awaiting {
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
            made_before: 0,
            queue: VecDeque::new(),
            slots: [None, None],
            asked: Awaiting::Nothing,
            ruled_out: RuledOut::default(),
            tried: Vec::new(),
            made: 0,
            verdicts: Vec::new(),
            soonest: None,
            first_back: None,
            has_busy: false,
            is_limited: false,
            retries_at_once: 0,
            refusals: Vec::new(),
            look_beside_at: Duration::ZERO,
            waited: Duration::ZERO,
            waited_here: Duration::ZERO,
            broken: None,
            is_granted: false,
            is_draining: false,
        }
    }

    /// The candidate of an attempt.
    pub fn candidate(&self, slot: Slot) -> &Candidate {
        &self.running(slot).candidate
    }

    /// The stage that the candidate of an attempt is of.
    pub fn stage(&self, slot: Slot) -> usize {
        self.running(slot).stage
    }

    /// Credentials that the next attempt in a slot is not made with.
    pub fn tried(&self, slot: Slot) -> impl Iterator<Item = &CredentialId> {
        let Running { candidate, tried, .. } = self.running(slot);
        let worn = self.worn(&candidate.provider.id, &candidate.model);
        self.tried.iter().chain(tried).chain(worn)
    }

    /// Whether a credential is not tried again for a model of its provider.
    pub fn has_tried(
        &self,
        provider: &ProviderId,
        model: &ModelName,
        credential: &CredentialId,
    ) -> bool {
        self.tried.contains(credential) || self.worn(provider, model).any(|id| id == credential)
    }

    /// Credentials that have refused a model of their provider as often as it is waited for them.
    fn worn(
        &self,
        provider: &ProviderId,
        model: &ModelName,
    ) -> impl Iterator<Item = &CredentialId> {
        let refusals = self.refusals.iter().filter(|(_, times)| *times > MAX_WAITS_FOR_ONE);
        refusals.filter_map(move |((p, m, credential), _)| {
            credential.as_ref().filter(|_| p == provider && m == model)
        })
    }

    /// Attempts made so far.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Whether a model of a provider is not asked again.
    pub fn rules_out(&self, provider: &ProviderId, model: &ModelName) -> bool {
        self.ruled_out.has(provider, model)
    }

    /// Whether a candidate of a stage is not asked now: not again, or it is being asked.
    pub fn excludes(&self, candidate: &Candidate, stage: usize) -> bool {
        self.ruled_out.excludes(candidate, stage > 0) || self.is_under_way(candidate)
    }

    /// Whether somebody was passed over only because its credentials serve as many requests as they may.
    pub fn has_busy(&self) -> bool {
        self.has_busy
    }

    /// When the first of those passed over comes back, and why it is away.
    pub fn soonest(&self) -> Option<(Duration, FailureClass)> {
        self.soonest
    }

    /// Takes note of what has happened, and says what to do.
    pub fn next(&mut self, now: Duration, event: Event) -> Action {
        let mut due = None;
        match event {
            Event::Begin => {}
            Event::Done => due = self.noted(),
            Event::Planned(planned) => self.planned(planned),
            Event::Started { slot, patience } => self.started(now, slot, patience),
            Event::Unavailable { slot, why: Unavailable::NoFormat } => {
                due = self.has_no_format(slot);
            }
            Event::Unavailable { slot, why } => self.unavailable(slot, &why),
            Event::Differs { slot } => self.slots[slot] = None,
            Event::Draining => {
                self.is_draining = true;
                self.asked = Awaiting::Nothing;
            }
            Event::Answered { slot } => return self.answered(now, slot),
            Event::Failed { slot, failure, facts } => due = self.failed(slot, failure, facts),
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
        self.asked = Awaiting::Nothing;
        self.queue = planned.candidates.into();
        self.has_busy |= planned.has_busy;
        if let Some((until, cause)) = planned.soonest {
            self.note_cooling(until, cause);
        }
    }

    fn note_cooling(&mut self, until: Duration, cause: FailureClass) {
        self.is_limited |= cause == FailureClass::RateLimit;
        self.first_back = Some(self.first_back.map_or(until, |known| known.min(until)));
        if self.soonest.is_none_or(|(known, _)| until < known) {
            self.soonest = Some((until, cause));
        }
    }

    fn started(&mut self, now: Duration, slot: Slot, patience: Patience) {
        let after = |time: Option<Duration>| time.and_then(|time| now.checked_add(time));
        let is_resuming = self.is_resuming();
        if let Some(running) = &mut self.slots[slot] {
            running.state =
                RunState::Awaiting { slow_at: after(patience.soft), over_at: after(patience.hard) };
            if is_resuming {
                self.ruled_out.add(&running.candidate);
            }
        }
        self.made += 1;
        self.is_granted = false;
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
            // It stays so for as long as the request lasts.
            Unavailable::Unfit | Unavailable::NoFormat => self.ruled_out.add(&running.candidate),
        }
    }

    fn answered(&mut self, now: Duration, slot: Slot) -> Action {
        let slow = (0..SLOTS).find(|other| {
            *other != slot
                && self.slots[*other].as_ref().is_some_and(|running| running.is_slow(now))
        });
        if let Some(slow) = slow.and_then(|slow| self.slots[slow].take()) {
            self.ruled_out.add(&slow.candidate);
        }
        let running = self.running(slot);
        let (stage, candidate) = (running.stage, running.candidate.clone());
        self.phase = Phase::Committed { stage, candidate };
        self.slots = [None, None];
        self.queue.clear();
        Action::Commit { slot, stage, slow }
    }

    /// Takes one attempt from the budget, unless the one taken before could not be made.
    fn take(&mut self, now: Duration, asked: Awaiting) -> Option<Action> {
        self.asked = asked;
        if self.is_granted {
            return self.budget(now, true, 0.0);
        }
        Some(Action::TakeBudget { repeats_at: None })
    }

    fn budget(&mut self, now: Duration, is_granted: bool, random: f64) -> Option<Action> {
        self.is_granted |= is_granted;
        match std::mem::replace(&mut self.asked, Awaiting::Nothing) {
            Awaiting::Repeat(slot) => {
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
            Awaiting::Hedge if is_granted => self.ask_next(AttemptKind::Hedge),
            // Who is silent is not waited for: the request moves on.
            Awaiting::Hedge => self.abandon(Some(AttemptKind::Failover)),
            Awaiting::Resume if is_granted => self.ask_next(AttemptKind::Resume),
            Awaiting::Resume => Some(Action::End(End::NotResumed)),
            Awaiting::AfterLimit { stage } if is_granted => {
                self.open(stage);
                None
            }
            Awaiting::AfterLimit { .. } => None,
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// Begins anew with all stages from this one on.
    fn begin_from(&mut self, stage: usize) {
        self.first_back = None;
        self.made_before = self.made;
        self.open(stage);
    }

    /// Begins with a stage anew.
    fn open(&mut self, stage: usize) {
        self.stage = stage;
        self.is_planned = false;
        self.queue.clear();
        (self.soonest, self.has_busy, self.is_limited) = (None, false, false);
    }

    /// Goes on with whatever is to be done now.
    fn advance(&mut self, now: Duration) -> Action {
        if now >= self.limits.deadline {
            return Action::End(End::Deadline);
        }
        if let Awaiting::Abandon { then } = self.asked {
            self.asked = Awaiting::Nothing;
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
        if let Phase::Resuming { stage } = self.phase {
            return self.resume_next(now, stage);
        }
        let kind = if self.made == 0 { AttemptKind::First } else { AttemptKind::Failover };
        if let Some(action) = self.ask_next(kind) {
            return action;
        }
        if self.is_planned && self.is_limited && !self.is_draining {
            self.is_limited = false;
            self.asked = Awaiting::LookAtStage;
            return Action::Look { from: self.stage, to: self.stage + 1 };
        }
        if let Some(action) = self.plan_next(true) {
            return action;
        }
        self.all_asked(now)
    }

    /// Plans the stage that candidates are taken from, or the next one.
    fn plan_next(&mut self, takes_turn: bool) -> Option<Action> {
        let stage = if self.is_planned { self.stage + 1 } else { self.stage };
        if stage >= self.stages.len() {
            return None;
        }
        (self.stage, self.is_planned, self.is_limited) = (stage, true, false);
        self.asked = Awaiting::Plan;
        Some(Action::Plan { stage, takes_turn })
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
            formats: FormatsAsked::default(),
            tokens: Tokens::default(),
            state: RunState::Starting,
            last: None,
        });
        Some(self.ask(slot, How::Fresh, kind))
    }

    fn ask(&mut self, slot: Slot, how: How, kind: AttemptKind) -> Action {
        if let Some(running) = &mut self.slots[slot] {
            running.state = RunState::Starting;
        }
        if how == How::Fresh
            && let Some(Running { candidate, .. }) = &self.slots[slot]
        {
            self.ruled_out.asked(candidate);
            mark_past(&mut self.verdicts, candidate);
        }
        let kind = if self.is_resuming() && how == How::Fresh { AttemptKind::Resume } else { kind };
        Action::Ask { slot, how, kind }
    }
}

impl Running {
    fn is_slow(&self, now: Duration) -> bool {
        matches!(self.state, RunState::Awaiting { slow_at: Some(at), .. } if at <= now)
    }
}
