//! Routes and aliases: what the names that clients ask for lead to.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

use super::{
    cooling::{CoolingSettings, fault_of_cooling},
    id::{ModelName, ProviderId},
    model::Capabilities,
    pattern::NamePattern,
    provider::Origin,
    setting::InvalidSetting,
};

/// Most targets and most fallbacks of one route.
pub const MAX_TARGETS: usize = 64;

/// Largest weight. Larger ones could not be told apart in any number of requests that matters.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// The times that one attempt may be given, in milliseconds: up to a day.
pub const ATTEMPT_TIMEOUTS_MS: RangeInclusive<u32> = 100..=86_400_000;

/// What is wrong with the time that one attempt is given.
pub fn fault_of_attempt_timeout(millis: Option<u32>) -> Option<InvalidSetting> {
    let (least, most) = ATTEMPT_TIMEOUTS_MS.into_inner();
    let is_wrong = millis.is_some_and(|millis| !ATTEMPT_TIMEOUTS_MS.contains(&millis));
    let fault = || InvalidSetting::new("attempt_timeout_ms", format!("must be {least} to {most}"));
    is_wrong.then(fault)
}

/// How candidates are ordered. Where a route names no targets, those of the highest provider priority
/// that can be used come first under every one of them, unless it says that tiers do not count.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The place in the route, then the provider's priority.
    #[default]
    Priority,
    /// The lowest price first; unknown prices last.
    Cost,
    /// The shortest time to the first token first; those not measured lately are tried again.
    Latency,
    /// Each in turn.
    RoundRobin,
    /// Each as often as its weight says, interleaved.
    Weighted,
    /// Always the first, until it cannot be used.
    FillFirst,
    /// The one with the fewest requests under way first.
    LeastBusy,
}

impl Strategy {
    pub const ALL: [Self; 7] = [
        Self::Priority,
        Self::Cost,
        Self::Latency,
        Self::RoundRobin,
        Self::Weighted,
        Self::FillFirst,
        Self::LeastBusy,
    ];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Cost => "cost",
            Self::Latency => "latency",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::FillFirst => "fill_first",
            Self::LeastBusy => "least_busy",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == word)
    }
}

/// How a provider's credentials take turns, among those of the highest priority that can be used.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStrategy {
    #[default]
    RoundRobin,
    /// Each as often as its weight says, interleaved. A weight of 0 is never used.
    Weighted,
    /// Always the first, until it cannot be used.
    FillFirst,
    /// The one with the fewest requests under way.
    LeastBusy,
}

/// Where a request may be served.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Auto,
    Cloud,
    Local,
}

impl Mode {
    /// The mode that a model's name stands for: "no model, wherever you like" and so on.
    pub fn of_name(name: &ModelName) -> Option<Self> {
        Self::parse(name.as_str())
    }

    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "cloud" => Some(Self::Cloud),
            "local" => Some(Self::Local),
            _ => None,
        }
    }
}

/// One place a route leads to: a model of one provider, or of all that serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTarget {
    /// Absent: every provider that serves the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// Absent: the name the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Share under the weighted strategy, 0 to 1000000; 0 is never used then.
    #[serde(default = "default_weight")]
    #[schema(maximum = 1_000_000)]
    pub weight: u32,
}

fn default_weight() -> u32 {
    1
}

/// Whether a route hedges that does not say.
pub fn default_hedge() -> bool {
    true
}

/// A name or glob that clients ask for, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Route {
    /// A model's name, or a name with one `*` that stands for any text.
    pub name: NamePattern,
    /// In order of preference. Empty: every provider that serves the name asked for.
    pub targets: Vec<RouteTarget>,
    /// Absent: the pool's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Other models, tried in order when none of the targets can answer.
    pub fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer.
    pub hedge: bool,
    /// Whether the strategy orders all candidates, whatever the priority of their providers. Of
    /// interest without targets only: targets have places and weights instead.
    pub across_tiers: bool,
    /// Milliseconds for one attempt at a whole answer while another candidate is left. Absent: the
    /// provider's, else the pool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u32>,
    /// When failures of requests that it leads somewhere cool. What is absent is the provider's, else the
    /// pool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling: Option<CoolingSettings>,
    /// Who owns it: the configuration file, or the API.
    pub origin: Origin,
}

