//! When failures that are counted cool somebody: how many of them, and for how long. The defaults of the
//! pool, and what a provider or a route may set instead.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    cooldown::CooldownDuration,
    merge_patch::{Change, Patch},
    setting::InvalidSetting,
};

/// The numbers of failures that may be set. 0: they never cool.
pub const FAILURES: RangeInclusive<u32> = 0..=100;
/// The times within which failures may be counted, in milliseconds: up to an hour.
pub const WINDOWS_MS: RangeInclusive<u32> = 1_000..=3_600_000;
/// The lengths of cooldowns that may be set, in milliseconds: up to a day.
pub const LENGTHS_MS: RangeInclusive<u32> = 100..=86_400_000;

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server does not answer as it should, or not at all.
    Server,
    /// It says that it has too much to do.
    Overload,
}

/// How many failures of a kind lead to a cooldown, and to how long a one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoolingRule {
    /// So many, without a good answer in between.
    pub failures: usize,
    /// Within this time.
    pub window: Duration,
    /// The first cooldown; each further one in a row is twice as long.
    pub base: Duration,
    /// The longest.
    pub cap: Duration,
}

impl CoolingRule {
    pub fn length(&self) -> CooldownDuration {
        CooldownDuration::Doubling { base: self.base, cap: self.cap }
    }
}

/// When failures that are counted cool. A rule of no failures: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoolingRules {
    server: CoolingRule,
    overload: CoolingRule,
}

impl Default for CoolingRules {
    fn default() -> Self {
        let window = Duration::from_mins(1);
        let rule = |failures, base, cap| {
            let (base, cap) = (Duration::from_secs(base), Duration::from_secs(cap));
            CoolingRule { failures, window, base, cap }
        };
        Self { server: rule(3, 10, 300), overload: rule(5, 5, 15) }
    }
}

impl CoolingRules {
    /// `None`: failures of this kind never cool, however many there are.
    pub fn rule(&self, kind: Kind) -> Option<&CoolingRule> {
        let rule = match kind {
            Kind::Server => &self.server,
            Kind::Overload => &self.overload,
        };
        (rule.failures > 0).then_some(rule)
    }

    /// The same with what somebody has set instead.
    #[must_use]
    pub fn with(self, set: Option<CoolingSettings>) -> Self {
        let Some(set) = set else { return self };
        Self { server: set.server.over(self.server), overload: set.overload.over(self.overload) }
    }
}

/// When failures that are counted cool, as a provider or a route sets it. What a provider asks for itself
/// (`retry-after`) is obeyed whatever is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoolingSettings {
    /// Of a server that fails, is silent, stalls, breaks off or cannot be reached.
    #[serde(default, skip_serializing_if = "CoolingRuleSettings::is_empty")]
    pub server: CoolingRuleSettings,
    /// Of a server that says that it is overloaded.
    #[serde(default, skip_serializing_if = "CoolingRuleSettings::is_empty")]
    pub overload: CoolingRuleSettings,
}

/// How many failures lead to a cooldown, and to how long a one. What is absent of a route is the
/// provider's, and what is absent of a provider the pool's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoolingRuleSettings {
    /// So many, without a good answer in between. 0: they never cool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub failures: Option<u32>,
    /// Milliseconds within which they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1_000, maximum = 3_600_000)]
    pub window_ms: Option<u32>,
    /// Milliseconds of the first cooldown; each further one in a row is twice as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    pub base_ms: Option<u32>,
    /// Milliseconds of the longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    pub cap_ms: Option<u32>,
}

impl CoolingRuleSettings {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn over(self, below: CoolingRule) -> CoolingRule {
        let millis = |set: Option<u32>| set.map(|millis| Duration::from_millis(millis.into()));
        let cap = millis(self.cap_ms).unwrap_or(below.cap);
        CoolingRule {
            failures: self.failures.map_or(below.failures, |failures| failures as usize),
            window: millis(self.window_ms).unwrap_or(below.window),
            // Each of the two may be another layer's.
            base: millis(self.base_ms).unwrap_or(below.base).min(cap),
            cap,
        }
    }

