//! What a model takes beside what the dialect has for all: its maker is told by its name, since
//! nothing else tells it.

use crate::domain::id::ModelName;

/// How a model is told how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThinkingWords {
    /// `reasoning_effort`: OpenAI's, which most others and all who resell models understand.
    Effort,
    /// `thinking`, to be switched on and off.
    Switch,
    /// `thinking`, and `reasoning_effort` beside it.
    SwitchAndEffort,
    /// `enable_thinking` and `thinking_budget`.
    Budget,
}

/// Where a model takes its earlier thoughts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThoughtField {
    ReasoningContent,
    Reasoning,
}

/// Which ids of calls a model's maker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallIdRule {
    Any,
    /// At most 40 characters.
    Short,
    /// Nine letters and digits.
    Nine,
}

/// Who has made a model, as far as it changes what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// OpenAI: `o3` and the like.
    OSeries,
    /// OpenAI: from `gpt-5` on, `codex`.
    Reasoning,
    /// OpenAI: those before, and those for chatting.
    Plain,
    /// Others, and OpenAI's models that anyone may serve.
    Other,
}

/// See [`ModelRules::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModelRules {
    line: Line,
    pub call_ids: CallIdRule,
    pub thinking: ThinkingWords,
    /// The efforts it takes, in order. Empty: not known, so any.
    pub efforts: &'static [&'static str],
    /// `None`: thoughts that are not sealed are not sent. Servers that do not know the field refuse
    /// the request.
    pub thoughts: Option<ThoughtField>,
    /// Whether parts may carry `cache_control`.
    pub has_cache_control: bool,
    /// Whether calls may carry Google's thought signatures.
    pub has_google_seals: bool,
}

impl ModelRules {
    /// The rules for a model of this name. What stands before the last `/` is who resells it.
    ///
    /// Sources, read 2026-11: for OpenAI's reasoning models
    /// <https://platform.openai.com/docs/guides/reasoning> and the refusals quoted in
    /// <https://github.com/khoj-ai/khoj/issues/1377>; `thinking`
    /// <https://api-docs.deepseek.com/guides/thinking_mode>, <https://docs.z.ai/guides/capabilities/thinking>,
    /// <https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model>; `enable_thinking`
    /// <https://www.alibabacloud.com/help/en/model-studio/deep-thinking>; `reasoning` of gpt-oss
    /// <https://console.groq.com/docs/reasoning>; `cache_control`
    /// <https://openrouter.ai/docs/features/prompt-caching>; ids of calls, as the refusals of OpenAI
    /// ("maximum length 40") and Mistral ("a-z, A-Z, 0-9, with a length of 9") word it; `thought_signature`
    /// <https://ai.google.dev/gemini-api/docs/thought-signatures>.
    pub fn of(model: &ModelName) -> Self {
        let whole = model.as_str().to_ascii_lowercase();
        let (reseller, name) = match whole.rsplit_once('/') {
            Some((before, name)) => (Some(before), name),
            None => (None, &*whole),
        };
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let is_one_of = |makers: &[&str]| makers.iter().any(|maker| name.contains(maker));
        let line = line_of(name);
        let thinking = if reseller.is_some() {
            ThinkingWords::Effort
        } else if name.starts_with("deepseek") {
            ThinkingWords::SwitchAndEffort
        } else if ["glm", "kimi", "mimo", "doubao"].iter().any(|maker| name.starts_with(maker)) {
            ThinkingWords::Switch
        } else if name.starts_with("qwen") || name.starts_with("qwq") {
            ThinkingWords::Budget
        } else {
            ThinkingWords::Effort
        };
        let thoughts = if is_one_of(&["gpt-oss"]) {
            Some(ThoughtField::Reasoning)
        } else if is_one_of(&[
            "deepseek", "kimi", "glm", "qwen", "qwq", "minimax", "mimo", "doubao",
        ]) {
            Some(ThoughtField::ReasoningContent)
        } else {
            None
        };
        let is_mistral = is_one_of(&["mistral", "ministral", "magistral", "mixtral", "pixtral"])
            || is_one_of(&["codestral", "devstral"]);
        let call_ids = match line {
            Line::Other if is_mistral => CallIdRule::Nine,
            Line::Other => CallIdRule::Any,
            _ => CallIdRule::Short,
        };
        Self {
            line,
            call_ids,
            thinking,
            efforts: efforts_of(line, name),
            thoughts,
            has_cache_control: is_one_of(&["claude"]),
            has_google_seals: is_one_of(&["gemini"]),
        }
    }

