//! Routes and aliases: what the names that clients ask for lead to.

use serde::{Deserialize, Serialize};

use super::{
    id::{ModelName, ProviderId},
    model::Capabilities,
    pattern::NamePattern,
    provider::Origin,
};

/// Most targets and most fallbacks of one route.
pub const MAX_TARGETS: usize = 64;

/// Largest weight. Larger ones could not be told apart in any number of requests that matters.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// How candidates are ordered.
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
    #[schema(value_type = Option<String>)]
    pub provider: Option<ProviderId>,
    /// Absent: the name the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelName>,
    /// Share under the weighted strategy, 0 to [`MAX_WEIGHT`]; 0 is never used then.
    #[serde(default = "default_weight")]
    pub weight: u32,
}

fn default_weight() -> u32 {
    1
}

/// A name or glob that clients ask for, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub name: NamePattern,
    /// In order of preference. Empty: every provider that serves the name asked for.
    pub targets: Vec<RouteTarget>,
    /// Absent: the pool's own.
    pub strategy: Option<Strategy>,
    /// Other models, tried in order when none of the targets can answer.
    pub fallbacks: Vec<ModelName>,
    /// Whether a second candidate may be started beside one that is slow to answer.
    pub hedge: bool,
    pub origin: Origin,
}

/// Another name for a model. With a `*` in both, what the first stands for is put in the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub name: NamePattern,
    pub model: NamePattern,
    pub origin: Origin,
}

/// What a request wants of its routing, beside the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteOptions {
    pub mode: Mode,
    /// Absent: the route's, else the pool's.
    pub strategy: Option<Strategy>,
    pub exclude: Vec<ProviderId>,
    /// Asked first, when it is a candidate.
    pub prefer: Option<ProviderId>,
    pub required: Capabilities,
    /// Whether candidates that lack what is required may be asked after all others.
    pub relax: bool,
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
}
