//! What of a provider is in a request's way and nobody's fault: formats it does not have, tokens that are
//! old, and what was held against it before.

use std::collections::HashMap;

use rand::SeedableRng as _;

use super::*;
use crate::domain::{cooldown::CooldownScope, failure::WrongFormat, rule::RuleAction};

/// A way of a provider's that is nobody's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    NoSuchFormat(WrongFormat, FailureClass),
    OldToken,
}

/// How soon a provider says that it does not have a format, or does not take a token.
pub const REFUSAL: Duration = Duration::from_millis(10);

/// What a provider has to be asked like, beside what its calls come to.
pub struct Ways {
    /// How many formats it may be asked in; those before `spoken_from` it does not have.
    pub formats: usize,
    pub spoken_from: usize,
    pub absence: (WrongFormat, FailureClass),
    /// Whether credentials are exchanged for tokens. The first of them is old, and the next one too where
    /// none `is_taken`.
    pub takes_tokens: bool,
    pub is_taken: bool,
    /// Whether a rule says of its errors, but for rate limits, that the next is asked and nothing cooled.
    pub is_ruled: bool,
}

impl Ways {
    pub(super) fn of(seed: u64, drawn: &Drawn) -> Vec<Self> {
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ 1);
        let mut ways = || {
            let formats = if rng.random_bool(0.3) { rng.random_range(1..=3) } else { 1 };
            let kinds = [
                (WrongFormat::Everywhere, FailureClass::ClientFault),
                (WrongFormat::ForModel, FailureClass::ModelMissing),
                (WrongFormat::ForModel, FailureClass::ClientFault),
            ];
            Self {
                formats,
                spoken_from: if formats > 1 { rng.random_range(0..=formats) } else { 0 },
                absence: kinds[rng.random_range(0..kinds.len())],
                takes_tokens: rng.random_bool(0.2),
                is_taken: rng.random_bool(0.8),
                is_ruled: rng.random_bool(0.1),
            }
        };
        drawn.providers.iter().map(|_| ways()).collect()
    }

    /// A failure as its rules have it.
    pub(super) fn ruled(&self, failure: Failure) -> Failure {
        use FailureClass as C;
        let is_error = matches!(
            failure.class,
            C::Server | C::Overload | C::Auth | C::Payment | C::ModelMissing
        );
        let is_about_it = self.is_ruled && is_error;
        Failure { rule: is_about_it.then_some(RuleAction::Continue), ..failure }
    }

    /// What the requests of a seed are for.
    pub(super) fn purpose(seed: u64, drawn: &Drawn) -> Purpose {
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(16) ^ 2);
        let is_aside = !drawn.streamed && rng.random_bool(0.2);
        if is_aside { Purpose::Aside } else { Purpose::Answer }
    }

    pub(super) fn is_spoken(&self, format: usize) -> bool {
        format >= self.spoken_from
    }

    pub(super) fn meets(&self, format: usize, has_new_token: bool, has_key: bool) -> Option<Met> {
        if self.takes_tokens && has_key && !(has_new_token && self.is_taken) {
            return Some(Met::OldToken);
        }
        let (wrong, class) = self.absence;
        (!self.is_spoken(format)).then_some(Met::NoSuchFormat(wrong, class))
    }

    /// Whether there is a way to an answer.
    pub(super) fn is_passable(&self, has_key: bool) -> bool {
        self.spoken_from < self.formats && (self.is_taken || !self.takes_tokens || !has_key)
    }
}

/// Lets something be held against some of the providers when the request comes.
pub fn cool_some(
    seed: u64,
    drawn: &Drawn,
    pool: &mut pool::Pool,
) -> HashMap<CooldownScope, Timestamp> {
    let mut rng = StdRng::seed_from_u64(!seed);
    let mut cooled = HashMap::new();
    for provider in &drawn.providers {
        if !rng.random_bool(0.2) {
            continue;
        }
        let id = pool::id(provider.id);
        let scope = if rng.random_bool(0.5) {
            CooldownScope::Provider(id.clone())
        } else {
            CooldownScope::ProviderModel(id, pool::model(provider.models[0]))
        };
        let causes = [FailureClass::Server, FailureClass::Connect, FailureClass::RateLimit];
        let cause = causes[rng.random_range(0..causes.len())];
        let seconds = rng.random_range(1..20);
        pool.cool(scope.clone(), seconds, cause);
        cooled.insert(scope, pool::NOW.plus(Duration::from_secs(seconds)));
    }
    cooled
}
