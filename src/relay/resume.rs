//! Going on with a stream that broke off: another attempt is made, and continued only if it says again
//! all that the client has.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use super::{
    attempts::Attempts,
    place::Place,
    prove::{ProvedStream, prove_resumed},
};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        trace::{AttemptEnd, AttemptKind},
        turns::Turn,
    },
    gateway::exchange::Transcript,
};

/// Most attempts to go on with one request's stream.
const MAX_RESUMES: u32 = 2;

impl Attempts {
    /// Whether a stream that ended with this failure may be taken up again. `is_kept`: what has been
    /// sent of it can be compared.
    pub(super) fn may_resume(&self, failure: &Failure, is_kept: bool) -> bool {
        let is_broken = match failure.class {
            FailureClass::Cut
            | FailureClass::Stalled
            | FailureClass::Server
            | FailureClass::Overload => failure.rule.is_none(),
            _ => false,
        };
        is_broken && self.relay().settings.resume && !self.relay().gate.is_draining() && is_kept
    }

    /// Goes on with a stream at another place, or, when there is none, at the one it broke off at.
    /// `None`: it cannot be gone on with.
    pub(super) async fn resume(
        self: Rc<Self>,
        transcript: Transcript,
        broken: Candidate,
        failure: Arc<Failure>,
    ) -> Option<(ProvedStream, Place)> {
        self.state.borrow_mut().spent.note(&broken, &failure);
        let mut queue = self.places_to_resume(&broken)?;
        while let Some(candidate) = queue.pop_front() {
            {
                let state = &mut self.state.borrow_mut();
                if state.resumes >= MAX_RESUMES {
                    return None;
                }
                state.resumes += 1;
            }
            if !self.take_retry(None).await {
                return None;
            }
            let tried = self
                .try_candidate(candidate, AttemptKind::Resume, &async |relay, request, pair| {
                    prove_resumed(relay, request, pair, &transcript).await
                })
                .await;
            match tried.ok()? {
                Some((Some(proof), place)) => return Some((proof, place)),
                Some((None, place)) => {
                    let mut state = self.state.borrow_mut();
                    state.settlement.journey().ended(place.number, AttemptEnd::Differs);
                }
                None => {}
            }
        }
        None
    }

    /// Those who serve what the stream was of.
    fn places_to_resume(&self, broken: &Candidate) -> Option<VecDeque<Candidate>> {
        let stage = self.state.borrow().stage.clone()?;
        let plan = self.plan(&stage, Turn::Look);
        let is_broken = |candidate: &Candidate| {
            candidate.provider.id == broken.provider.id && candidate.model == broken.model
        };
        let state = self.state.borrow();
        let (same, mut others): (VecDeque<_>, VecDeque<_>) =
            plan.candidates.into_iter().partition(is_broken);
        others.retain(|candidate| !state.spent.is_spent(candidate));
        Some(if others.is_empty() { same } else { others })
    }
}
