//! One attempt: one try of one candidate with one credential, and whom its outcome concerns.

mod copilot;
mod formats;

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::copilot::CopilotTokens;
use super::{
    commit::Commit,
    dispatch::{Dispatch, LastFailed},
    prepare::Prepared,
    retry::{Facts, FormatFacts, Slot, Unavailable, Whose},
};
use crate::{
    actors::{
        clock::steady,
        credentials::{Binding, Lease, LeaseRequest},
        registry::{InFlight, ListedProvider},
        router::Candidate,
    },
    domain::{
        chat::Losses,
        cooldown::{TrialPass, Use},
        cooling::CoolingSettings,
        credential::Egress,
        event::FailoverStep,
        failure::Failure,
        health::Purpose,
        id::CredentialId,
        model::ModelKind,
        rule::FailureRule,
        trace::AttemptKind,
    },
    gateway::{
        exchange::{Conversion, Operation},
        secret_mask::Secrets,
        upstream::{UpstreamRequest, Waits},
    },
};

/// A candidate with all that an attempt there holds. Dropping it gives everything back.
pub(super) struct Attempt {
    pub candidate: Candidate,
    prepared: Rc<Prepared>,
    pub lease: Option<Lease>,
    pub purpose: Purpose,
    /// What its route sets of how failures cool.
    pub cooling: Option<CoolingSettings>,
    credential_id: Option<CredentialId>,
    /// The number of the attempt.
    pub number: u32,
    /// Whether it is to go on with a stream that broke off.
    is_resume: bool,
    pub started: Instant,
    passes: Vec<TrialPass>,
    copilot: CopilotTokens,
    _in_flight: InFlight,
}

/// What came of an attempt. `None`: it says something else than what it was to go on with.
pub(super) type AttemptResult<P> = (Attempt, Result<Option<P>, Failure>);

impl Attempt {
    /// What of the request is lost on the way there.
    pub fn losses(&self) -> &Losses {
        &self.prepared.losses
    }

    pub fn credential_id(&self) -> Option<&CredentialId> {
        self.credential_id.as_ref()
    }

    /// What an attempt there uses.
    pub fn used(&self) -> Use<'_> {
        let Candidate { provider, model, .. } = &self.candidate;
        Use { provider: &provider.id, credential: self.credential_id(), model }
    }

    /// What its provider's errors mean, as the operator would have it.
    pub fn rules(&self) -> &[FailureRule] {
        &self.candidate.provider.rules
    }

    /// What was sent there in secret.
    pub fn secrets(&self) -> Secrets<'_> {
        let credential = self.lease.as_ref().map(Lease::credential);
        let own = credential.map(|credential| &credential.settings);
        Secrets {
            credential: self.copilot_token().map(|token| &token.secret),
            exchanged: self.lease.as_ref().map(Lease::secret),
            headers: [&self.candidate.provider.headers, own.map_or(&[], |own| &own.headers)],
            egress: own.map(|own| &own.egress),
            ..Secrets::default()
        }
    }

    /// Makes of its answer what the client gets.
    pub fn conversion(&self) -> &Conversion {
        &self.prepared.conversion
    }

    /// Gives back all that it holds, but for the request as the candidate gets it.
    pub fn into_prepared(self) -> Rc<Prepared> {
        self.prepared
    }

    /// Gives back the credential before the rest, for another attempt to use it.
    pub fn give_back(&mut self) {
        self.lease = None;
    }

    /// What of it was on trial and has now begun a good answer.
    pub fn take_passed(&mut self) -> Vec<TrialPass> {
        std::mem::take(&mut self.passes)
    }

    /// What was on trial and has failed is judged; what the failure says nothing about may be tried by
    /// the next request.
    pub fn failed(&mut self, failure: &Failure) {
        let passes = self.take_passed();
        self.purpose.judge(passes, self.used(), failure);
    }
}

impl Dispatch {
    /// Takes what an attempt at the candidate of a slot needs.
    ///
    /// Errors: why it cannot be had now.
    pub(super) fn enter(&self, slot: Slot, prepared: Rc<Prepared>) -> Result<Attempt, Unavailable> {
        let state = self.state.borrow();
        let candidate = state.retry.candidate(slot);
        let provider = &candidate.provider;
        let bound = self.binding().filter(|binding| binding.provider_id == provider.id);
        let tried: Vec<CredentialId> = state.retry.tried(slot).cloned().collect();
        let wanted = LeaseRequest {
            provider: &provider.id,
            model: &candidate.model,
            strategy: provider.credential_strategy,
            tried: &tried,
            preferred: bound.as_ref().and_then(|binding| binding.credential_id.as_ref()),
        };
        let snapshots = &self.relay().snapshots;
        // It may have been switched off since it was planned for.
        let providers = snapshots.providers.read();
        if !providers.find_row(&provider.id).is_some_and(ListedProvider::is_usable) {
            return Err(Unavailable::Unfit);
        }
        let (credentials, health) = (snapshots.credentials.read(), snapshots.health.read());
        let entered = credentials.enter(steady(), &health, wanted, candidate.needs_credential);
        let (lease, mut passes) =
            entered.map_err(|error| Unavailable::of(error, |it| self.at(it)))?;
        // Who asks for an answer tries it, and a count is made here meanwhile.
        if !passes.is_empty() && self.counts_tokens() {
            return Err(Unavailable::Busy);
        }
        let purpose = self.purpose(candidate);
        passes.retain(|pass| purpose.may_try(pass.scope()));
        Ok(Attempt {
            candidate: candidate.clone(),
            prepared,
            credential_id: lease.as_ref().map(|lease| lease.id().clone()),
            lease,
            purpose,
            cooling: self.cooling(state.retry.stage(slot)),
            number: 0,
            is_resume: state.retry.is_resuming(),
            // Until an attempt begins.
            started: self.arrived(),
            passes,
            copilot: CopilotTokens::default(),
            _in_flight: candidate.stats.enter(),
        })
    }

