//! What a request has learned of where it need not go again.

use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        id::{ModelName, ProviderId},
        penalty::is_the_providers,
    },
};

/// Places that this request does not try again.
#[derive(Debug, Default)]
pub struct Spent {
    providers: Vec<ProviderId>,
    models: Vec<(ProviderId, ModelName)>,
    /// The prompt did not fit into a window of this size; 0 when the size is not known.
    too_small: Option<u64>,
    /// Whether the candidates are those of a fallback that somebody has named.
    is_fallback: bool,
}

impl Spent {
    /// From here on the candidates are those of a fallback, or of what was asked for.
    pub fn enter_stage(&mut self, is_fallback: bool) {
        self.is_fallback = is_fallback;
    }

    /// Takes note of the last failure at a candidate. A rate limit may be over in a moment: such a
    /// place is not spent, its cooldown keeps the request away for as long as it lasts.
    pub fn note(&mut self, candidate: &Candidate, failure: &Failure) {
        let provider = || candidate.provider.id.clone();
        match failure.class {
            FailureClass::RateLimit if failure.rule.is_none() => {}
            FailureClass::ContextTooLong => {
                let window = candidate.facts.context_tokens.unwrap_or(0);
                self.too_small = Some(self.too_small.map_or(window, |known| known.max(window)));
                self.models.push((provider(), candidate.model.clone()));
            }
            // No key of it is taken, or it cannot be reached: its other models would fare no better.
            FailureClass::Auth | FailureClass::Payment => self.providers.push(provider()),
            class if is_the_providers(class) => self.providers.push(provider()),
            _ => self.models.push((provider(), candidate.model.clone())),
        }
    }

    /// Whether a place was found to be of no use, whatever its window.
    pub fn is_excluded(&self, provider: &ProviderId, model: &ModelName) -> bool {
        self.providers.contains(provider)
            || self.models.iter().any(|(p, m)| p == provider && m == model)
    }

    /// Whether `candidate` need not be tried. After a prompt was too long only a window that is known
    /// to be larger is worth it; a fallback somebody has named is, unless it is known not to be.
    pub fn is_spent(&self, candidate: &Candidate) -> bool {
        let window = candidate.facts.context_tokens;
        self.is_excluded(&candidate.provider.id, &candidate.model)
            || self.too_small.is_some_and(|too_small| match window {
                Some(window) => window <= too_small,
                None => !self.is_fallback,
            })
    }
}
