//! Carries out what the core says, on virtual time, and holds each step to the laws.

use super::*;

impl World {
    /// Drives the core until it has an answer, or ends.
    pub(super) fn drive(&mut self, retry: &mut Retry, first: Event) -> Result<Attempt, End> {
        let mut at_work = AtWork::default();
        let mut event = first;
        for _ in 0..10_000 {
            assert!(self.now <= self.limits.deadline, "after the deadline");
            let action = retry.next(self.now, event);
            self.say(|_| format!("{action:?}"));
            event = match action {
                Action::Plan { stage, takes_turn } => {
                    let turn = if takes_turn { TurnMode::Take } else { TurnMode::Look };
                    let planned = self.planned_for(retry, stage, turn);
                    self.show_plan(&planned);
                    Event::Planned(planned)
                }
                Action::Ask { slot, how, kind } => self.ask(retry, &mut at_work, slot, how, kind),
                Action::Note { slot, failure, whose } => {
                    self.note(retry, &mut at_work, slot, &failure, whose);
                    Event::Done
                }
                Action::Abandon { slot, failure } => {
                    let abandoned = at_work.slots[slot].take();
                    let mut attempt = abandoned.expect("something is under way there");
                    let taken = self.now.saturating_sub(attempt.began);
                    let is_over = |time: Option<Duration>| time.is_some_and(|time| time <= taken);
                    assert!(is_over(self.soft) || is_over(self.hard), "given up before its time");
                    self.blame(&mut attempt, &failure);
                    Event::Done
                }
                Action::TakeBudget { repeats_at } => {
                    let is_cooling = repeats_at.is_some_and(|slot| {
                        let Candidate { provider, model, .. } = retry.candidate(slot);
                        let used = Use { provider: &provider.id, credential: None, model };
                        self.pool.health.view().kept_from(self.at(), used).is_some()
                    });
                    let is_granted = self.budget > 0 && !is_cooling;
                    self.budget -= u32::from(is_granted);
                    self.seen.taken += u32::from(is_granted);
                    assert!(self.seen.taken <= retry.made() + 1, "it takes without asking anybody");
                    self.seen.is_budget_denied |= !is_granted && !is_cooling;
                    self.say(|_| format!("  {is_granted}"));
                    Event::Budget { is_granted, random: self.rng.random_range(0.0..1.0) }
                }
                Action::Look { from, to } => self.look(retry, from, to),
                Action::Wait { until, for_others } => {
                    self.wait(retry, &mut at_work, until, for_others)
                }
                Action::Commit { slot, slow, stage } => {
                    self.seen.stage = stage;
                    if let Some(mut attempt) = slow.and_then(|slow| at_work.slots[slow].take()) {
                        let silent = Failure::new(FailureClass::Silent, "slow");
                        self.blame(&mut attempt, &silent);
                    }
                    let mut attempt = at_work.kept[slot].take().expect("it has answered");
                    // Passed: what was on trial has answered.
                    attempt.passes.drain(..).for_each(TrialPass::judged);
                    return Ok(attempt);
                }
                Action::End(end) => return Err(end),
            };
        }
        panic!("it does not end");
    }

    /// Makes an attempt.
    pub(super) fn ask(
        &mut self,
        retry: &Retry,
        at_work: &mut AtWork,
        slot: Slot,
        how: How,
        kind: AttemptKind,
    ) -> Event {
        assert!(at_work.slots[slot].is_none(), "two attempts in one slot");
        assert_eq!(self.seen.stopped, None, "something was asked after a refusal");
        let entered = match (how, at_work.kept[slot].take()) {
            (How::Again, Some(last)) => Ok(self.begin(last)),
            (How::NewToken, Some(last)) => Ok(self.begin(Attempt { has_new_token: true, ..last })),
            (How::OtherFormat, Some(last)) => {
                if last.format + 1 == self.ways[last.provider].formats {
                    at_work.kept[slot] = Some(last);
                    return Event::Unavailable { slot, why: Unavailable::NoFormat };
                }
                Ok(self.begin(Attempt { format: last.format + 1, ..last }))
            }
            (_, last) => {
                drop(last);
                self.enter(retry, slot)
            }
        };
        let attempt = match entered {
            Ok(attempt) => attempt,
            Err(why) => {
                self.seen.unavailable.insert(spot(retry.candidate(slot)));
                self.say(|_| format!("  {why:?}"));
                return Event::Unavailable { slot, why };
            }
        };
        let place = spot(&attempt.candidate);
        self.say(|_| format!("  {}/{}: {:?}", place.0, place.1, attempt.script));
        assert!(!self.seen.silent.contains(&place), "what was silent was asked again");
        let key = attempt.lease.as_ref().map(|lease| lease.id().clone());
        let over = self.seen.limited.get(&(place.clone(), key)).copied();
        let is_over = |over| over <= self.now + Duration::from_millis(1);
        assert!(over.is_none_or(is_over), "a limit was met again before {over:?}");
        if kind == AttemptKind::Resume {
            assert!(self.seen.resumed.insert(place.clone()), "it was asked twice to go on");
            let left = self.left(retry, self.seen.stage, &self.seen.resumed);
            let may_ask = !self.seen.cut.contains(&place) || left.is_empty();
            assert!(may_ask, "what was cut was asked again before {left:?}");
        } else if self.seen.cut.contains(&place) {
            // With another key or token, or in another format, it is still asked for the first time.
            let is_the_same =
                matches!(how, How::OtherCredential | How::NewToken | How::OtherFormat)
                    && self.seen.resumed.contains(&place);
            assert!(is_the_same, "what was cut was asked again");
        }
        self.seen.asked.insert(place);
        at_work.slots[slot] = Some(attempt);
        let under_way = at_work.slots.iter().flatten().count();
        self.seen.most_under_way = self.seen.most_under_way.max(under_way);
        Event::Started { slot, patience: Patience { soft: self.soft, hard: self.hard } }
    }