    /// The first number that cannot be taken, as it is called, and why.
    fn fault(&self, usual: CoolingRule) -> Option<(&'static str, String)> {
        let Self { failures, window_ms, base_ms, cap_ms } = *self;
        let bounded = [
            ("failures", failures, FAILURES),
            ("window_ms", window_ms, WINDOWS_MS),
            ("base_ms", base_ms, LENGTHS_MS),
            ("cap_ms", cap_ms, LENGTHS_MS),
        ];
        let outside = bounded.into_iter().find_map(|(name, set, bounds)| {
            let is_wrong = set.is_some_and(|set| !bounds.contains(&set));
            is_wrong.then(|| (name, format!("must be {} to {}", bounds.start(), bounds.end())))
        });
        outside.or_else(|| {
            let (base, usual_cap) = (base_ms?, usual.cap.as_millis());
            let (cap, whose) = match cap_ms {
                Some(cap) => (cap.into(), "cap_ms"),
                None => (usual_cap, "the default of cap_ms, which is not set"),
            };
            let reason = || format!("is {base}: must be at most {cap}, {whose}");
            (u128::from(base) > cap).then(|| ("base_ms", reason()))
        })
    }
}

/// What is wrong with what is set.
pub fn fault_of_cooling(set: Option<CoolingSettings>) -> Option<InvalidSetting> {
    let (CoolingSettings { server, overload }, usual) = (set?, CoolingRules::default());
    let each = [("server", server, usual.server), ("overload", overload, usual.overload)];
    each.into_iter().find_map(|(kind, rule, usual)| {
        let (name, reason) = rule.fault(usual)?;
        Some(InvalidSetting::new("cooling", format!("{kind}.{name} {reason}")))
    })
}

/// A change to when failures that are counted cool.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoolingPatch {
    /// Of a server that fails, is silent, stalls, breaks off or cannot be reached.
    #[serde(default)]
    #[schema(value_type = Option<CoolingRuleSettings>)]
    pub server: Change<CoolingRulePatch>,
    /// Of a server that says that it is overloaded.
    #[serde(default)]
    #[schema(value_type = Option<CoolingRuleSettings>)]
    pub overload: Change<CoolingRulePatch>,
}

impl Patch<Option<CoolingSettings>> for CoolingPatch {
    fn apply_to(self, cooling: &mut Option<CoolingSettings>) {
        let cooling = cooling.get_or_insert_default();
        self.server.merge(&mut cooling.server);
        self.overload.merge(&mut cooling.overload);
    }
}

/// A change to [`CoolingRuleSettings`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoolingRulePatch {
    pub failures: Change<u32>,
    pub window_ms: Change<u32>,
    pub base_ms: Change<u32>,
    pub cap_ms: Change<u32>,
}

