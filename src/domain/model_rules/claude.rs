//! What the generations of Claude take that others refuse with a 400. A name that tells nothing is
//! taken to be able to do all that the dialect can say.
//!
//! Source: <https://platform.claude.com/docs/en/about-claude/models/migration-guide> (read 2026-11).

use super::own_name;

/// What one of them takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a model takes or not")]
pub struct ClaudeRules {
    /// Takes `temperature`, `top_p` and `top_k`.
    pub samples: bool,
    /// Takes `top_p` beside `temperature`.
    pub samples_both_ways: bool,
    /// Thinks within a budget of tokens.
    pub has_budget: bool,
    /// Thinks as it sees fit, and can be told an effort.
    pub is_adaptive: bool,
    /// Knows the effort between `high` and `max`.
    pub has_xhigh: bool,
    /// Goes on with an answer that the request has begun.
    pub takes_prefill: bool,
}

const UNKNOWN: ClaudeRules = ClaudeRules {
    samples: true,
    samples_both_ways: true,
    has_budget: true,
    is_adaptive: true,
    has_xhigh: true,
    takes_prefill: true,
};

const CLAUDE_1: ClaudeRules = ClaudeRules { is_adaptive: false, has_xhigh: false, ..UNKNOWN };

const CLAUDE_4_1: ClaudeRules = ClaudeRules { samples_both_ways: false, ..CLAUDE_1 };

const CLAUDE_4_6: ClaudeRules =
    ClaudeRules { is_adaptive: true, takes_prefill: false, ..CLAUDE_4_1 };

const CLAUDE_4_7: ClaudeRules =
    ClaudeRules { samples: false, has_budget: false, has_xhigh: true, ..CLAUDE_4_6 };

/// From which version on, the newest first.
const GENERATIONS: [((u8, u8), ClaudeRules); 4] =
    [((4, 7), CLAUDE_4_7), ((4, 6), CLAUDE_4_6), ((4, 1), CLAUDE_4_1), ((0, 0), CLAUDE_1)];

impl ClaudeRules {
    /// By the upstream's name, with or without who resells it.
    pub fn of(model: &str) -> Self {
        let Some(own) = version(model) else { return UNKNOWN };
        let generation = GENERATIONS.iter().find(|(from, _)| own >= *from);
        generation.map_or(UNKNOWN, |(_, rules)| *rules)
    }
}

/// Whether it is one of them by its name, with or without who resells it. Resellers leave out the
/// first word of it.
pub fn is_claude(name: &str) -> bool {
    let name = own_name(name);
    ["claude", "sonnet", "opus", "haiku"].iter().any(|word| name.contains(word))
}

/// The version in a name such as `claude-opus-4-7`, `claude-3-7-sonnet-20250219` or
/// `anthropic.claude-sonnet-4-20250514-v1:0`. Longer numbers are dates.
fn version(model: &str) -> Option<(u8, u8)> {
    let (_, name) = model.split_once("claude")?;
    let mut words = name.split(['-', '.', '_', '@', ':', '/']);
    let major = words.by_ref().find_map(short_number)?;
    let minor = words.next().and_then(short_number).unwrap_or(0);
    Some((major, minor))
}

fn short_number(word: &str) -> Option<u8> {
    if word.len() > 2 { None } else { word.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_every_way_to_write_it() {
        for (name, expected) in [
            ("claude-opus-4-7", Some((4, 7))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-3-opus-latest", Some((3, 0))),
            ("claude-fable-5", Some((5, 0))),
            ("anthropic/claude-4.7-opus", Some((4, 7))),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("us.anthropic.claude-opus-4-6-v1", Some((4, 6))),
            ("claude-haiku-4-5@20251001", Some((4, 5))),
            ("claude-latest", None),
            ("glm-4.6", None),
            ("my-deployment", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn generations_differ_and_what_is_not_known_can_do_all() {
        let old = ClaudeRules::of("claude-sonnet-4-5");
        assert!(old.samples && !old.samples_both_ways);
        assert!(old.has_budget && !old.is_adaptive);
        assert!(old.takes_prefill && !ClaudeRules::of("claude-sonnet-4-6").takes_prefill);
        assert!(ClaudeRules::of("claude-3-opus-latest").samples_both_ways);
        let new = ClaudeRules::of("claude-opus-4-8");
        assert!(!new.samples && !new.has_budget && new.is_adaptive && new.has_xhigh);
        let between = ClaudeRules::of("claude-opus-4-6");
        assert!(between.has_budget && between.is_adaptive && !between.has_xhigh);
        let other = ClaudeRules::of("kimi-k3");
        assert!(other.samples_both_ways && other.has_budget && other.has_xhigh);
    }
}