    /// Those that could be asked and are not among the `known`.
    pub(super) fn left(&self, retry: &Retry, from: usize, known: &HashSet<Spot>) -> Vec<Spot> {
        let planned = (from..self.chain.stages.len()).flat_map(|stage| {
            let planned = self.planned_for(retry, stage, TurnMode::Look);
            let candidates = planned.candidates.into_iter();
            candidates.filter(move |candidate| !retry.excludes(candidate, stage))
        });
        let passed_over =
            |it: &Spot| self.seen.unavailable.contains(it) || self.seen.missing.contains(it);
        let is_left = |it: &Spot| !known.contains(it) && !passed_over(it);
        planned.map(|candidate| spot(&candidate)).filter(is_left).collect()
    }

    pub(super) fn look(&mut self, retry: &Retry, from: usize, to: usize) -> Event {
        let plans: Vec<Planned> =
            (from..to).map(|stage| self.planned_for(retry, stage, TurnMode::Look)).collect();
        let is_open = plans.iter().zip(from..).any(|(plan, stage)| {
            plan.candidates.iter().any(|candidate| !retry.excludes(candidate, stage))
        });
        let soonest = plans.iter().filter_map(|plan| plan.soonest).min_by_key(|it| it.0);
        self.say(|_| format!("  {is_open} {soonest:?}"));
        Event::Looked { is_open, soonest }
    }

    /// Lets time pass until something comes of an attempt, or the wait is over.
    pub(super) fn wait(
        &mut self,
        retry: &Retry,
        at_work: &mut AtWork,
        until: Duration,
        for_others: bool,
    ) -> Event {
        assert!(until <= self.limits.deadline, "a wait past the deadline");
        if retry.under_way() == 0 && until.saturating_sub(self.now) > waits::WORTH_WAITING {
            let free = self.left(retry, 0, &self.seen.asked);
            assert!(free.is_empty(), "a long wait before {free:?} were asked");
        }
        let due = (0..SLOTS)
            .filter_map(|slot| {
                Some((at_work.slots[slot].as_ref()?.due(self.drawn.streamed)?, slot))
            })
            .min()
            .filter(|(due, _)| *due <= until);
        let Some((due, slot)) = due else {
            if retry.under_way() == 0 {
                self.seen.waited += until.saturating_sub(self.now);
            }
            self.now = self.now.max(until);
            return Event::Timer;
        };
        assert!(!for_others, "nobody waits for others beside an attempt");
        self.now = self.now.max(due);
        let mut attempt = at_work.slots[slot].take().expect("it is due");
        match self.outcome(&attempt) {
            Ok(()) if retry.is_resuming() && !self.continues(&attempt) => Event::Differs { slot },
            Ok(()) => {
                for pass in std::mem::take(&mut attempt.passes) {
                    self.pool.health.passed(self.at(), pass.scope());
                    self.held.passed(self.at(), pass.scope());
                    pass.judged();
                }
                at_work.kept[slot] = Some(attempt);
                Event::Answered { slot }
            }
            Err(failure) => {
                let is_spoken = self.ways[attempt.provider].is_spoken(attempt.format);
                let facts = Facts {
                    credential: attempt.lease.as_ref().map(|lease| lease.id().clone()),
                    format: FormatFacts { may_be_absent: true, is_spoken },
                    has_token: self.ways[attempt.provider].takes_tokens && attempt.lease.is_some(),
                };
                let ways = &self.ways[attempt.provider];
                let is_met = attempt.met.is_some();
                let failure = if is_met { failure } else { ways.ruled(failure) };
                let is_aside = self.purpose == Purpose::Aside;
                let failure = Arc::new(Failure { is_aside, ..failure });
                at_work.kept[slot] = Some(attempt);
                Event::Failed { slot, failure, facts }
            }
        }
    }

