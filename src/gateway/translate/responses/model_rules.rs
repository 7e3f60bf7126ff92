//! What a model takes beside what the dialect has for all: it is told by its name, since nothing
//! else tells it.

use crate::domain::id::ModelName;

/// See [`ModelRules::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that a model takes or not")]
pub(super) struct ModelRules {
    /// Whether it is one of OpenAI's reasoning models, which refuse to have their sampling and their
    /// log probabilities chosen while they think.
    pub reasons: bool,
    /// Whether it is one of OpenAI's that cannot think, and refuses to be told how much.
    pub never_reasons: bool,
    /// The efforts it takes, in order. Empty: not known, so any.
    pub efforts: &'static [&'static str],
    /// Whether parts may say that the prompt is to be cached up to them.
    pub has_breakpoints: bool,
    /// Whether it takes its thoughts back without a seal.
    pub takes_bare_thoughts: bool,
}

/// Makers whose models take their thoughts back as they were shown.
const BARE_THOUGHTS: [&str; 8] =
    ["gpt-oss", "deepseek", "kimi", "glm", "qwen", "minimax", "mimo", "doubao"];

impl ModelRules {
    /// The rules for a model of this name. What stands before the last `/` is who resells it.
    ///
    /// Sources, read 2026-11: <https://developers.openai.com/api/docs/guides/reasoning>; breakpoints
    /// from gpt-5.6 on, <https://developers.openai.com/api/docs/guides/prompt-caching>.
    pub fn of(model: &ModelName) -> Self {
        let whole = model.as_str().to_ascii_lowercase();
        let name = whole.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let version = gpt_version(name);
        let is_older = is_of_o_series(name) || name.starts_with("codex-");
        let reasons =
            is_older || version.is_some_and(|(major, _)| major >= 5 && !name.contains("-chat"));
        let is_gpt = name.starts_with("gpt-") && !name.starts_with("gpt-oss");
        Self {
            reasons,
            never_reasons: !reasons && (is_gpt || name.starts_with("chatgpt-")),
            efforts: if reasons { efforts_of(version) } else { &[] },
            has_breakpoints: version.is_some_and(|version| version >= (5, 6)),
            takes_bare_thoughts: BARE_THOUGHTS.iter().any(|maker| name.contains(maker)),
        }
    }
}

/// Whether it is called `o1`, `o3-mini`, `o4-mini-2025-04-16` or the like.
fn is_of_o_series(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('o') else { return false };
    let number = rest.split(['-', ':']).next().unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The 5 and the 1 of `gpt-5.1-codex`. Azure's `gpt-35-turbo` is a 3.5.
fn gpt_version(name: &str) -> Option<(u32, u32)> {
    let rest = name.strip_prefix("gpt-")?;
    let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let major = major.parse().ok()?;
    Some((if major == 35 { 3 } else { major }, minor.parse().unwrap_or(0)))
}

/// Which efforts OpenAI's reasoning models take: each generation has added some.
fn efforts_of(version: Option<(u32, u32)>) -> &'static [&'static str] {
    match version {
        None => &["low", "medium", "high"],
        Some((5, 0)) => &["minimal", "low", "medium", "high"],
        Some((5, 1)) => &["none", "low", "medium", "high"],
        Some((5, 2..=5)) => &["none", "low", "medium", "high", "xhigh"],
        Some(_) => &["none", "low", "medium", "high", "xhigh", "max"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(name: &str) -> ModelRules {
        ModelRules::of(&ModelName::parse(name).unwrap())
    }

    #[test]
    fn reasoning_models_are_known_by_their_names() {
        for name in ["o1", "o3-mini", "gpt-5", "openai/gpt-5.6-luna", "codex-mini-latest", "GPT-6"]
        {
            assert!(rules(name).reasons && !rules(name).never_reasons, "{name}");
        }
        for name in ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "gpt-35-turbo", "gpt-audio"] {
            assert!(!rules(name).reasons && rules(name).never_reasons, "{name}");
        }
        for name in ["gpt-oss-120b", "claude-sonnet-5", "o", "olmo-2"] {
            assert!(!rules(name).reasons && !rules(name).never_reasons, "{name}");
        }
        assert!(rules("gpt-5.6").has_breakpoints && !rules("gpt-5.5").has_breakpoints);
        assert!(rules("openai/gpt-oss-20b").takes_bare_thoughts);
    }
}
