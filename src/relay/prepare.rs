//! What goes to a candidate: where it is asked, in which format, and with which bytes.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use bytes::Bytes;
use url::Url;

use super::dispatch::Dispatch;
use crate::{
    actors::{
        clock::{now, steady},
        router::Candidate,
    },
    domain::{
        chat::{Dialect, Losses},
        failure::Failure,
        format::{FormatAsk, FormatPlan, FormatSource},
        provider::{ApiFormat, Endpoint, Endpoints},
        time::Timestamp,
    },
    gateway::{
        exchange::{ClientRequest, Conversion, Operation, address},
        translate::Target,
    },
};

/// A request as one candidate gets it, whatever the credential.
pub(super) struct Prepared {
    endpoints: Arc<Endpoints>,
    plan: Rc<FormatPlan>,
    /// Its position in the plan.
    position: usize,
    /// The endpoint's own, unless the model or the method stands in it.
    other_url: Option<Url>,
    pub body: Bytes,
    pub losses: Losses,
    pub conversion: Conversion,
}

impl Prepared {
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.plan.candidates()[self.position]]
    }

    pub fn url(&self) -> &Url {
        self.other_url.as_ref().unwrap_or_else(|| &self.endpoint().url)
    }

    /// In which format it is asked, and why.
    pub fn asked_in(&self) -> (ApiFormat, FormatSource) {
        (self.endpoint().format, self.plan.source)
    }

    /// Whether the format is known to be spoken there.
    pub fn is_spoken(&self, candidate: &Candidate) -> bool {
        let format = self.endpoint().format;
        self.endpoints.basis.is_known()
            || candidate.stats.formats().about(&candidate.model).answered(format).is_some()
    }

    /// Whether there were several formats to choose from.
    pub fn has_choice(&self) -> bool {
        self.plan.is_mutable
    }
}

/// In which formats a candidate would be asked, best first. `client`: whose dialect is spoken to the
/// pool. `is_open`: whether a format could be asked at all.
pub fn format_plan(
    candidate: &Candidate,
    client: Dialect,
    now: Timestamp,
    is_open: impl Fn(ApiFormat) -> bool,
) -> FormatPlan {
    let ask = FormatAsk {
        now,
        endpoints: &candidate.endpoints,
        client,
        model: &candidate.model,
        is_catalogued: candidate.facts.is_catalogued,
        memory: &candidate.stats.formats(),
    };
    FormatPlan::new(&ask, is_open)
}

/// What would be lost if a candidate were asked in this format.
///
/// Errors: when the request cannot be read as deep as is needed to translate it.
pub fn losses(
    request: &ClientRequest,
    candidate: &Candidate,
    format: ApiFormat,
) -> Result<Losses, Failure> {
    let ready = request.for_upstream(format, &target(candidate, false), &candidate.facts)?;
    Ok(ready.losses)
}

fn target(candidate: &Candidate, asks_stream_usage: bool) -> Target<'_> {
    let max_output_tokens = candidate.facts.output_tokens;
    Target { model: &candidate.model, max_output_tokens, asks_stream_usage }
}

impl Dispatch {
    /// `None`: it is not to be asked, because of what would be lost on the way.
    ///
    /// Errors: the request cannot be read as deep as is needed to translate it.
    pub(super) fn prepare(&self, candidate: &Candidate) -> Result<Option<Prepared>, Failure> {
        let request = &self.admitted.request;
        let client = request.api().dialect();
        let plan = format_plan(candidate, client, steady(), request.open_formats());
        if plan.candidates().is_empty() {
            self.state.borrow_mut().is_unserved = true;
            return Ok(None);
        }
        self.prepare_from(candidate, &Rc::new(plan), 0)
    }

    /// The same request in the next format of its plan. `None`: there is none in which it could be
    /// asked.
    pub(super) fn in_next_format(
        &self,
        candidate: &Candidate,
        tried: &Prepared,
    ) -> Option<Prepared> {
        self.prepare_from(candidate, &tried.plan, tried.position + 1).ok().flatten()
    }

    /// In the first format of the plan, from this position on, that loses nothing which may not be lost.
    fn prepare_from(
        &self,
        candidate: &Candidate,
        plan: &Rc<FormatPlan>,
        from: usize,
    ) -> Result<Option<Prepared>, Failure> {
        let request = &self.admitted.request;
        let asks_usage = self.relay().settings.ask_stream_usage;
        let target = target(candidate, asks_usage);
        for (position, chosen) in plan.candidates().iter().enumerate().skip(from) {
            let endpoint = &candidate.endpoints[*chosen];
            let ready = request.for_upstream(endpoint.format, &target, &candidate.facts)?;
            if self.admitted.options.strict && !ready.losses.is_empty() {
                self.state.borrow_mut().lossy = Some(ready.losses);
                continue;
            }
            let operation = request.asked().operation();
            let url = address(endpoint, operation, &candidate.model, request.is_streamed());
            let other_url = match url {
                Cow::Borrowed(_) => None,
                Cow::Owned(url) => Some(url),
            };
            let conversion = Conversion::new(
                Rc::clone(request),
                endpoint.format,
                candidate.model.clone(),
                self.admitted.id,
                now(),
                request.strips_usage(asks_usage),
                self.relay().settings.max_event_bytes,
            );
            let (endpoints, plan) = (Arc::clone(&candidate.endpoints), Rc::clone(plan));
            let (body, losses) = (ready.body, ready.losses);
            return Ok(Some(Prepared {
                endpoints,
                plan,
                position,
                other_url,
                body,
                losses,
                conversion,
            }));
        }
        Ok(None)
    }

    /// Whether a count of tokens is asked for, which can be made here as well.
    pub(super) fn counts_tokens(&self) -> bool {
        self.admitted.request.asked().operation() == Operation::CountTokens
    }

    /// Whether it is an answer that is asked for. Counts and vectors have paths of their own, which may
    /// be missing where the format is spoken: nothing is learnt from them, and nobody is blamed.
    pub(super) fn asks_for_answer(&self) -> bool {
        self.admitted.request.asked().operation() == Operation::Generate
    }
}
