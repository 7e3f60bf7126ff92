//! When a request waits for somebody who can be asked, and for how long.

use std::time::Duration;

use super::{Action, Awaiting, Retry, policy::is_limit};
use crate::domain::failure::FailureClass;

/// How often a request waits for one who says when to come back, a key or a model without one.
pub(super) const MAX_WAITS_FOR_ONE: u32 = 2;
/// How often a request asks again at once because somebody is open after a limit.
const MAX_RETRIES_AT_ONCE: u32 = 2;
/// The longest rate limit that is worth waiting for while there are other models to go to: three
/// seconds, and the tenth by which a cooldown is drawn out.
pub(super) const WORTH_WAITING: Duration = Duration::from_millis(3_300);
/// The longest of all such waits together.
const MOST_WORTH_WAITING: Duration = Duration::from_millis(6_600);
/// How often a place is looked for at a busy provider, should the word of it be missed.
const BUSY_LOOK: Duration = Duration::from_millis(250);

impl Retry {
    pub(super) fn looked(
        &mut self,
        now: Duration,
        is_open: bool,
        soonest: Option<(Duration, FailureClass)>,
    ) -> Option<Action> {
        let was_refused = self.verdict().is_some_and(|last| is_limit(last));
        match std::mem::replace(&mut self.asked, Awaiting::Nothing) {
            Awaiting::LookAtStage => {
                let until = match soonest {
                    _ if is_open && was_refused => now,
                    Some((until, FailureClass::RateLimit)) => until.max(now),
                    _ => return None,
                };
                let wait = until.saturating_sub(now);
                let is_worth_it = wait <= WORTH_WAITING
                    && self.waited_here.saturating_add(wait) <= MOST_WORTH_WAITING;
                if !is_worth_it || !self.may_wait(now, until) {
                    return None;
                }
                if until == now {
                    // It counts though nobody may be asked after it: another may have been faster.
                    self.retries_at_once += 1;
                    if self.retries_at_once > MAX_RETRIES_AT_ONCE {
                        return None;
                    }
                    return self.again(now, self.stage, true);
                }
                self.asked = Awaiting::ShortWait { began: now };
                Some(Action::Wait { until, for_others: true })
            }
            Awaiting::LookAtAll => {
                self.soonest = soonest;
                let until = if is_open { Some(now + BUSY_LOOK) } else { soonest.map(|it| it.0) };
                Some(match until {
                    Some(until) => self.wait_long(now, until),
                    None => self.end(now),
                })
            }
            Awaiting::LookBeside => {
                let busy = self.has_busy.then(|| now + BUSY_LOOK);
                let back = soonest.map(|(until, _)| until.max(now + BUSY_LOOK));
                let next = [busy, back].into_iter().flatten().min();
                self.look_beside_at = next.unwrap_or(Duration::MAX);
                if is_open {
                    self.begin_from(0);
                }
                None
            }
            Awaiting::LookAgain => {
                (self.soonest, self.first_back) = (soonest, None);
                self.made_before = self.made;
                if is_open { self.again(now, 0, was_refused) } else { None }
            }
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// What was waited for has come, or its time.
    pub(super) fn waited(&mut self, now: Duration) -> Option<Action> {
        match std::mem::replace(&mut self.asked, Awaiting::Nothing) {
            Awaiting::ShortWait { began } => {
                let wait = now.saturating_sub(began);
                self.waited += wait;
                self.waited_here += wait;
                self.open(self.stage);
                None
            }
            // As the next request would: what was refused is kept from everyone by its cooldown, and from
            // all but one after it.
            Awaiting::LongWait { began } => {
                self.waited += now.saturating_sub(began);
                self.begin_from(0);
                None
            }
            other => {
                self.asked = other;
                None
            }
        }
    }

    /// Opens a stage again. `is_retry`: no cooldown keeps the request from who is open there.
    fn again(&mut self, now: Duration, stage: usize, is_retry: bool) -> Option<Action> {
        if is_retry {
            return self.take(now, Awaiting::AfterLimit { stage });
        }
        self.open(stage);
        None
    }

    /// Every stage was tried: somebody is waited for, or it is the end.
    pub(super) fn all_asked(&mut self, now: Duration) -> Action {
        if self.is_draining {
            return self.end(now);
        }
        if self.has_busy {
            return self.wait_long(now, now + BUSY_LOOK);
        }
        // Whoever was cooling before these attempts may be asked by now.
        let is_back = self.first_back.is_some_and(|until| until <= now);
        match (self.verdict(), self.soonest) {
            (None, Some((until, _))) => self.wait_long(now, until),
            (Some(_), _) if is_back && self.made > self.made_before => {
                self.asked = Awaiting::LookAgain;
                Action::Look { from: 0, to: self.stages.len() }
            }
            (Some(verdict), _) if !self.refusals.is_empty() || self.passes_later(now, verdict) => {
                self.asked = Awaiting::LookAtAll;
                Action::Look { from: 0, to: self.stages.len() }
            }
            _ => self.end(now),
        }
    }

    /// Waits for somebody who can be asked, as long as a request may: as the next request would.
    fn wait_long(&mut self, now: Duration, until: Duration) -> Action {
        let until = until.max(now);
        if !self.may_wait(now, until) {
            return self.end(now);
        }
        self.asked = Awaiting::LongWait { began: now };
        Action::Wait { until, for_others: true }
    }

    /// Whether a wait ends in time: before the request does, and within all that it may wait.
    fn may_wait(&self, now: Duration, until: Duration) -> bool {
        let left = self.limits.max_wait.saturating_sub(self.waited);
        until.saturating_sub(now) <= left && until < self.limits.deadline
    }
}