    /// Whether OpenAI has made it and does not give it away: what only its API has can be said.
    pub fn is_openai(&self) -> bool {
        self.line != Line::Other
    }

    /// Whether it is one of OpenAI's reasoning models: it has `developer` in the place of `system`,
    /// `max_completion_tokens` in the place of `max_tokens`, and while it thinks it refuses to have
    /// its sampling, its stop texts and its log probabilities chosen.
    pub fn reasons(&self) -> bool {
        matches!(self.line, Line::OSeries | Line::Reasoning)
    }

    /// Whether it refuses `parallel_tool_calls`.
    pub fn calls_in_turn(&self) -> bool {
        self.line == Line::OSeries
    }
}

fn line_of(name: &str) -> Line {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|word| name.starts_with(word));
    if is_of_o_series(name) {
        return Line::OSeries;
    }
    let is_late = gpt_version(name).is_some_and(|(major, _)| major >= 5);
    if begins(&["codex-"]) || (is_late && !name.contains("-chat")) {
        return Line::Reasoning;
    }
    if begins(&["gpt-oss"]) || !begins(&["gpt-", "chatgpt-"]) {
        return Line::Other;
    }
    Line::Plain
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
///
/// Source: `ReasoningEffort` of openai-python as it was described with each of them (2026-11).
fn efforts_of(line: Line, name: &str) -> &'static [&'static str] {
    match (line, gpt_version(name)) {
        (Line::Plain | Line::Other, _) => &[],
        (Line::OSeries, _) | (_, None) => &["low", "medium", "high"],
        (_, Some((5, 0))) => &["minimal", "low", "medium", "high"],
        (_, Some((5, 1))) => &["none", "low", "medium", "high"],
        (_, Some((5, 2..=5))) => &["none", "low", "medium", "high", "xhigh"],
        _ => &["none", "low", "medium", "high", "xhigh", "max"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(name: &str) -> ModelRules {
        ModelRules::of(&ModelName::parse(name).unwrap())
    }

    #[test]
    fn openais_reasoning_models_are_known_by_their_names() {
        for name in [
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "gpt-5",
            "gpt-5.2-codex",
            "gpt-5-mini",
            "openai/gpt-5.6-luna",
            "openai/o3",
            "codex-mini-latest",
            "ft:gpt-5-mini:acme::x",
            "GPT-6",
        ] {
            assert!(rules(name).reasons() && rules(name).is_openai(), "{name}");
        }
        for name in [
            "gpt-4o",
            "gpt-4.1-mini",
            "chatgpt-4o-latest",
            "gpt-5-chat-latest",
            "gpt-audio",
            "gpt-35-turbo",
        ] {
            assert!(!rules(name).reasons() && rules(name).is_openai(), "{name}");
        }
        for name in ["openai/gpt-oss-120b", "olmo-2", "claude-sonnet-5", "gpt-oss:20b", "o", "orca"]
        {
            assert!(!rules(name).reasons() && !rules(name).is_openai(), "{name}");
        }
    }

    #[test]
    fn other_makers_have_words_of_their_own() {
        assert_eq!(rules("deepseek-v4-pro").thinking, ThinkingWords::SwitchAndEffort);
        assert_eq!(rules("glm-5").thinking, ThinkingWords::Switch);
        assert_eq!(rules("qwen3-max").thinking, ThinkingWords::Budget);
        assert_eq!(rules("deepseek/deepseek-v4-pro").thinking, ThinkingWords::Effort);
        assert_eq!(rules("moonshotai/kimi-k3").thoughts, Some(ThoughtField::ReasoningContent));
        assert_eq!(rules("openai/gpt-oss-120b").thoughts, Some(ThoughtField::Reasoning));
        assert_eq!(rules("mistral-large-latest").thoughts, None);
        assert!(rules("anthropic/claude-sonnet-5").has_cache_control);
        assert!(rules("gemini-3-flash-preview").has_google_seals);
    }
}
