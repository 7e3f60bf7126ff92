//! In which of its formats a provider is asked: the ones that could serve a request, in order.

mod family;
mod memory;
#[cfg(test)]
mod tests;

use serde::Serialize;

use self::family::Family;
pub use self::memory::{FormatMemory, Recollection, Remembered};
use super::{
    chat::Dialect,
    id::ModelName,
    provider::{ApiFormat, Endpoint, Endpoints, FormatBasis},
    time::Timestamp,
};

/// Why a format is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormatSource {
    /// The base URL is an address of this one.
    EndpointLock,
    /// The catalogue, the configuration file or the user has set what is spoken.
    UserPinned,
    /// The model has answered in it, or not in what would come before.
    ModelMemory,
    /// Other models of the provider have.
    ProviderMemory,
    /// Detection has found what is spoken.
    Detected,
    /// It is the most usual for such a model.
    FamilyDefault,
}

/// What a request wants, and what is known of where it may go.
pub struct FormatAsk<'a> {
    pub now: Timestamp,
    pub endpoints: &'a Endpoints,
    /// Of the client.
    pub client: Dialect,
    /// The upstream's name.
    pub model: &'a ModelName,
    /// Whether the catalogue has that.
    pub is_catalogued: bool,
    pub memory: &'a FormatMemory,
}

/// The formats in which a provider is asked for a model: the first, and after it those that are tried
/// when it turns out not to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatPlan {
    /// Positions among the endpoints.
    candidates: Vec<usize>,
    pub source: FormatSource,
    /// Whether what comes of it changes the plans to come.
    pub is_mutable: bool,
}

/// Where a format stands in the order: the lower, the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The model has no other.
    Only,
    /// The client's own, which is known to be spoken: nothing is lost on the way.
    Own,
    AnsweredModel,
    AnsweredOthers,
    /// The client's own, if it is spoken.
    PerhapsOwn,
    /// That of the model's maker.
    Makers,
    /// In the provider's own order.
    Other,
}

impl FormatPlan {
    /// Those of the endpoints that are open to what is asked, best first. Empty when none is.
    ///
    /// What was found not to be there is left out, unless nothing else is left.
    pub fn new(ask: &FormatAsk<'_>, is_open: impl Fn(ApiFormat) -> bool) -> Self {
        let (endpoints, basis) = (ask.endpoints, ask.endpoints.basis);
        let is_open = |at: &usize| is_open(endpoints[*at].format);
        let mut open: Vec<usize> = (0..endpoints.len()).filter(is_open).collect();
        let own_word = match basis {
            FormatBasis::Locked => FormatSource::EndpointLock,
            FormatBasis::Pinned => FormatSource::UserPinned,
            FormatBasis::Detected => FormatSource::Detected,
            FormatBasis::Unknown => FormatSource::FamilyDefault,
        };
        // The most common case by far.
        if open.len() < 2 {
            return Self { candidates: open, source: own_word, is_mutable: false };
        }
        let (family, known) = (Family::of(ask.model), ask.memory.about(ask.model));
        open.sort_by_cached_key(|at| (ask.rank(family, known, &endpoints[*at]), *at));
        let absence = |at: &usize| known.absent(ask.now, endpoints[*at].format);
        // What would have come first, had it not been found missing.
        let missed = absence(&open[0]);
        let there: Vec<usize> = open.iter().copied().filter(|at| absence(at).is_none()).collect();
        let (candidates, missed) = if there.is_empty() { (open, None) } else { (there, missed) };
        let first = endpoints[candidates[0]].format;
        let told = || {
            let is_guess = !basis.is_known();
            is_guess.then(|| known.answered(first)).flatten()
        };
        let source = match missed.or_else(told) {
            Some(Remembered::OfModel) => FormatSource::ModelMemory,
            Some(Remembered::OfProvider) => FormatSource::ProviderMemory,
            None => own_word,
        };
        Self { candidates, source, is_mutable: true }
    }

    /// Positions among the endpoints, in the order in which they are asked.
    pub fn candidates(&self) -> &[usize] {
        &self.candidates
    }
}

impl FormatAsk<'_> {
    fn rank(&self, family: Family, known: Recollection<'_>, endpoint: &Endpoint) -> Rank {
        let format = endpoint.format;
        let is_own = format.dialect() == self.client;
        let is_makers = match family.maker_format() {
            Some(makers) => makers == format,
            // What OpenAI has made since the catalogue was may be in its newer API alone.
            None => format == ApiFormat::Responses && !self.is_catalogued && is_openais(endpoint),
        };
        let is_known = self.endpoints.basis.is_known();
        // Where everything listed is spoken, it says nothing that some of it was asked for before.
        let answered = if is_known { None } else { known.answered(format) };
        match answered {
            _ if family == Family::ResponsesOnly && is_makers => Rank::Only,
            _ if is_own && (is_known || answered.is_some()) => Rank::Own,
            Some(Remembered::OfModel) => Rank::AnsweredModel,
            Some(Remembered::OfProvider) => Rank::AnsweredOthers,
            None if is_own => Rank::PerhapsOwn,
            None if is_makers => Rank::Makers,
            None => Rank::Other,
        }
    }
}

/// Whether OpenAI itself is there, and not somebody with an API like its own.
fn is_openais(endpoint: &Endpoint) -> bool {
    let host = endpoint.url.host_str().unwrap_or_default();
    host.strip_suffix("openai.com").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