    /// What an attempt at a candidate is for.
    pub(super) fn purpose(&self, candidate: &Candidate) -> Purpose {
        match self.admitted.request.asked().operation() {
            Operation::Generate => Purpose::Answer,
            Operation::Embed if candidate.facts.kind == ModelKind::Embedding => Purpose::OwnModel,
            Operation::Embed | Operation::CountTokens => Purpose::Aside,
        }
    }

    /// Where the session was served last.
    pub(super) fn binding(&self) -> Option<Binding> {
        let session = self.admitted.session.as_ref().filter(|session| session.is_continued)?;
        session.keys.iter().find_map(|key| self.relay().snapshots.affinity.find(*key))
    }

    fn bind(&self, attempt: &Attempt) {
        for key in self.admitted.session.iter().flat_map(|session| &session.keys) {
            let provider_id = attempt.candidate.provider.id.clone();
            let credential_id = attempt.credential_id().cloned();
            let binding = Binding { provider_id, credential_id };
            self.relay().snapshots.affinity.bind(*key, binding);
        }
    }

    /// One try of one candidate with one credential, which is given back with what came of it.
    pub(super) async fn attempt<P>(
        &self,
        mut attempt: Attempt,
        commit: &impl Commit<P>,
    ) -> AttemptResult<P> {
        let answer = self.answer(&mut attempt, commit).await;
        (attempt, answer)
    }

    async fn answer<P>(
        &self,
        attempt: &mut Attempt,
        commit: &impl Commit<P>,
    ) -> Result<Option<P>, Failure> {
        let relay = self.relay();
        if attempt.wants_copilot_token() {
            Box::pin(self.take_copilot_token(attempt)).await?;
        }
        let (settings, candidate, prepared) =
            (&relay.settings, &attempt.candidate, &attempt.prepared);
        let stream = self.is_streamed();
        let idle = settings.idle_timeout;
        // The request's own deadline comes first.
        let later = Duration::from_secs(1);
        let waits = Waits {
            deadline: self.deadline.instant() + later,
            head: if stream { idle } else { settings.timeout + later },
            idle,
        };
        let credential = attempt.lease.as_ref().map(Lease::credential);
        let token = attempt.copilot_token();
        let upstream = UpstreamRequest {
            url: attempt.url(prepared),
            format: prepared.endpoint().format,
            forwarded: self.admitted.request.forwarded(prepared.endpoint().format),
            credential: match token {
                Some(token) => Some(&token.secret),
                None => attempt.lease.as_ref().map(Lease::secret),
            },
            headers: &candidate.provider.headers,
            own_headers: credential.map_or(&[], |credential| &credential.settings.headers),
            egress: credential.map_or(&Egress::Usual, |credential| &credential.settings.egress),
            rules: attempt.rules(),
            body: prepared.body.clone(),
            stream,
            location: candidate.provider.location,
            waits,
        };
        self.state.borrow_mut().settlement.asking();
        let answer = commit(relay, upstream, &prepared.conversion).await;
        self.state.borrow_mut().settlement.answered();
        answer
    }

    pub(super) fn begin(&self, now: Instant, attempt: &mut Attempt, kind: AttemptKind) {
        let mut state = self.state.borrow_mut();
        (attempt.number, attempt.started) = (state.retry.made() + 1, now);
        if let AttemptKind::Repeat | AttemptKind::Hedge | AttemptKind::Resume = kind {
            self.relay().metrics.extra_attempt(kind);
        }
        let credential = attempt.lease.as_ref().map(Lease::credential);
        if matches!(kind, AttemptKind::Failover | AttemptKind::Resume) {
            self.tell_failover(state.last.as_ref(), attempt);
        }
        let (candidate, number) = (&attempt.candidate, attempt.number);
        let trace = state.settlement.trace();
        trace.begun(now, number, kind, candidate, attempt.prepared.asked_in(), credential);
        trace.translated(number, attempt.losses());
        note_entry(&mut state.settlement, attempt, number);
        if number == 1 {
            let own_time = now.duration_since(state.settlement.arrived());
            self.relay().metrics.overhead.observe(own_time.as_secs_f64());
        }
    }

