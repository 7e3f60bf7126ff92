//! Models of other makers, most of which anyone may serve.
//!
//! Sources, read 2026-11: `thinking` <https://api-docs.deepseek.com/guides/thinking_mode>,
//! <https://docs.z.ai/guides/capabilities/thinking>,
//! <https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model>; `enable_thinking`
//! <https://www.alibabacloud.com/help/en/model-studio/deep-thinking>; `reasoning` of gpt-oss
//! <https://console.groq.com/docs/reasoning>; ids of calls, as the refusals of OpenAI ("maximum length
//! 40") and Mistral ("a-z, A-Z, 0-9, with a length of 9") word it.

/// How a model is told how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingWords {
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
pub enum ThoughtField {
    ReasoningContent,
    Reasoning,
}

/// Which ids of calls a model's maker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallIdRule {
    Any,
    /// At most so many characters.
    UpTo(usize),
    /// Nine letters and digits.
    Nine,
    /// Letters, digits, `_` and `-`.
    Words,
}

/// What a maker's models take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenModelRules {
    pub thinking: ThinkingWords,
    pub thoughts: Option<ThoughtField>,
    pub call_ids: CallIdRule,
}

const USUAL: OpenModelRules =
    OpenModelRules { thinking: ThinkingWords::Effort, thoughts: None, call_ids: CallIdRule::Any };

const MISTRAL: OpenModelRules = OpenModelRules { call_ids: CallIdRule::Nine, ..USUAL };

/// By a word in the name. Where two fit, the one it begins with counts, else the first.
const MAKERS: [(&str, OpenModelRules); 16] = [
    ("gpt-oss", thinking(ThinkingWords::Effort, ThoughtField::Reasoning)),
    ("deepseek", thinking(ThinkingWords::SwitchAndEffort, ThoughtField::ReasoningContent)),
    ("kimi", thinking(ThinkingWords::Switch, ThoughtField::ReasoningContent)),
    ("glm", thinking(ThinkingWords::Switch, ThoughtField::ReasoningContent)),
    ("mimo", thinking(ThinkingWords::Switch, ThoughtField::ReasoningContent)),
    ("doubao", thinking(ThinkingWords::Switch, ThoughtField::ReasoningContent)),
    ("qwen", thinking(ThinkingWords::Budget, ThoughtField::ReasoningContent)),
    ("qwq", thinking(ThinkingWords::Budget, ThoughtField::ReasoningContent)),
    ("minimax", thinking(ThinkingWords::Effort, ThoughtField::ReasoningContent)),
    ("mistral", MISTRAL),
    ("ministral", MISTRAL),
    ("magistral", MISTRAL),
    ("mixtral", MISTRAL),
    ("pixtral", MISTRAL),
    ("codestral", MISTRAL),
    ("devstral", MISTRAL),
];

const fn thinking(words: ThinkingWords, thoughts: ThoughtField) -> OpenModelRules {
    OpenModelRules { thinking: words, thoughts: Some(thoughts), ..USUAL }
}

impl OpenModelRules {
    /// `name`: in lower case, without who resells it. Whoever does has OpenAI's words for thinking;
    /// so has who serves a model under a name of their own.
    pub fn of(name: &str, is_resold: bool) -> Self {
        let begins = MAKERS.iter().find(|(word, _)| name.starts_with(word));
        let within = || MAKERS.iter().find(|(word, _)| name.contains(word));
        match (begins, is_resold) {
            (Some((_, rules)), false) => *rules,
            (begins, _) => {
                let rules = begins.or_else(within).map_or(USUAL, |(_, rules)| *rules);
                Self { thinking: ThinkingWords::Effort, ..rules }
            }
        }
    }
}
