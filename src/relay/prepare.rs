//! What goes to a candidate: where it is asked, in which format, and with which bytes.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use url::Url;

use super::attempts::{Attempts, Dead};
use crate::{
    actors::{clock::now, router::Candidate},
    domain::{
        chat::Losses,
        format::choose,
        provider::{ApiFormat, Endpoint},
    },
    gateway::{
        exchange::{Pair, address, is_served},
        translate::Target,
    },
};

/// A request as one candidate gets it, whatever the credential.
pub(super) struct Prepared {
    endpoints: Arc<[Endpoint]>,
    chosen: usize,
    /// The endpoint's own, unless the model or the method stands in it.
    other_url: Option<Url>,
    pub body: Bytes,
    pub losses: Losses,
    pub pair: Pair,
}

impl Prepared {
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.chosen]
    }

    pub fn url(&self) -> &Url {
        self.other_url.as_ref().unwrap_or_else(|| &self.endpoint().url)
    }
}

impl Attempts {
    /// `None`: it is not to be asked, because of what would be lost on the way.
    ///
    /// Errors: [`Dead::Stop`] when the request cannot be read as deep as is needed to translate it.
    pub(super) fn prepare(&self, candidate: &Candidate) -> Result<Option<Prepared>, Dead> {
        let request = &self.inquiry.request;
        let endpoints = Arc::clone(&candidate.endpoints);
        let (dialect, operation) = (request.api().dialect(), request.asked().operation());
        let only_there = request.continues_elsewhere();
        let is_open = |format| {
            is_served(format, operation) && (!only_there || format == ApiFormat::Responses)
        };
        let Some(chosen) = choose(&endpoints, dialect, &candidate.model, is_open) else {
            self.state.borrow_mut().is_unserved = true;
            return Ok(None);
        };
        let endpoint = &endpoints[chosen];
        let asks_usage = self.relay().settings.ask_stream_usage;
        let target = Target {
            model: &candidate.model,
            max_output_tokens: None,
            asks_stream_usage: asks_usage,
        };
        let ready = request
            .for_upstream(endpoint.format, &target, candidate.facts.capabilities)
            .map_err(|failure| Dead::Stop(Arc::new(failure)))?;
        if self.inquiry.options.strict && !ready.losses.is_empty() {
            self.state.borrow_mut().lossy = Some(ready.losses);
            return Ok(None);
        }
        let url = address(endpoint, operation, &candidate.model, request.is_streamed());
        let other_url = match url {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(url) => Some(url),
        };
        let pair = Pair::new(
            Rc::clone(request),
            endpoint.format,
            candidate.model.clone(),
            self.inquiry.id,
            now(),
            request.strips_usage(asks_usage),
        );
        let (body, losses) = (ready.body, ready.losses);
        Ok(Some(Prepared { endpoints, chosen, other_url, body, losses, pair }))
    }
}