    /// What is known of an attempt that has failed.
    pub(super) fn facts(&self, attempt: &Attempt, failure: &Failure) -> Facts {
        // Of no interest but where a format is in question.
        let is_in_question = failure.wrong_format.is_some();
        Facts {
            credential: attempt.credential_id().cloned(),
            format: if is_in_question {
                self.format_facts(attempt)
            } else {
                FormatFacts::default()
            },
            has_token: attempt.copilot_token().is_some(),
        }
    }

    /// Tells of a failure whom it concerns.
    pub(super) fn note(&self, attempt: &mut Attempt, failure: &Arc<Failure>, whose: Whose) {
        match whose {
            Whose::Usual => self.note_failure(attempt, failure),
            Whose::Format => self.note_wrong_format(attempt, failure),
            Whose::Formats => self.note_end_of_formats(attempt, failure),
            Whose::Token => self.note_unblamed(attempt, failure),
        }
    }

    /// A candidate has shown that it answers: what was on trial is so no more, and sessions go there.
    pub(super) fn proved(&self, attempt: &mut Attempt) {
        let relay = self.relay();
        for pass in attempt.take_passed() {
            relay.tell_passed(pass);
        }
        let committed_at = Instant::now();
        self.state.borrow_mut().settlement.trace().proved(committed_at, attempt.number);
        let prepared = &attempt.prepared;
        if prepared.has_choice() && self.asks_for_answer() {
            let format = prepared.endpoint().format;
            attempt.candidate.stats.note_answer_in(&attempt.candidate.model, format);
        }
        // Whoever goes on with a stream may still say something else.
        if attempt.is_resume {
            return;
        }
        let (stats, model) = (&attempt.candidate.stats, &attempt.candidate.model);
        let took = committed_at.duration_since(attempt.started);
        if self.is_streamed() {
            stats.note_first_event(steady(), model, took);
        } else {
            stats.note_whole_answer(steady(), model, took);
        }
        self.answered_by(attempt);
    }

    /// The answer is that of this place: its session goes there, and so does its account.
    pub(super) fn answered_by(&self, attempt: &Attempt) {
        self.bind(attempt);
        self.note_attempt(attempt);
    }

    /// Puts on the trace what was lost of the answer on its way to the client.
    pub(super) fn note_losses(&self, attempt: &Attempt, losses: &Losses) {
        if !losses.is_empty() {
            let mut all = attempt.losses().clone();
            all.absorb(losses);
            self.state.borrow_mut().settlement.trace().translated(attempt.number, &all);
        }
    }

    /// Puts on the account whose answer it is.
    pub(super) fn note_attempt(&self, attempt: &Attempt) {
        let mut state = self.state.borrow_mut();
        let made = state.retry.made();
        note_entry(&mut state.settlement, attempt, made);
    }

    /// Puts on the trace what failed, and is nobody's fault.
    fn note_unblamed(&self, attempt: &Attempt, failure: &Failure) {
        let mut state = self.state.borrow_mut();
        state.settlement.trace().failed(attempt.number, failure);
        self.relay().count_failure(state.settlement.request_id(), attempt, failure);
    }

    /// Tells what failed to all who have to know.
    pub(super) fn note_failure(&self, attempt: &mut Attempt, failure: &Arc<Failure>) {
        attempt.failed(failure);
        let mut state = self.state.borrow_mut();
        state.settlement.trace().failed(attempt.number, failure);
        let request_id = state.settlement.request_id();
        self.relay().count_failure(request_id, attempt, failure);
        self.relay().tell_blame(request_id, attempt, failure);
        drop(state);
        self.note_last(attempt, failure);
    }

    /// Keeps in mind what the request goes on after.
    fn note_last(&self, attempt: &Attempt, failure: &Arc<Failure>) {
        self.state.borrow_mut().last = Some(LastFailed {
            candidate: attempt.candidate.clone(),
            credential_id: attempt.credential_id().cloned(),
            failure: Arc::clone(failure),
        });
    }

    /// Tells that the attempt before was not the last, unless this one is at the very same place.
    fn tell_failover(&self, last: Option<&LastFailed>, attempt: &Attempt) {
        let Some(last) = last else { return };
        let next = if last.candidate.provider.id != attempt.candidate.provider.id {
            FailoverStep::Provider
        } else if last.candidate.model != attempt.candidate.model {
            FailoverStep::Model
        } else if last.credential_id.as_ref() != attempt.credential_id() {
            FailoverStep::Credential
        } else {
            return;
        };
        self.relay().tell_failover(self.admitted.id, last, attempt, next);
    }
}

/// Puts on the account who is asked, and how many attempts there were.
fn note_entry(settlement: &mut super::settle::Settlement, attempt: &Attempt, attempts: u32) {
    if let Some(entry) = settlement.entry() {
        entry.attempts = attempts;
        entry.provider_id = Some(attempt.candidate.provider.id.clone());
        entry.upstream_model = Some(attempt.candidate.model.clone());
        entry.credential_id = attempt.credential_id().cloned();
    }
}