/// Another name for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Alias {
    /// A model's name, or a name with one `*` that stands for any text.
    pub name: NamePattern,
    /// What it stands for. A `*` in it is what the one in the name stands for.
    pub model: NamePattern,
    /// Who owns it: the configuration file, or the API.
    pub origin: Origin,
}

/// The way from the name of an alias back to it, as text, when each name on the way is an alias of the
/// next. `model_of` says what the alias of a name leads to.
pub fn alias_circle<'a>(
    name: &'a ModelName,
    model_of: impl Fn(&ModelName) -> Option<&'a ModelName>,
) -> Option<String> {
    let mut way = vec![name];
    loop {
        let next = model_of(way.last()?)?;
        if way.contains(&next) {
            // A circle further on is told of those that are in it.
            let names: Vec<&str> = way.iter().chain([&next]).map(|name| name.as_str()).collect();
            return (next == name).then(|| names.join(" → "));
        }
        way.push(next);
    }
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    Route,
    Alias,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "route",
            Self::Alias => "alias",
        })
    }
}

/// A route or an alias: what is known under a name or a pattern.
pub trait Named: Clone + Send + 'static {
    const KIND: NameKind;

    fn name(&self) -> &NamePattern;

    fn origin(&self) -> Origin;

    /// The same, owned by `origin`.
    fn owned_by(self, origin: Origin) -> Self;

    /// Whether it can be followed, when `pool` is the strategy of routes without their own.
    ///
    /// Errors: [`InvalidSetting`].
    fn check(&self, pool: Strategy) -> Result<(), InvalidSetting>;
}

impl Named for Route {
    const KIND: NameKind = NameKind::Route;

    fn name(&self) -> &NamePattern {
        &self.name
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    fn owned_by(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    fn check(&self, pool: Strategy) -> Result<(), InvalidSetting> {
        let too_many = || format!("must be at most {MAX_TARGETS}");
        let is_pattern = |name: &ModelName| name.as_str().contains('*');
        if self.targets.len() > MAX_TARGETS {
            return Err(InvalidSetting::new("targets", too_many()));
        }
        if self.targets.iter().any(|target| target.weight > MAX_WEIGHT) {
            return Err(InvalidSetting::new(
                "targets",
                format!("a weight must be 0 to {MAX_WEIGHT}"),
            ));
        }
        if self.targets.iter().any(|target| target.model.as_ref().is_some_and(is_pattern)) {
            return Err(InvalidSetting::new("targets", "a model must be a name without '*'"));
        }
        let is_weighted = self.strategy.unwrap_or(pool) == Strategy::Weighted;
        let are_idle = self.targets.iter().all(|target| target.weight == 0);
        if is_weighted && are_idle && !self.targets.is_empty() {
            let reason = "one must have a weight above 0 under the strategy weighted";
            return Err(InvalidSetting::new("targets", reason));
        }
        if self.fallbacks.len() > MAX_TARGETS {
            return Err(InvalidSetting::new("fallbacks", too_many()));
        }
        if self.fallbacks.iter().any(|fallback| fallback.as_str() == self.name.as_str()) {
            return Err(InvalidSetting::new(
                "fallbacks",
                "must not hold the name of the route itself",
            ));
        }
        if self.fallbacks.iter().any(is_pattern) {
            return Err(InvalidSetting::new("fallbacks", "must be names without '*'"));
        }
        let fault = fault_of_attempt_timeout(self.attempt_timeout_ms);
        fault.or_else(|| fault_of_cooling(self.cooling)).map_or(Ok(()), Err)
    }
}

impl Named for Alias {
    const KIND: NameKind = NameKind::Alias;

    fn name(&self) -> &NamePattern {
        &self.name
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    fn owned_by(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    fn check(&self, _: Strategy) -> Result<(), InvalidSetting> {
        if self.model == self.name {
            return Err(InvalidSetting::new("model", "must not be the name of the alias itself"));
        }
        if self.model.exact().is_none() && self.name.exact().is_some() {
            return Err(InvalidSetting::new(
                "model",
                "may hold a '*' only when the name of the alias does",
            ));
        }
        Ok(())
    }
}

/// What a request wants of its routing, beside the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteOptions {
    pub mode: Mode,
    /// Absent: the route's, else the pool's.
    pub strategy: Option<Strategy>,
    /// Whether the strategy orders all candidates, whatever the priority of their providers. Absent: as
    /// the route says.
    pub across_tiers: Option<bool>,
    pub exclude: Vec<ProviderId>,
    /// Asked first, when it is a candidate.
    pub prefer: Option<ProviderId>,
    pub required: Capabilities,
    /// Whether candidates that lack what is required may be asked after all others.
    pub relax: bool,
    /// Whether nothing of the request may be lost in translation.
    pub strict: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_reads_back_from_its_word() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::parse(strategy.as_str()), Some(strategy));
            let json = format!("\"{}\"", strategy.as_str());
            assert_eq!(serde_json::to_string(&strategy).unwrap(), json);
        }
    }

