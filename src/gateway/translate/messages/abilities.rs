//! What the generations of Claude take that others refuse with a 400. It can only be told from the
//! name; a name that tells nothing is taken to be able to do all that the dialect can say.
//!
//! Source: <https://platform.claude.com/docs/en/about-claude/models/migration-guide> (read 2026-11).

/// What a model takes, by its version. Absent: the name tells none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities(Option<(u8, u8)>);

impl Abilities {
    pub fn of(model: &str) -> Self {
        Self(version(model))
    }

    /// Takes `temperature`, `top_p` and `top_k`.
    pub fn samples(self) -> bool {
        self.is_before((4, 7))
    }

    /// Takes `top_p` beside `temperature`.
    pub fn samples_both_ways(self) -> bool {
        self.is_before((4, 1))
    }

    /// Thinks within a budget of tokens.
    pub fn has_budget(self) -> bool {
        self.is_before((4, 7))
    }

    /// Thinks as it sees fit, and can be told an effort.
    pub fn is_adaptive(self) -> bool {
        self.is_from((4, 6))
    }

    /// Knows the effort between `high` and `max`.
    pub fn has_xhigh(self) -> bool {
        self.is_from((4, 7))
    }

    fn is_before(self, version: (u8, u8)) -> bool {
        self.0.is_none_or(|own| own < version)
    }

    fn is_from(self, version: (u8, u8)) -> bool {
        self.0.is_none_or(|own| own >= version)
    }
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
        let old = Abilities::of("claude-sonnet-4-5");
        assert!(old.samples() && !old.samples_both_ways());
        assert!(old.has_budget() && !old.is_adaptive());
        let new = Abilities::of("claude-opus-4-8");
        assert!(!new.samples() && !new.has_budget() && new.is_adaptive() && new.has_xhigh());
        let between = Abilities::of("claude-opus-4-6");
        assert!(between.has_budget() && between.is_adaptive() && !between.has_xhigh());
        let other = Abilities::of("kimi-k3");
        assert!(other.samples_both_ways() && other.has_budget() && other.has_xhigh());
    }
}
