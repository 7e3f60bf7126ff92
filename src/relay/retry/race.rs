//! Attempts beside each other: when another candidate is asked beside a slow one, or in its place.

use std::{sync::Arc, time::Duration};

use super::{Action, Awaiting, Retry, RunState, SLOTS, Slot};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        trace::AttemptKind,
    },
};

impl Retry {
    /// Something is under way: it is watched, and another candidate asked beside it when it is slow.
    pub(super) fn watch(&mut self, now: Duration) -> Action {
        if !self.is_resuming() {
            if let Some(action) = self.hedge(now) {
                return action;
            }
            if let Some(action) = self.give_up_overdue(now) {
                return action;
            }
        }
        let mut until = self.limits.deadline;
        if self.look_beside_at > now && self.may_ask_beside(now) {
            until = until.min(self.look_beside_at);
        }
        for running in self.slots.iter().flatten() {
            let due = match running.state {
                RunState::Pausing(at) => Some(at),
                RunState::Awaiting { slow_at, over_at } if !self.is_resuming() => {
                    let may_have_other = self.may_have_next() || self.is_one_away();
                    let can_hedge = self.under_way() < SLOTS && may_have_other;
                    let slow_at = slow_at.filter(|at| *at > now && can_hedge);
                    let over_at = over_at.filter(|_| self.may_have_next());
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
        if !self.may_ask_beside(now) {
            return None;
        }
        if !self.has_next() {
            return self.plan_next(true).or_else(|| self.look_beside(now));
        }
        // After a hedge that failed, who is slow is not waited for alone.
        self.take(now, Awaiting::Hedge)
    }

    /// Whether one is slow, alone, and another may be asked beside it.
    fn may_ask_beside(&self, now: Duration) -> bool {
        let mut under_way = self.slots.iter().flatten();
        let (Some(running), None) = (under_way.next(), under_way.next()) else { return false };
        !self.is_resuming() && running.is_slow(now) && self.stages[running.stage].may_hedge
    }

    /// Whether somebody who was away may be asked beside who is slow by now.
    fn look_beside(&mut self, now: Duration) -> Option<Action> {
        if self.look_beside_at > now || self.is_draining {
            return None;
        }
        self.asked = Awaiting::LookBeside;
        Some(Action::Look { from: 0, to: self.stages.len() })
    }

    /// Ends an attempt whose time is over, as long as there is another candidate.
    fn give_up_overdue(&mut self, now: Duration) -> Option<Action> {
        let overdue = (0..SLOTS).find(|slot| {
            let state = self.slots[*slot].as_ref().map(|running| running.state);
            matches!(state, Some(RunState::Awaiting { over_at: Some(at), .. }) if at <= now)
        })?;
        if !self.has_next() {
            return self.plan_next(true);
        }
        Some(self.abandon_slot(overdue, Some(AttemptKind::Failover)))
    }

    /// Whether a candidate is left in the queue; those ruled out are dropped from it.
    pub(super) fn has_next(&mut self) -> bool {
        while let Some(next) = self.queue.front() {
            if !self.ruled_out.excludes(next, self.stage > 0) && !self.is_under_way(next) {
                return true;
            }
            self.queue.pop_front();
        }
        false
    }

    pub(super) fn is_under_way(&self, candidate: &Candidate) -> bool {
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
        in_queue || self.stage + 1 < self.stages.len()
    }

    /// Whether a cooldown, or no place, kept the request from somebody who may be back by now.
    fn is_one_away(&self) -> bool {
        self.has_busy || self.soonest.is_some()
    }

    /// Ends the attempt that has been silent for longest.
    pub(super) fn abandon(&mut self, then: Option<AttemptKind>) -> Option<Action> {
        let slot = (0..SLOTS).find(|slot| self.slots[*slot].is_some())?;
        Some(self.abandon_slot(slot, then))
    }

    fn abandon_slot(&mut self, slot: Slot, then: Option<AttemptKind>) -> Action {
        let failure =
            Arc::new(Failure::new(FailureClass::Silent, "it was silent, and another is asked"));
        self.note_verdict(slot, &failure);
        self.give_up(slot, &failure);
        self.asked = Awaiting::Abandon { then };
        Action::Abandon { slot, failure }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        actors::router::{
            RetryBudget,
            pool::{self, Pool},
        },
        domain::running_stats::History,
        relay::{
            retry::{Event, How, Limits, Patience, Planned, StageRules},
            soft_limit::SoftLimits,
        },
    };

    const SOFT: Duration = Duration::from_secs(10);

    /// A request that has asked the first of two candidates, which says nothing until its soft limit.
    fn silent() -> Retry {
        let limits = Limits {
            deadline: Duration::from_mins(10),
            max_wait: Duration::from_mins(1),
            pause: Duration::from_millis(200),
        };
        let mut retry = Retry::new(limits, vec![StageRules { may_hedge: true }]);
        let candidates = Pool::of(&[("silent", 9), ("well", 1)]).plan("m").candidates;
        retry.next(Duration::ZERO, Event::Begin);
        let planned = Planned { candidates, ..Planned::default() };
        let asked = retry.next(Duration::ZERO, Event::Planned(planned));
        assert!(matches!(asked, Action::Ask { slot: 0, .. }), "{asked:?}");
        let patience = Patience { soft: Some(SOFT), hard: None };
        let waits = retry.next(Duration::ZERO, Event::Started { slot: 0, patience });
        assert!(matches!(waits, Action::Wait { until: SOFT, .. }), "{waits:?}");
        let takes = retry.next(SOFT, Event::Timer);
        assert!(matches!(takes, Action::TakeBudget { .. }), "{takes:?}");
        retry
    }

    fn asks_the_other(action: &Action, retry: &Retry, expected: AttemptKind) {
        let Action::Ask { slot, how: How::Fresh, kind } = action else { panic!("{action:?}") };
        assert_eq!(retry.candidate(*slot).provider.id.as_str(), "well");
        assert_eq!(*kind, expected);
    }

    #[test]
    fn at_the_soft_limit_another_is_asked_beside_a_silent_one() {
        let mut retry = silent();
        let asked = retry.next(SOFT, Event::Budget { is_granted: true, random: 0.0 });
        asks_the_other(&asked, &retry, AttemptKind::Hedge);
        assert_eq!(retry.under_way(), 2);
    }

    // However many are silent at once: none waits for longer than its soft limit.
    #[test]
    fn without_budget_the_request_moves_on_at_the_soft_limit() {
        let mut retry = silent();
        let left = retry.next(SOFT, Event::Budget { is_granted: false, random: 0.0 });
        assert!(matches!(left, Action::Abandon { slot: 0, .. }), "{left:?}");
        let asked = retry.next(SOFT, Event::Done);
        asks_the_other(&asked, &retry, AttemptKind::Failover);
        assert_eq!(retry.under_way(), 1);
    }

    // With the defaults, and nothing known of anybody: more of them than the budget has.
    #[test]
    fn thirty_streams_at_a_silent_provider_are_all_served_by_another_within_fifteen_seconds() {
        let soft = SoftLimits::default().first_event(&History::default());
        assert_eq!(soft, SOFT);
        let mut budget = RetryBudget::default();
        budget.note_requests(pool::NOW, 30);
        let (mut beside, mut instead) = (0, 0);
        for _ in 0..30 {
            let mut retry = silent();
            let is_granted = budget.take(pool::NOW.plus(SOFT));
            let mut next = retry.next(SOFT, Event::Budget { is_granted, random: 0.0 });
            if let Action::Abandon { slot: 0, .. } = next {
                next = retry.next(SOFT, Event::Done);
                asks_the_other(&next, &retry, AttemptKind::Failover);
                instead += 1;
            } else {
                asks_the_other(&next, &retry, AttemptKind::Hedge);
                beside += 1;
            }
            let Action::Ask { slot, .. } = next else { panic!("{next:?}") };
            let patience = Patience { soft: Some(soft), hard: None };
            let waits = retry.next(SOFT, Event::Started { slot, patience });
            assert!(matches!(waits, Action::Wait { .. }), "{waits:?}");
            let answered = Duration::from_secs(15);
            let served = retry.next(answered, Event::Answered { slot });
            assert!(matches!(served, Action::Commit { slot: it, .. } if it == slot), "{served:?}");
        }
        assert_eq!((beside, instead), (10, 20));
    }
}