    #[test]
    fn three_names_stand_for_modes() {
        let mode = |name| Mode::of_name(&ModelName::parse(name).unwrap());
        assert_eq!(mode("auto"), Some(Mode::Auto));
        assert_eq!(mode("cloud"), Some(Mode::Cloud));
        assert_eq!(mode("local"), Some(Mode::Local));
        assert_eq!(mode("Auto"), None);
    }

    fn target(weight: u32) -> RouteTarget {
        RouteTarget { provider: None, model: None, weight }
    }

    fn route(targets: Vec<RouteTarget>, fallbacks: &[&str]) -> Route {
        Route {
            name: NamePattern::parse("smart").unwrap(),
            targets,
            strategy: None,
            fallbacks: fallbacks.iter().map(|name| ModelName::parse(name).unwrap()).collect(),
            hedge: true,
            across_tiers: false,
            attempt_timeout_ms: None,
            cooling: None,
            origin: Origin::Api,
        }
    }

    fn fault<T>(checked: Result<T, InvalidSetting>) -> &'static str {
        checked.err().map_or("", |invalid| invalid.field)
    }

    #[test]
    fn a_route_is_bounded() {
        let many = |count| route(vec![target(1); count], &vec!["other"; count]);
        assert_eq!(fault(many(MAX_TARGETS).check(Strategy::Priority)), "");
        assert_eq!(fault(many(MAX_TARGETS + 1).check(Strategy::Priority)), "targets");
        let fallbacks = vec!["other"; MAX_TARGETS + 1];
        assert_eq!(fault(route(Vec::new(), &fallbacks).check(Strategy::Priority)), "fallbacks");
        let heavy = |weight| route(vec![target(weight)], &[]).check(Strategy::Priority);
        assert_eq!(fault(heavy(MAX_WEIGHT)), "");
        assert_eq!(fault(heavy(MAX_WEIGHT + 1)), "targets");
    }

    #[test]
    fn a_weighted_route_has_something_to_choose() {
        let idle = route(vec![target(0), target(0)], &[]);
        assert_eq!(fault(idle.check(Strategy::Priority)), "");
        assert_eq!(fault(idle.check(Strategy::Weighted)), "targets");
        let weighted = Route { strategy: Some(Strategy::Weighted), ..idle };
        assert_eq!(fault(weighted.check(Strategy::Priority)), "targets");
        let own = Route { strategy: Some(Strategy::Priority), ..weighted };
        assert_eq!(fault(own.check(Strategy::Weighted)), "");
        let one = route(vec![target(0), target(1)], &[]);
        assert_eq!(fault(one.check(Strategy::Weighted)), "");
        assert_eq!(fault(route(Vec::new(), &[]).check(Strategy::Weighted)), "");
    }

    #[test]
    fn a_route_leads_to_names_and_not_back_to_itself() {
        let check = |fallbacks: &[&str]| route(Vec::new(), fallbacks).check(Strategy::Priority);
        assert_eq!(fault(check(&["other", "smart"])), "fallbacks");
        assert_eq!(fault(check(&["gpt-*"])), "fallbacks");
        let starred = RouteTarget { model: ModelName::parse("gpt-*").ok(), ..target(1) };
        assert_eq!(fault(route(vec![starred], &[]).check(Strategy::Priority)), "targets");
    }

    #[test]
    fn an_alias_leads_to_another_name() {
        let check = |name, model| {
            let parse = |text| NamePattern::parse(text).unwrap();
            Alias { name: parse(name), model: parse(model), origin: Origin::Api }
                .check(Strategy::Priority)
        };
        for (name, model) in [("a", "b"), ("a-*", "b-*"), ("a-*", "b"), ("*-latest", "*")] {
            assert_eq!(fault(check(name, model)), "", "{name} to {model}");
        }
        for (name, model) in [("a", "a"), ("a*", "a*"), ("a", "b*")] {
            assert_eq!(fault(check(name, model)), "model", "{name} to {model}");
        }
    }
}