    /// Tells of a failure whom it concerns.
    pub(super) fn note(
        &mut self,
        retry: &Retry,
        at_work: &mut AtWork,
        slot: Slot,
        failure: &Failure,
        whose: Whose,
    ) {
        let mut attempt = at_work.kept[slot].take().expect("it has failed");
        let (ways, is_absent) =
            (&self.ways[attempt.provider], matches!(attempt.met, Some(Met::NoSuchFormat(..))));
        match whose {
            Whose::Format => assert!(is_absent, "it has that format"),
            Whose::Token => {
                assert_eq!(attempt.met, Some(Met::OldToken), "it takes that token");
                assert!(!attempt.has_new_token, "a token was renewed twice");
            }
            Whose::Formats => {
                assert!(is_absent && attempt.format + 1 == ways.formats, "there is another format");
                self.blame(&mut attempt, failure);
            }
            Whose::Usual => {
                assert!(!is_absent, "nobody is blamed for a format");
                assert!(attempt.met.is_none() || attempt.has_new_token, "the token may be old");
                self.blame(&mut attempt, failure);
                self.seen.is_too_long |= failure.class == FailureClass::ContextTooLong;
                let is_at_fault = failure.class == FailureClass::ClientFault;
                if policy(failure).next == Next::Stop && !(is_at_fault && retry.is_resuming()) {
                    self.seen.stopped = Some(failure.class);
                }
            }
        }
        at_work.kept[slot] = Some(attempt);
    }

    /// Whoever comes back within what the request may wait is waited for, as the next request would.
    fn check_waited(&self, retry: &Retry, end: &End) {
        let is_over = matches!(end, End::Deadline | End::NotResumed);
        if is_over || self.seen.stopped.is_some() || self.seen.is_too_long {
            return;
        }
        let look = |stage| self.planned_for(retry, stage, TurnMode::Look).soonest;
        let soonest = (0..self.chain.stages.len()).filter_map(look).min_by_key(|it| it.0);
        let Some((until, cause)) = soonest else { return };
        let left = self.limits.max_wait.saturating_sub(self.seen.waited);
        let is_in_time = until.saturating_sub(self.now) <= left && until < self.limits.deadline;
        let is_sooner = match end {
            End::Failed(failure) => {
                tells_when(failure) || until.saturating_sub(self.now) < policy(failure).passes_after
            }
            _ => true,
        };
        assert!(!is_in_time || !is_sooner, "{cause:?} would have been over at {until:?}");
    }

    pub(super) fn run(&mut self) -> Finished {
        let mut retry = Retry::new(self.limits, self.stages());
        let mut attempt = match self.drive(&mut retry, Event::Begin) {
            Ok(attempt) => attempt,
            Err(end) => {
                self.check_waited(&retry, &end);
                if matches!(end, End::Failed(_))
                    && self.seen.stopped.is_none()
                    && !self.seen.is_budget_denied
                {
                    let left = self.left(&retry, 0, &self.seen.asked);
                    assert!(left.is_empty(), "it was given up before {left:?} were asked");
                }
                return Finished::Failed(end);
            }
        };
        if !self.drawn.streamed {
            self.seen.told = self.text(&attempt);
            self.answered(&attempt);
            return Finished::Complete;
        }
        loop {
            let text = self.drawn.providers[attempt.provider].text;
            let Script::Breaks { pace, pieces, class, .. } = attempt.script.clone() else {
                let whole = text.concat();
                assert!(whole.starts_with(&self.seen.told), "{whole:?} after {:?}", self.seen.told);
                self.seen.told = whole;
                self.answered(&attempt);
                return Finished::Complete;
            };
            let said = text[..pieces].concat();
            assert!(said.starts_with(&self.seen.told), "{said:?} after {:?}", self.seen.told);
            self.seen.told = said;
            let broken_at = self.now + Duration::from_millis(pace * pieces as u64);
            self.now = broken_at.min(self.limits.deadline);
            if self.now == self.limits.deadline {
                return Finished::Failed(End::Deadline);
            }
            let failure = Arc::new(Failure::new(class, "broke off"));
            self.say(|_| format!("broke off: {class:?}"));
            self.blame(&mut attempt, &failure);
            drop(attempt);
            let is_kept = self.drawn.resumes;
            let event = Event::Broken { failure: Arc::clone(&failure), is_kept };
            match self.drive(&mut retry, event) {
                Ok(next) => {
                    assert!(is_kept, "a stream that is not kept was gone on with");
                    attempt = next;
                }
                Err(end) => {
                    let may_resume = policy(&failure).resume != policy::Resume::Never && is_kept;
                    if may_resume && matches!(end, End::NotResumed) && !self.seen.is_budget_denied {
                        let left = self.left(&retry, self.seen.stage, &self.seen.resumed);
                        assert!(
                            left.is_empty(),
                            "a stream was given up before {left:?} were asked"
                        );
                    }
                    return Finished::BrokenOff;
                }
            }
        }
    }
}
