//! One candidate: tried with one credential after the other, until it has proved itself or another
//! one has to be asked.

mod copilot;
mod formats;

use std::{borrow::Cow, pin::pin, rc::Rc, sync::Arc, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use self::copilot::CopilotTokens;
use super::{
    attempts::{Attempts, Dead, LastFailed, note_soonest},
    next_step::{NextStep, next_step},
    prepare::Prepared,
    prove::Prove,
};
use crate::{
    actors::{
        clock::now,
        credentials::{Binding, Lease, LeaseError, Wanted},
        registry::InFlight,
        router::Candidate,
    },
    domain::{
        chat::Losses,
        cooldown::TrialPass,
        credential::Egress,
        event::FailoverStep,
        failure::{Failure, FailureClass},
        id::CredentialId,
        penalty::is_judged_by,
        time::Timestamp,
        trace::AttemptKind,
    },
    gateway::{
        secret_mask::Secrets,
        upstream::{UpstreamRequest, Waits},
    },
};

/// Most attempts of one request, whatever leads to them.
const MAX_ATTEMPTS: u32 = 100;

/// A candidate with all that an attempt there holds. Dropping it gives everything back.
pub(super) struct Place {
    pub candidate: Candidate,
    prepared: Rc<Prepared>,
    pub lease: Option<Lease>,
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

/// What became of a candidate. `None`: on to the next.
pub(super) type Tried<P> = Option<(P, Place)>;

impl Place {
    /// What of the request is lost on the way there.
    pub fn losses(&self) -> &Losses {
        &self.prepared.losses
    }

    pub fn credential_id(&self) -> Option<&CredentialId> {
        self.credential_id.as_ref()
    }

    /// What was sent there in secret.
    pub fn secrets(&self) -> Secrets<'_> {
        let credential = self.lease.as_ref().map(Lease::credential);
        let own = credential.map(|credential| &credential.settings);
        Secrets {
            credential: self.copilot_token().map(|token| &token.secret),
            exchanged: self.lease.as_ref().and_then(Lease::secret),
            headers: [&self.candidate.provider.headers, own.map_or(&[], |own| &own.headers)],
            egress: own.map(|own| &own.egress),
            ..Secrets::default()
        }
    }

    /// Gives back the credential before the rest, for another attempt to use it.
    pub fn give_back(&mut self) {
        self.lease = None;
    }

    /// What of it was on trial and has now begun a good answer.
    pub fn take_passed(&mut self) -> Vec<TrialPass> {
        let mut passes = std::mem::take(&mut self.passes);
        if let Some(lease) = &mut self.lease {
            passes.extend(lease.take_passes());
        }
        passes
    }

    /// What was on trial and has failed is judged; what the failure says nothing about may be tried by
    /// the next request.
    pub fn failed(&mut self, failure: &Failure) {
        for pass in self.take_passed() {
            if is_judged_by(pass.scope(), failure) {
                pass.judged();
            }
        }
    }
}

impl Attempts {
    /// Tries one candidate with one credential after the other.
    pub(super) async fn try_candidate<P>(
        &self,
        candidate: Candidate,
        mut kind: AttemptKind,
        prove: &impl Prove<P>,
    ) -> Result<Tried<P>, Dead> {
        let is_resume = kind == AttemptKind::Resume;
        let Some(prepared) = self.prepare(&candidate)? else { return Ok(None) };
        let mut prepared = Rc::new(prepared);
        let mut tried: Vec<CredentialId> = Vec::new();
        let mut last: Option<Arc<Failure>> = None;
        loop {
            let Some(mut place) = self.enter(&candidate, &prepared, &tried, last.as_deref()) else {
                return Ok(None);
            };
            place.is_resume = is_resume;
            let mut repeated = false;
            let mut missing: Option<Arc<Failure>> = None;
            let next = loop {
                let failure = match self.attempt(&mut place, kind, prove).await? {
                    Ok(proof) => return Ok(Some((proof, place))),
                    Err(failure) => Arc::new(failure),
                };
                if self.is_wrong_format(&place, &failure) {
                    self.note_wrong_format(&place, &failure);
                    if failure.class == FailureClass::ModelMissing {
                        missing.get_or_insert(Arc::clone(&failure));
                    }
                    if let Some(other) = self.next_format(&place) {
                        prepared = Rc::new(other);
                        place.prepared = Rc::clone(&prepared);
                        kind = AttemptKind::Format;
                        continue;
                    }
                    // Whoever knows the model has said more than whoever does not know the path.
                    let failure = missing.unwrap_or(failure);
                    self.note_end_of_formats(&mut place, &failure);
                    break (NextStep::OtherProvider, failure);
                }
                if self.may_renew_token(&mut place, &failure) {
                    self.note_unblamed(&place, &failure);
                    kind = AttemptKind::Repeat;
                    continue;
                }
                self.note_failure(&mut place, &failure);
                let next = next_step(&failure, repeated);
                if next != NextStep::Repeat {
                    break (next, failure);
                }
                if !self.may_repeat(&candidate).await {
                    break (NextStep::OtherProvider, failure);
                }
                (repeated, kind) = (true, AttemptKind::Repeat);
            };
            match next {
                (NextStep::Stop, failure) => return Err(Dead::Stop(failure)),
                (NextStep::OtherCredential, failure) => {
                    let Some(lease) = &place.lease else {
                        self.state.borrow_mut().spent.note(&candidate, &failure);
                        return Ok(None);
                    };
                    tried.push(lease.id().clone());
                    // A rate limit may be over when this candidate is asked again.
                    if failure.class != FailureClass::RateLimit || failure.rule.is_some() {
                        self.state.borrow_mut().tried.push(lease.id().clone());
                    }
                    (kind, last) = (AttemptKind::Failover, Some(failure));
                }
                (NextStep::OtherProvider | NextStep::LargerWindow | NextStep::Repeat, failure) => {
                    self.state.borrow_mut().spent.note(&candidate, &failure);
                    return Ok(None);
                }
            }
        }
    }

    /// Takes what an attempt at a candidate needs. `None`: it cannot be had now.
    fn enter(
        &self,
        candidate: &Candidate,
        prepared: &Rc<Prepared>,
        tried: &[CredentialId],
        last: Option<&Failure>,
    ) -> Option<Place> {
        if self.made() >= MAX_ATTEMPTS {
            return None;
        }
        let now = now();
        let lease = if candidate.needs_credential {
            match self.lease(now, candidate, tried) {
                Ok(lease) => Some(lease),
                Err(error) => {
                    self.note_none_left(candidate, last, &error);
                    return None;
                }
            }
        } else {
            None
        };
        let routing = self.relay().sights.routing.read();
        let passes = match routing.enter(now, &candidate.provider.id, &candidate.model) {
            Ok(passes) => passes,
            Err((until, cause)) => {
                note_soonest(&mut self.state.borrow_mut().soonest, until, cause);
                return None;
            }
        };
        Some(Place {
            candidate: candidate.clone(),
            prepared: Rc::clone(prepared),
            credential_id: lease.as_ref().map(|lease| lease.id().clone()),
            lease,
            number: 0,
            is_resume: false,
            // Until an attempt begins.
            started: self.state.borrow().settlement.arrived(),
            passes,
            copilot: CopilotTokens::default(),
            _in_flight: candidate.vitals.enter(),
        })
    }

    fn note_none_left(&self, candidate: &Candidate, last: Option<&Failure>, error: &LeaseError) {
        let mut state = self.state.borrow_mut();
        match error {
            LeaseError::Cooling { until, cause } => {
                note_soonest(&mut state.soonest, *until, *cause);
            }
            LeaseError::Busy => state.busy = Some(candidate.provider.id.clone()),
            LeaseError::NoneLeft => {
                if let Some(last) = last {
                    state.spent.note(candidate, last);
                }
            }
        }
    }

    fn lease(
        &self,
        now: Timestamp,
        candidate: &Candidate,
        tried: &[CredentialId],
    ) -> Result<Lease, LeaseError> {
        let provider = &candidate.provider;
        let bound = self.binding().filter(|binding| binding.provider_id == provider.id);
        let state = self.state.borrow();
        let tried = match &*state.tried {
            [] => Cow::Borrowed(tried),
            before => Cow::Owned([before, tried].concat()),
        };
        let wanted = Wanted {
            provider: &provider.id,
            model: &candidate.model,
            strategy: provider.credential_strategy,
            tried: &tried,
            preferred: bound.as_ref().and_then(|binding| binding.credential_id.as_ref()),
        };
        self.relay().sights.credentials.read().lease(now, wanted)
    }

    /// Where the session was served last.
    pub(super) fn binding(&self) -> Option<Binding> {
        let session = self.inquiry.session.filter(|session| session.is_continued)?;
        self.relay().sights.affinity.find(session.key)
    }

    fn bind(&self, place: &Place) {
        if let Some(session) = self.inquiry.session {
            let provider_id = place.candidate.provider.id.clone();
            let credential_id = place.credential_id().cloned();
            let binding = Binding { provider_id, credential_id };
            self.relay().sights.affinity.bind(session.key, binding);
        }
    }

    /// Waits the jittered pause before the same place is tried again, if the budget allows it.
    async fn may_repeat(&self, candidate: &Candidate) -> bool {
        let shortest = self.relay().settings.retry_pause;
        let pause = shortest.mul_f64(rand::rng().random_range(1.0..=4.0));
        if !self.deadline.allows(pause) {
            return false;
        }
        self.take_retry(Some(&candidate.provider.id)).await
            && self.deadline.bound(tokio::time::sleep(pause)).await.is_ok()
    }

    /// One try of one candidate with one credential.
    async fn attempt<P>(
        &self,
        place: &mut Place,
        kind: AttemptKind,
        prove: &impl Prove<P>,
    ) -> Result<Result<P, Failure>, Dead> {
        let now = Instant::now();
        // What is not sent any more was no attempt.
        self.deadline.check(now)?;
        self.begin(now, place, kind);
        let relay = Rc::clone(self.relay());
        let prepared = Rc::clone(&place.prepared);
        if place.wants_copilot_token()
            && let Err(failure) = Box::pin(self.take_copilot_token(place)).await?
        {
            return Ok(Err(failure));
        }
        let (settings, candidate) = (&relay.settings, &place.candidate);
        let stream = self.is_streamed();
        let idle = settings.idle_timeout;
        // The request's own deadline comes first.
        let later = Duration::from_secs(1);
        let waits = Waits {
            deadline: self.deadline.instant() + later,
            head: if stream { idle } else { settings.timeout + later },
            idle,
        };
        let credential = place.lease.as_ref().map(Lease::credential);
        let token = place.copilot_token();
        let upstream = UpstreamRequest {
            url: place.url(&prepared),
            format: prepared.endpoint().format,
            forwarded: self.inquiry.request.forwarded(prepared.endpoint().format),
            credential: match token {
                Some(token) => Some(&token.secret),
                None => place.lease.as_ref().and_then(Lease::secret),
            },
            headers: &candidate.provider.headers,
            own_headers: credential.map_or(&[], |credential| &credential.settings.headers),
            egress: credential.map_or(&Egress::Usual, |credential| &credential.settings.egress),
            rules: &candidate.provider.rules,
            body: prepared.body.clone(),
            stream,
            location: candidate.provider.location,
            waits,
        };
        self.state.borrow_mut().settlement.asking();
        let proved = {
            // Pinned here: it is large, and what bounds it would move it several times.
            let proving = pin!(prove(&relay, upstream, &prepared.pair));
            self.deadline.bound(proving).await
        };
        if proved.is_ok() {
            self.state.borrow_mut().settlement.answered();
        }
        match &proved {
            Ok(Ok(_)) => self.proved(place),
            Ok(Err(_)) => {}
            Err(_) if self.deadline.is_lowered() => {}
            // It had too little of the request's time to be blamed.
            Err(_) if place.started.elapsed() < idle.min(settings.timeout / 2) => {}
            Err(_) => {
                let detail = "there was no whole answer within the time a request may take";
                let failure = Arc::new(Failure::new(FailureClass::Silent, detail));
                self.note_failure(place, &failure);
            }
        }
        Ok(proved?)
    }

    fn begin(&self, now: Instant, place: &mut Place, kind: AttemptKind) {
        let mut state = self.state.borrow_mut();
        state.made += 1;
        (place.number, place.started) = (state.made, now);
        if let AttemptKind::Repeat | AttemptKind::Hedge | AttemptKind::Resume = kind {
            self.relay().metrics.extra_attempt(kind);
        }
        let credential = place.lease.as_ref().map(Lease::credential);
        if matches!(kind, AttemptKind::Failover | AttemptKind::Resume) {
            self.tell_failover(state.last.as_ref(), place);
        }
        let (candidate, number) = (&place.candidate, place.number);
        let journey = state.settlement.journey();
        journey.begun(now, number, kind, candidate, place.prepared.asked_in(), credential);
        journey.translated(number, place.losses());
        note_entry(&mut state.settlement, place, number);
        if number == 1 {
            let own_time = now.duration_since(state.settlement.arrived());
            self.relay().metrics.overhead.observe(own_time.as_secs_f64());
        }
    }

    /// A candidate has shown that it answers: what was on trial is so no more, and sessions go there.
    fn proved(&self, place: &mut Place) {
        let relay = self.relay();
        for pass in place.take_passed() {
            relay.tell_passed(pass);
        }
        let proved_at = Instant::now();
        self.state.borrow_mut().settlement.journey().proved(proved_at, place.number);
        let prepared = &place.prepared;
        if prepared.has_choice() && self.asks_for_answer() {
            let format = prepared.endpoint().format;
            place.candidate.vitals.note_answer_in(&place.candidate.model, format);
        }
        // Whoever goes on with a stream may still say something else.
        if place.is_resume {
            return;
        }
        let (vitals, model) = (&place.candidate.vitals, &place.candidate.model);
        let took = proved_at.duration_since(place.started);
        if self.is_streamed() {
            vitals.note_first_event(now(), model, took);
        } else {
            vitals.note_whole_answer(now(), model, took);
        }
        self.answered_by(place);
    }

    /// The answer is that of this place: its session goes there, and so does its account.
    pub(super) fn answered_by(&self, place: &Place) {
        self.bind(place);
        self.note_place(place);
    }

    /// Puts on the trace what was lost of the answer on its way to the client.
    pub(super) fn note_losses(&self, place: &Place, losses: &Losses) {
        if !losses.is_empty() {
            let mut all = place.losses().clone();
            all.absorb(losses);
            self.state.borrow_mut().settlement.journey().translated(place.number, &all);
        }
    }

    /// Puts on the account whose answer it is.
    pub(super) fn note_place(&self, place: &Place) {
        let mut state = self.state.borrow_mut();
        let made = state.made;
        note_entry(&mut state.settlement, place, made);
    }

    /// Puts on the trace what failed, and is nobody's fault.
    fn note_unblamed(&self, place: &Place, failure: &Failure) {
        let mut state = self.state.borrow_mut();
        state.settlement.journey().failed(place.number, failure);
        self.relay().count_failure(state.settlement.request_id(), place, failure);
    }

    /// Tells what failed to all who have to know.
    pub(super) fn note_failure(&self, place: &mut Place, failure: &Arc<Failure>) {
        place.failed(failure);
        let mut state = self.state.borrow_mut();
        state.settlement.journey().failed(place.number, failure);
        let request_id = state.settlement.request_id();
        self.relay().count_failure(request_id, place, failure);
        self.relay().tell_blame(request_id, place, failure);
        drop(state);
        self.note_last(place, failure);
    }

    /// Keeps in mind what the request ends with, or goes on after.
    fn note_last(&self, place: &Place, failure: &Arc<Failure>) {
        let mut state = self.state.borrow_mut();
        // Who failed may serve it later; who has no such model says nothing about that.
        if state.verdict.is_none() || failure.class != FailureClass::ModelMissing {
            state.verdict = Some(Arc::clone(failure));
        }
        state.last = Some(LastFailed {
            candidate: place.candidate.clone(),
            credential_id: place.credential_id().cloned(),
            failure: Arc::clone(failure),
        });
    }

    /// Tells that the attempt before was not the last, unless this one is at the very same place.
    fn tell_failover(&self, last: Option<&LastFailed>, place: &Place) {
        let Some(last) = last else { return };
        let next = if last.candidate.provider.id != place.candidate.provider.id {
            FailoverStep::Provider
        } else if last.candidate.model != place.candidate.model {
            FailoverStep::Model
        } else if last.credential_id.as_ref() != place.credential_id() {
            FailoverStep::Credential
        } else {
            return;
        };
        self.relay().tell_failover(self.inquiry.id, last, place, next);
    }
}

/// Puts on the account who is asked, and how many attempts there were.
fn note_entry(settlement: &mut super::settle::Settlement, place: &Place, attempts: u32) {
    if let Some(entry) = settlement.entry() {
        entry.attempts = attempts;
        entry.provider_id = Some(place.candidate.provider.id.clone());
        entry.upstream_model = Some(place.candidate.model.clone());
        entry.credential_id = place.credential_id().cloned();
    }
}
