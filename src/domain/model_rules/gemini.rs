//! The generations of Gemini.
//!
//! Sources, read 2026-11: <https://ai.google.dev/gemini-api/docs/thinking>,
//! <https://ai.google.dev/gemini-api/docs/gemini-3>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use std::ops::RangeInclusive;

use super::own_name;

/// The largest budget that is told to a model that is not known.
const MAX_BUDGET: u64 = 1_048_576;

/// The version of names without a number (`gemini-flash-latest`): they stand for the newest.
const NEWEST: u32 = u32::MAX;

/// How a model is told how much to think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThinkingControl {
    /// By a level, Gemini 3 and later.
    Level { has_minimal: bool, has_medium: bool },
    /// By a budget in tokens, Gemini 2.5 and what is not known.
    Budget { range: RangeInclusive<u64>, can_be_off: bool },
    /// It does not think.
    None,
}

/// What one of them takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeminiRules {
    pub thinking: ThinkingControl,
    is_third: bool,
}

/// By a word in the name and the least version. The first that fits counts.
const MODELS: [(&str, (u32, u32), ThinkingControl); 7] = [
    ("pro", (3, 1), level(false, true)),
    ("pro", (3, 0), level(false, false)),
    ("", (3, 0), level(true, true)),
    ("flash-lite", (2, 5), budget(512, 24_576, true)),
    ("flash", (2, 5), budget(1, 24_576, true)),
    ("", (2, 5), budget(128, 32_768, false)),
    ("", (0, 0), ThinkingControl::None),
];

const fn level(has_minimal: bool, has_medium: bool) -> ThinkingControl {
    ThinkingControl::Level { has_minimal, has_medium }
}

const fn budget(least: u64, most: u64, can_be_off: bool) -> ThinkingControl {
    ThinkingControl::Budget { range: RangeInclusive::new(least, most), can_be_off }
}

impl GeminiRules {
    /// By the upstream's name, with or without a prefix (`models/`, `google/`).
    pub fn of(name: &str) -> Self {
        let name = own_name(name);
        let Some(rest) = name.strip_prefix("gemini-") else {
            let thinking = if name.starts_with("gemma") {
                ThinkingControl::None
            } else {
                budget(0, MAX_BUDGET, true)
            };
            return Self { thinking, is_third: false };
        };
        let own = version(rest);
        let known = MODELS.iter().find(|(word, from, _)| own >= *from && rest.contains(word));
        let thinking = known.map_or(ThinkingControl::None, |(.., thinking)| thinking.clone());
        Self { thinking, is_third: own >= (3, 0) }
    }

    /// Whether the first call of each step must have a signature.
    pub fn wants_signatures(&self) -> bool {
        self.is_third
    }

    pub fn takes_pictures_in_results(&self) -> bool {
        self.is_third
    }
}

/// The 2 and the 5 of `2.5-flash`.
fn version(rest: &str) -> (u32, u32) {
    let version = rest.split('-').next().unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    (major.unwrap_or(NEWEST), minor.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_generation() {
        for (name, is_third) in [
            ("gemini-3-pro-preview", true),
            ("models/gemini-3.1-flash-lite", true),
            ("google/gemini-3.5-flash", true),
            ("gemini-flash-latest", true),
            ("gemini-4-pro", true),
            ("gemini-2.5-pro", false),
            ("gemini-2.0-flash", false),
            ("gemini-1.5-pro-002", false),
            ("claude-sonnet-4-5", false),
            ("gemma-3-27b-it", false),
        ] {
            assert_eq!(GeminiRules::of(name).wants_signatures(), is_third, "{name}");
        }
    }

    #[test]
    fn thinking_is_told_by_level_budget_or_not_at_all() {
        for (name, thinking) in [
            ("gemini-3-pro-preview", level(false, false)),
            ("gemini-3.1-pro-preview", level(false, true)),
            ("gemini-pro-latest", level(false, true)),
            ("gemini-3-flash-preview", level(true, true)),
            ("gemini-2.0-flash", ThinkingControl::None),
            ("gemma-3-27b-it", ThinkingControl::None),
            ("gemini-2.5-pro", budget(128, 32_768, false)),
            ("gemini-2.5-flash", budget(1, 24_576, true)),
            ("gemini-2.5-flash-lite", budget(512, 24_576, true)),
            ("claude-sonnet-4-5", budget(0, MAX_BUDGET, true)),
        ] {
            assert_eq!(GeminiRules::of(name).thinking, thinking, "{name}");
        }
    }
}
