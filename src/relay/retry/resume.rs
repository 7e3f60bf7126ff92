//! Who goes on with a stream that broke off.

use std::{sync::Arc, time::Duration};

use super::{
    Action, Awaiting, End, MAX_ATTEMPTS, Phase, Retry,
    policy::{Resume, policy},
};
use crate::domain::failure::Failure;

impl Retry {
    /// The stream that was committed has ended with a failure. Each other candidate may be asked once to
    /// go on with it, and the first of those it broke off at once, last.
    pub(super) fn broken(&mut self, failure: &Arc<Failure>, is_kept: bool) -> Option<Action> {
        let not_resumed = Some(Action::End(End::NotResumed));
        let resume = policy(failure).resume;
        let Phase::Committed { stage, candidate } = &self.phase else { return not_resumed };
        let (stage, candidate) = (*stage, candidate.clone());
        self.phase = Phase::Resuming { stage };
        if resume == Resume::Never || !is_kept {
            return not_resumed;
        }
        // Whoever was asked to go on is ruled out since then.
        let is_first = !self.ruled_out.has(&candidate.provider.id, &candidate.model);
        self.ruled_out.note(&candidate, failure);
        self.ruled_out.add(&candidate);
        if is_first && resume == Resume::Anywhere {
            self.broken = Some(candidate);
        }
        self.begin_from(stage);
        None
    }

    /// Another candidate of the stage the stream is of or of those behind it, or the one it broke off at
    /// when none is left.
    pub(super) fn resume_next(&mut self, now: Duration, from: usize) -> Action {
        if self.made >= MAX_ATTEMPTS || self.is_draining {
            return Action::End(End::NotResumed);
        }
        if !self.has_next() {
            if let Some(action) = self.plan_next(false) {
                return action;
            }
            // Whoever was cooling before these attempts may be asked by now.
            if self.made > self.made_before {
                self.begin_from(from);
                return self.resume_next(now, from);
            }
            let Some(broken) = self.broken.take() else {
                return Action::End(End::NotResumed);
            };
            self.ruled_out.forgive(&broken);
            self.queue.push_back(broken);
        }
        self.take(now, Awaiting::Resume).unwrap_or(Action::End(End::NotResumed))
    }
}
