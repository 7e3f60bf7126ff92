//! What is known of a model by its name.
//!
//! Sources, read 2026-11: <https://ai.google.dev/gemini-api/docs/thinking>,
//! <https://ai.google.dev/gemini-api/docs/gemini-3>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use std::ops::RangeInclusive;

/// The largest budget that is told to a model that is not known.
const MAX_BUDGET: u64 = 1_048_576;

/// How a model is told how much to think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ThinkingControl {
    /// By a level, Gemini 3 and later.
    Level { has_minimal: bool, has_medium: bool },
    /// By a budget in tokens, Gemini 2.5 and what is not known.
    Budget { range: RangeInclusive<u64>, can_be_off: bool },
    /// It does not think.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelTraits {
    pub thinking: ThinkingControl,
    is_third: bool,
}

impl ModelTraits {
    /// Looks at the upstream's name of a model, with or without a prefix (`models/`, `google/`).
    pub fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let Some(rest) = name.strip_prefix("gemini-") else {
            let thinking = if name.starts_with("gemma") {
                ThinkingControl::None
            } else {
                ThinkingControl::Budget { range: 0..=MAX_BUDGET, can_be_off: true }
            };
            return Self { thinking, is_third: false };
        };
        let version = rest.split('-').next().unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
        let is_pro = rest.contains("pro");
        match (major, minor.unwrap_or(0)) {
            (Some(2), 5..) => Self { thinking: budget(rest), is_third: false },
            (Some(0..=2), _) => Self { thinking: ThinkingControl::None, is_third: false },
            // Names without a number (`gemini-flash-latest`) stand for the newest.
            (_, minor) => Self {
                thinking: ThinkingControl::Level {
                    has_minimal: !is_pro,
                    has_medium: !(is_pro && major == Some(3) && minor == 0),
                },
                is_third: true,
            },
        }
    }

    /// Whether the first call of each step must have a signature.
    pub fn wants_signatures(&self) -> bool {
        self.is_third
    }

    pub fn takes_pictures_in_results(&self) -> bool {
        self.is_third
    }
}

fn budget(rest: &str) -> ThinkingControl {
    if rest.contains("flash-lite") {
        ThinkingControl::Budget { range: 512..=24_576, can_be_off: true }
    } else if rest.contains("flash") {
        ThinkingControl::Budget { range: 1..=24_576, can_be_off: true }
    } else {
        ThinkingControl::Budget { range: 128..=32_768, can_be_off: false }
    }
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
            assert_eq!(ModelTraits::of(name).wants_signatures(), is_third, "{name}");
        }
    }

    #[test]
    fn thinking_is_told_by_level_budget_or_not_at_all() {
        let control = |name| ModelTraits::of(name).thinking;
        let level = |has_minimal, has_medium| ThinkingControl::Level { has_minimal, has_medium };
        assert_eq!(control("gemini-3-pro-preview"), level(false, false));
        assert_eq!(control("gemini-3.1-pro-preview"), level(false, true));
        assert_eq!(control("gemini-3-flash-preview"), level(true, true));
        assert_eq!(control("gemini-2.0-flash"), ThinkingControl::None);
        assert_eq!(
            control("gemini-2.5-pro"),
            ThinkingControl::Budget { range: 128..=32_768, can_be_off: false }
        );
        assert_eq!(
            control("gemini-2.5-flash-lite"),
            ThinkingControl::Budget { range: 512..=24_576, can_be_off: true }
        );
    }
}
