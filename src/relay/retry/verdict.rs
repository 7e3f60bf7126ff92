//! What a request is told in the end: of all failures it met the one that passes soonest.

use std::{sync::Arc, time::Duration};

use super::{
    Action, End, Retry, Running, Slot,
    policy::{policy, tells_when},
};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        health::is_counted,
        id::{ModelName, ProviderId},
    },
};

/// What a model of a provider has failed with.
pub(super) struct Verdict {
    provider: ProviderId,
    model: ModelName,
    failure: Arc<Failure>,
    /// Whether it was asked anew since.
    is_past: bool,
}

impl Verdict {
    fn is_of(&self, candidate: &Candidate) -> bool {
        self.provider == candidate.provider.id && self.model == candidate.model
    }
}

/// What a candidate that is asked anew has failed with is past.
pub(super) fn mark_past(verdicts: &mut [Verdict], candidate: &Candidate) {
    let past = verdicts.iter_mut().filter(|verdict| verdict.is_of(candidate));
    past.for_each(|verdict| verdict.is_past = true);
}

impl Retry {
    /// Keeps of the failures of a model with its several keys the one that passes soonest; of equal ones
    /// the last. What was said before it was asked anew is past, and all of it where it is not there.
    pub(super) fn note_verdict(&mut self, slot: Slot, failure: &Arc<Failure>) {
        let Some(Running { candidate, .. }) = &self.slots[slot] else { return };
        let passes = |failure: &Failure| policy(failure).passes_after;
        let is_missing = failure.class == FailureClass::ModelMissing;
        let known = self.verdicts.iter().position(|known| known.is_of(candidate));
        let known = known.map(|at| self.verdicts.remove(at));
        let failure = match known {
            Some(Verdict { failure: known, is_past: false, .. })
                if !is_missing && passes(&known) < passes(failure) =>
            {
                known
            }
            _ => Arc::clone(failure),
        };
        let (provider, model) = (candidate.provider.id.clone(), candidate.model.clone());
        self.verdicts.push(Verdict { provider, model, failure, is_past: false });
    }

    /// Of all failures the one that passes soonest; of equal ones the last.
    pub(super) fn verdict(&self) -> Option<&Arc<Failure>> {
        let newest_first = self.verdicts.iter().rev().map(|verdict| &verdict.failure);
        newest_first.min_by_key(|failure| policy(failure).passes_after)
    }

    /// The model of a provider that a failure is of, as far as it is told.
    pub fn failed_at(&self, failure: &Arc<Failure>) -> Option<(&ProviderId, &ModelName)> {
        let known = self.verdicts.iter().find(|known| Arc::ptr_eq(&known.failure, failure))?;
        Some((&known.provider, &known.model))
    }

    /// The end, with the failure that passes soonest; or as nobody's whom a cooldown keeps away for a
    /// shorter time than that.
    pub(super) fn end(&mut self, now: Duration) -> Action {
        // Who fails now and then may be asked again at once, whoever else is away.
        let is_told =
            |it: &Failure| tells_when(it) || is_counted(it.class) || !self.passes_later(now, it);
        let verdict = self.verdict().filter(|it| is_told(it));
        Action::End(verdict.map_or(End::NobodyAsked, |it| End::Failed(Arc::clone(it))))
    }

    /// Whether a failure passes later than the first cooldown that keeps the request from somebody.
    pub(super) fn passes_later(&self, now: Duration, verdict: &Failure) -> bool {
        let passes_after = policy(verdict).passes_after;
        // Whoever is away may read no more than the others.
        verdict.class != FailureClass::ContextTooLong
            && self.soonest.is_some_and(|(until, _)| until.saturating_sub(now) < passes_after)
    }
}
