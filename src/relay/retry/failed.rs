//! Where a request goes after a failed attempt, and whose the failure is.

use std::{sync::Arc, time::Duration};

use super::{
    Action, Awaiting, End, Facts, How, MAX_ATTEMPTS, Retry, RunState, Running, Slot, Whose,
    format::{self, FormatsAsked},
    policy::{Next, is_limit, is_of_credential, policy, tells_when},
    token::Tokens,
    waits::MAX_WAITS_FOR_ONE,
};
use crate::domain::{
    failure::{Failure, FailureClass},
    id::CredentialId,
    trace::AttemptKind,
};

impl Retry {
    pub(super) fn failed(
        &mut self,
        slot: Slot,
        failure: Arc<Failure>,
        facts: Facts,
    ) -> Option<Action> {
        let may_ask = self.made < MAX_ATTEMPTS;
        let running = self.slots[slot].as_mut()?;
        let whose = if may_ask && format::is_absent(&failure, facts.format) {
            running.formats.note(&failure);
            Whose::Format
        } else if may_ask && running.tokens.renews(&failure, facts.has_token) {
            Whose::Token
        } else {
            Whose::Usual
        };
        Some(self.note(slot, failure, whose, facts.credential))
    }

    /// None of the formats it was asked in is there, and there is no other.
    pub(super) fn has_no_format(&mut self, slot: Slot) -> Option<Action> {
        let running = self.slots[slot].as_mut()?;
        let failure = running.formats.verdict(running.last.clone()?);
        Some(self.note(slot, failure, Whose::Formats, None))
    }

    fn note(
        &mut self,
        slot: Slot,
        failure: Arc<Failure>,
        whose: Whose,
        credential: Option<CredentialId>,
    ) -> Action {
        if let Some(running) = &mut self.slots[slot] {
            running.last = Some(Arc::clone(&failure));
        }
        self.asked = Awaiting::Note { slot, whose, credential };
        Action::Note { slot, failure, whose }
    }

    /// All who have to know of a failure have been told: the request goes on after it.
    pub(super) fn noted(&mut self) -> Option<Action> {
        let (slot, whose, credential) = match std::mem::replace(&mut self.asked, Awaiting::Nothing)
        {
            Awaiting::Note { slot, whose, credential } => (slot, whose, credential),
            other => {
                self.asked = other;
                return None;
            }
        };
        match whose {
            Whose::Usual => self.go_on_after(slot, credential),
            Whose::Format => Some(self.ask(slot, How::OtherFormat, AttemptKind::Format)),
            Whose::Token => Some(self.ask(slot, How::NewToken, AttemptKind::Repeat)),
            Whose::Formats => {
                let running = self.slots[slot].as_mut()?;
                let (candidate, last) = (running.candidate.clone(), running.last.clone()?);
                self.note_verdict(slot, &last);
                self.give_up(slot, &last);
                self.ruled_out.add(&candidate);
                None
            }
        }
    }

    fn go_on_after(&mut self, slot: Slot, credential: Option<CredentialId>) -> Option<Action> {
        let may_ask = self.made < MAX_ATTEMPTS;
        let failure = self.slots[slot].as_ref()?.last.clone()?;
        self.note_verdict(slot, &failure);
        self.look_beside_at = Duration::ZERO;
        let (policy, is_resuming) = (policy(&failure), self.is_resuming());
        let running = self.slots[slot].as_mut()?;
        let next = match policy.next {
            // To go on with a stream a candidate is asked once.
            Next::Repeat if running.is_repeated || is_resuming => Next::OtherCandidate,
            // What one takes and another does not is not the request's fault.
            Next::Stop if is_resuming && is_client_fault(&failure) => Next::OtherCandidate,
            next => next,
        };
        self.is_limited |= is_limit(&failure);
        if tells_when(&failure) {
            let is_servers = matches!(failure.class, FailureClass::Overload | FailureClass::Server);
            self.refused(slot, credential.clone().filter(|_| !is_servers));
        }
        let running = self.slots[slot].as_mut()?;
        match next {
            Next::Stop => return Some(Action::End(End::Failed(failure))),
            Next::Repeat if may_ask => {
                running.state = RunState::Held;
                self.asked = Awaiting::Repeat(slot);
                return Some(Action::TakeBudget { repeats_at: Some(slot) });
            }
            Next::OtherCredential if may_ask && let Some(credential) = credential => {
                running.tried.push(credential.clone());
                (running.formats, running.tokens) = (FormatsAsked::default(), Tokens::default());
                // A rate limit may be over when this candidate is asked again.
                if is_of_credential(&failure) {
                    self.tried.push(credential);
                }
                return Some(self.ask(slot, How::OtherCredential, AttemptKind::Failover));
            }
            _ => self.give_up(slot, &failure),
        }
        None
    }

    /// Counts who has said when to come back. Who is asked no more for it is ruled out.
    fn refused(&mut self, slot: Slot, credential: Option<CredentialId>) {
        let Some(Running { candidate, .. }) = &self.slots[slot] else { return };
        self.ruled_out.passes(candidate);
        let (provider, model) = (candidate.provider.id.clone(), candidate.model.clone());
        let who = (provider, model, credential);
        let times = match self.refusals.iter_mut().find(|(known, _)| *known == who) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                self.refusals.push((who.clone(), 1));
                1
            }
        };
        if times > MAX_WAITS_FOR_ONE && who.2.is_none() {
            self.ruled_out.add(candidate);
        }
    }

    pub(super) fn give_up(&mut self, slot: Slot, failure: &Failure) {
        if let Some(running) = self.slots[slot].take() {
            self.ruled_out.note(&running.candidate, failure);
        }
    }
}

fn is_client_fault(failure: &Failure) -> bool {
    failure.class == FailureClass::ClientFault && failure.rule.is_none()
}
