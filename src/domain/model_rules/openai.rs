//! OpenAI's models, but for those that anyone may serve.
//!
//! Sources, read 2026-11: <https://developers.openai.com/api/docs/guides/reasoning> and the refusals
//! quoted in <https://github.com/khoj-ai/khoj/issues/1377>; efforts, `ReasoningEffort` of openai-python
//! as it was described with each generation; breakpoints from gpt-5.6 on,
//! <https://developers.openai.com/api/docs/guides/prompt-caching>.

use super::own_name;

/// What one of them takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenAiRules {
    pub reasons: bool,
    pub calls_in_turn: bool,
    /// In order. Empty for those that do not reason.
    pub efforts: &'static [&'static str],
    pub has_breakpoints: bool,
}

/// Before they thought, and those for chatting.
const PLAIN: OpenAiRules =
    OpenAiRules { reasons: false, calls_in_turn: false, efforts: &[], has_breakpoints: false };

const O_SERIES: OpenAiRules = OpenAiRules { calls_in_turn: true, ..CODEX };

const CODEX: OpenAiRules = reasoning(&["low", "medium", "high"]);

const GPT_5: OpenAiRules = reasoning(&["minimal", "low", "medium", "high"]);

const GPT_5_1: OpenAiRules = reasoning(&["none", "low", "medium", "high"]);

const GPT_5_2: OpenAiRules = reasoning(&["none", "low", "medium", "high", "xhigh"]);

const GPT_5_6: OpenAiRules = OpenAiRules {
    has_breakpoints: true,
    ..reasoning(&["none", "low", "medium", "high", "xhigh", "max"])
};

/// How a name is known.
enum Named {
    Begins(&'static str),
    /// `o1`, `o3-mini`, `o4-mini-2025-04-16` and the like.
    OSeries,
    /// `gpt-` with at least this version.
    Gpt(u32, u32),
    /// `gpt-` with this within.
    GptWith(&'static str),
}

/// The first that fits counts.
const MODELS: [(Named, Option<OpenAiRules>); 10] = [
    (Named::Begins("gpt-oss"), None),
    (Named::OSeries, Some(O_SERIES)),
    (Named::Begins("codex-"), Some(CODEX)),
    (Named::GptWith("-chat"), Some(PLAIN)),
    (Named::Gpt(5, 6), Some(GPT_5_6)),
    (Named::Gpt(5, 2), Some(GPT_5_2)),
    (Named::Gpt(5, 1), Some(GPT_5_1)),
    (Named::Gpt(5, 0), Some(GPT_5)),
    (Named::Begins("gpt-"), Some(PLAIN)),
    (Named::Begins("chatgpt-"), Some(PLAIN)),
];

/// Those that have no Chat Completions, by what their names begin with and hold.
///
/// Source: <https://platform.openai.com/docs/models> (2026-11): they list `v1/responses` alone.
const IN_RESPONSES_ALONE: [(&str, &str); 6] = [
    ("", "codex"),
    ("gpt-5", "-pro"),
    ("o1", "-pro"),
    ("o3", "-pro"),
    ("o3", "-deep-research"),
    ("o4", "-deep-research"),
];

const fn reasoning(efforts: &'static [&'static str]) -> OpenAiRules {
    OpenAiRules { reasons: true, calls_in_turn: false, efforts, has_breakpoints: false }
}

impl OpenAiRules {
    /// `name`: in lower case, without who resells it.
    pub fn of(name: &str) -> Option<Self> {
        let version = gpt_version(name);
        let fits = |named: &Named| match *named {
            Named::Begins(beginning) => name.starts_with(beginning),
            Named::OSeries => is_of_o_series(name),
            Named::Gpt(major, minor) => version.is_some_and(|own| own >= (major, minor)),
            Named::GptWith(word) => name.starts_with("gpt-") && name.contains(word),
        };
        MODELS.iter().find(|(named, _)| fits(named)).and_then(|(_, rules)| *rules)
    }
}

/// Whether it can be asked in no API but Responses. `name`: with or without who resells it.
pub fn answers_in_responses_alone(name: &str) -> bool {
    let name = own_name(name);
    let fits = |(begins, holds): &(&str, &str)| name.starts_with(begins) && name.contains(holds);
    IN_RESPONSES_ALONE.iter().any(fits)
}

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
