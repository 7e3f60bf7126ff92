//! Who goes on with a stream that broke off.

use std::sync::Arc;

use super::{
    Action, Asked, End, MAX_ATTEMPTS, Phase, Retry,
    policy::{Resume, policy},
};
use crate::domain::failure::Failure;

/// Most attempts to go on with one request's stream.
pub(super) const MAX_RESUMES: u32 = 2;

impl Retry {
    pub(super) fn broken(&mut self, failure: &Arc<Failure>, is_kept: bool) -> Option<Action> {
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

    /// Another candidate, or the one a stream broke off at when there is none.
    pub(super) fn resume_next(&mut self) -> Action {
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
}