impl Patch<CoolingRuleSettings> for CoolingRulePatch {
    fn apply_to(self, rule: &mut CoolingRuleSettings) {
        self.failures.apply(&mut rule.failures);
        self.window_ms.apply(&mut rule.window_ms);
        self.base_ms.apply(&mut rule.base_ms);
        self.cap_ms.apply(&mut rule.cap_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(json: &str) -> CoolingSettings {
        serde_json::from_str(json).unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_route_comes_before_a_provider_and_that_before_the_pool() {
        let provider = set(r#"{"server": {"failures": 1, "base_ms": 2000}}"#);
        let route = set(r#"{"server": {"failures": 2}, "overload": {"cap_ms": 1000}}"#);
        let rules = CoolingRules::default().with(Some(provider)).with(Some(route));
        let server = rules.rule(Kind::Server).unwrap();
        assert_eq!((server.failures, server.base, server.cap), (2, secs(2), secs(300)));
        assert_eq!(server.window, secs(60));
        let overload = rules.rule(Kind::Overload).unwrap();
        // The first is no longer than the longest.
        assert_eq!((overload.failures, overload.base, overload.cap), (5, secs(1), secs(1)));
        assert_eq!(CoolingRules::default().with(None), CoolingRules::default());
    }

    #[test]
    fn what_never_cools_has_no_rule_and_a_route_may_say_otherwise() {
        let never = set(r#"{"server": {"failures": 0}}"#);
        let rules = CoolingRules::default().with(Some(never));
        assert_eq!(rules.rule(Kind::Server), None);
        assert!(rules.rule(Kind::Overload).is_some());
        let again = set(r#"{"server": {"failures": 4}}"#);
        assert_eq!(rules.with(Some(again)).rule(Kind::Server).unwrap().failures, 4);
    }

    #[test]
    fn the_longest_cooldown_of_one_layer_is_kept_whatever_another_says() {
        let provider = set(r#"{"overload": {"cap_ms": 2000}}"#);
        let route = set(r#"{"overload": {"base_ms": 9000}}"#);
        for (below, above) in [(provider, route), (route, provider)] {
            let rules = CoolingRules::default().with(Some(below)).with(Some(above));
            let overload = rules.rule(Kind::Overload).unwrap();
            assert_eq!((overload.base, overload.cap), (secs(2), secs(2)));
        }
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_it_back() {
        let before = r#"{"server":{"failures":1,"base_ms":2000},"overload":{"failures":0}}"#;
        for (patch, after) in [
            ("{}", before),
            (
                r#"{"server": {"failures": 2, "base_ms": null}}"#,
                r#"{"server":{"failures":2},"overload":{"failures":0}}"#,
            ),
            (r#"{"server": null}"#, r#"{"overload":{"failures":0}}"#),
            (
                r#"{"overload": {"cap_ms": 1000}, "server": {}}"#,
                r#"{"server":{"failures":1,"base_ms":2000},"overload":{"failures":0,"cap_ms":1000}}"#,
            ),
        ] {
            let mut cooling = Some(set(before));
            serde_json::from_str::<CoolingPatch>(patch).unwrap().apply_to(&mut cooling);
            assert_eq!(serde_json::to_string(&cooling).unwrap(), after, "{patch}");
        }
    }

    #[test]
    fn what_is_not_set_is_not_written() {
        for json in [
            "{}",
            r#"{"server":{"failures":0}}"#,
            r#"{"overload":{"cap_ms":1000}}"#,
            r#"{"server":{"window_ms":1000},"overload":{"base_ms":100}}"#,
        ] {
            assert_eq!(serde_json::to_string(&set(json)).unwrap(), json);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (json, words) in [
            (r#"{"server": {"failures": 101}}"#, "cooling: server.failures must be 0 to 100"),
            (
                r#"{"overload": {"window_ms": 999}}"#,
                "cooling: overload.window_ms must be 1000 to 3600000",
            ),
            (r#"{"server": {"base_ms": 99}}"#, "cooling: server.base_ms must be 100 to 86400000"),
            (r#"{"server": {"cap_ms": 0}}"#, "cooling: server.cap_ms must be 100 to 86400000"),
            (
                r#"{"server": {"base_ms": 200, "cap_ms": 100}}"#,
                "cooling: server.base_ms is 200: must be at most 100, cap_ms",
            ),
            (
                r#"{"overload": {"base_ms": 15001}}"#,
                "cooling: overload.base_ms is 15001: must be at most 15000, the default of cap_ms, \
                 which is not set",
            ),
        ] {
            let fault = fault_of_cooling(Some(set(json))).unwrap();
            assert_eq!(fault.to_string(), words);
        }
        for json in [
            "{}",
            r#"{"server": {"failures": 0}, "overload": {"failures": 100}}"#,
            r#"{"server": {"window_ms": 1000, "base_ms": 100, "cap_ms": 100}}"#,
            r#"{"server": {"window_ms": 3600000, "base_ms": 86400000, "cap_ms": 86400000}}"#,
        ] {
            assert_eq!(fault_of_cooling(Some(set(json))), None, "{json}");
        }
        assert!(serde_json::from_str::<CoolingSettings>(r#"{"server": {"failure": 1}}"#).is_err());
    }
}
