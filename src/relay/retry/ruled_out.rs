//! Candidates that a request does not ask again.

use super::policy::{RulesOut, policy};
use crate::{
    actors::router::Candidate,
    domain::{
        failure::{Failure, FailureClass},
        id::{ModelName, ProviderId},
    },
};

/// Candidates that a request does not ask again.
#[derive(Debug, Default)]
pub struct RuledOut {
    providers: Vec<ProviderId>,
    models: Vec<(ProviderId, ModelName)>,
    /// Models that have said when they pass: what else is found of their provider, or fails there with
    /// another key, does not rule them out.
    passing: Vec<(ProviderId, ModelName)>,
    /// The prompt did not fit into a window of this size; 0 when the size is not known.
    too_small: Option<u64>,
}

impl RuledOut {
    /// Takes note of the last failure at a candidate.
    pub fn note(&mut self, candidate: &Candidate, failure: &Failure) {
        if failure.class == FailureClass::ContextTooLong && failure.rule.is_none() {
            let window = candidate.facts.context_tokens.unwrap_or(0);
            self.too_small = Some(self.too_small.map_or(window, |known| known.max(window)));
        }
        match policy(failure).rules_out {
            RulesOut::Nobody => {}
            RulesOut::Model if may_pass(failure) && self.is_passing(candidate) => {}
            RulesOut::Model => self.add(candidate),
            RulesOut::Provider => self.providers.push(candidate.provider.id.clone()),
        }
    }

    /// A model of a provider is not asked again, whatever its failure was.
    pub fn add(&mut self, candidate: &Candidate) {
        self.models.push((candidate.provider.id.clone(), candidate.model.clone()));
    }

    /// A model of a provider has said when it passes.
    pub fn passes(&mut self, candidate: &Candidate) {
        self.passing.push((candidate.provider.id.clone(), candidate.model.clone()));
    }

    /// A model of a provider is asked anew, and shows anew whether it passes.
    pub fn asked(&mut self, candidate: &Candidate) {
        self.passing.retain(|(p, m)| *p != candidate.provider.id || *m != candidate.model);
    }

    fn is_passing(&self, candidate: &Candidate) -> bool {
        has(&self.passing, &candidate.provider.id, &candidate.model)
    }

    /// A model of a provider may be asked again, unless the whole provider is ruled out.
    pub fn forgive(&mut self, candidate: &Candidate) {
        self.models.retain(|(p, m)| *p != candidate.provider.id || *m != candidate.model);
    }

    /// Whether a model of a provider was found to be of no use, whatever its window.
    pub fn has(&self, provider: &ProviderId, model: &ModelName) -> bool {
        has(&self.models, provider, model)
            || self.providers.contains(provider) && !has(&self.passing, provider, model)
    }

    /// Whether `candidate` need not be asked. After a prompt was too long only a window that is known
    /// to be larger is worth it; a fallback somebody has named is, unless it is known not to be.
    pub fn excludes(&self, candidate: &Candidate, is_fallback: bool) -> bool {
        let window = candidate.facts.context_tokens;
        self.has(&candidate.provider.id, &candidate.model)
            || self.too_small.is_some_and(|too_small| match window {
                Some(window) => window <= too_small,
                None => !is_fallback,
            })
    }
}

fn has(all: &[(ProviderId, ModelName)], provider: &ProviderId, model: &ModelName) -> bool {
    all.iter().any(|(p, m)| p == provider && m == model)
}

/// Whether what failed so with one key may go well with another.
fn may_pass(failure: &Failure) -> bool {
    use FailureClass::{Overload, Payment, RateLimit, Server};
    failure.rule.is_some() || matches!(failure.class, Overload | Server | Payment | RateLimit)
}
