//! How much to think, in all the words that clients and servers of this dialect have for it.

use std::borrow::Cow;

use crate::{
    domain::{
        chat::{Effort, Losses, Thinking, ThinkingMode},
        model_rules::{ModelRules, ThinkingWords},
    },
    gateway::{
        dialect::openai_chat::wire::{
            request_in::{AskedReasoning, AskedThinking},
            request_out::{SentSwitch, SentThinking},
        },
        translate::effort::nearest_effort,
    },
};

/// What a client has said of it, in each of its words.
#[derive(Debug, Default)]
pub(super) struct AskedWords<'a> {
    pub effort: Option<Cow<'a, str>>,
    pub reasoning: Option<AskedReasoning<'a>>,
    pub thinking: Option<AskedThinking<'a>>,
    pub enable_thinking: Option<bool>,
    pub thinking_budget: Option<u64>,
    pub include_reasoning: Option<bool>,
}

impl AskedWords<'_> {
    /// What they mean together: the most exact word counts.
    pub fn into_thinking(self, losses: &mut Losses) -> Option<Thinking> {
        let reasoning = self.reasoning.unwrap_or_default();
        let is_shown = reasoning.exclude.map(|is_excluded| !is_excluded).or(self.include_reasoning);
        let budget = reasoning.max_tokens.or(self.thinking_budget);
        let by_effort = [reasoning.effort.map(|effort| effort.0), self.effort]
            .into_iter()
            .flatten()
            .find_map(|word| {
                let mode = of_word(&word);
                losses.note_if(mode.is_none(), "thinking");
                mode
            });
        let by_switch = match (reasoning.enabled.or(self.enable_thinking), self.thinking) {
            (Some(false), _) => Some(ThinkingMode::Off),
            (_, Some(thinking)) => match (&*thinking.kind, thinking.budget_tokens) {
                ("disabled", _) => Some(ThinkingMode::Off),
                (_, Some(tokens)) => Some(ThinkingMode::Budget(tokens)),
                _ => Some(ThinkingMode::Adaptive),
            },
            (Some(true), None) => Some(ThinkingMode::Adaptive),
            (None, None) => None,
        };
        let mode = match by_switch {
            Some(ThinkingMode::Off | ThinkingMode::Budget(_)) => by_switch,
            _ => budget.map(ThinkingMode::Budget).or(by_effort).or(by_switch),
        };
        let summary = reasoning.summary.map(|summary| summary.0.into_owned());
        let thinking = Thinking { mode, is_shown, summary };
        (thinking != Thinking::default()).then_some(thinking)
    }
}

fn of_word(word: &str) -> Option<ThinkingMode> {
    if word == "none" {
        return Some(ThinkingMode::Off);
    }
    Effort::parse(word).map(ThinkingMode::Effort)
}

/// The nearest that can be said to a model.
pub(super) fn write(
    thinking: Option<&Thinking>,
    rules: &ModelRules,
    losses: &mut Losses,
) -> SentThinking {
    let Some(thinking) = thinking else { return SentThinking::default() };
    // OpenAI shows neither thoughts nor summaries in this dialect; others show what there is.
    let wants_words = thinking.is_shown == Some(true) || thinking.summary.is_some();
    losses.note_if(rules.is_openai() && wants_words, "thinking");
    let Some(mode) = thinking.mode else { return SentThinking::default() };
    if rules.is_openai() && !rules.reasons() {
        // It cannot think, and refuses to be told how much.
        let asks = matches!(mode, ThinkingMode::Effort(_) | ThinkingMode::Budget(_));
        losses.note_if(asks, "thinking");
        return SentThinking::default();
    }
    match rules.thinking() {
        ThinkingWords::Effort => {
            let word = effort_word(mode, losses);
            let reasoning_effort = word.map(|word| nearest_effort(word, rules.efforts(), losses));
            SentThinking { reasoning_effort, ..SentThinking::default() }
        }
        ThinkingWords::Switch => {
            losses.note_if(
                matches!(mode, ThinkingMode::Effort(_) | ThinkingMode::Budget(_)),
                "thinking",
            );
            SentThinking { thinking: Some(switch(mode)), ..SentThinking::default() }
        }
        ThinkingWords::SwitchAndEffort => {
            let is_graded = matches!(mode, ThinkingMode::Effort(_) | ThinkingMode::Budget(_));
            SentThinking {
                thinking: Some(switch(mode)),
                reasoning_effort: is_graded.then(|| effort_word(mode, losses)).flatten(),
                ..SentThinking::default()
            }
        }
        ThinkingWords::Budget => SentThinking {
            enable_thinking: Some(mode != ThinkingMode::Off),
            thinking_budget: match mode {
                ThinkingMode::Budget(tokens) => Some(tokens),
                ThinkingMode::Effort(effort) => {
                    losses.note("thinking");
                    Some(effort.budget())
                }
                ThinkingMode::Off | ThinkingMode::Adaptive => None,
            },
            ..SentThinking::default()
        },
    }
}

fn switch(mode: ThinkingMode) -> SentSwitch {
    if mode == ThinkingMode::Off { SentSwitch::Disabled } else { SentSwitch::Enabled }
}

/// `None` for what only the model itself can see fit.
fn effort_word(mode: ThinkingMode, losses: &mut Losses) -> Option<&'static str> {
    match mode {
        ThinkingMode::Off => Some("none"),
        ThinkingMode::Effort(effort) => Some(effort.as_str()),
        ThinkingMode::Budget(tokens) => {
            losses.note("thinking");
            Some(Effort::of_budget(tokens).as_str())
        }
        ThinkingMode::Adaptive => {
            losses.note("thinking");
            None
        }
    }
}

/// Whether a model thinks when it is told this.
pub(super) fn is_on(thinking: Option<&Thinking>, rules: &ModelRules) -> bool {
    let is_off = thinking.and_then(|thinking| thinking.mode) == Some(ThinkingMode::Off);
    rules.reasons() && !(is_off && rules.efforts().contains(&"none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelName;

    fn written(mode: ThinkingMode, model: &str) -> (String, String) {
        let rules = ModelRules::of(&ModelName::parse(model).unwrap());
        let thinking = Thinking { mode: Some(mode), ..Thinking::default() };
        let mut losses = Losses::default();
        let sent = write(Some(&thinking), &rules, &mut losses);
        (serde_json::to_string(&sent).unwrap(), losses.to_string())
    }

    #[test]
    fn each_maker_is_told_in_its_own_words() {
        let high = ThinkingMode::Effort(Effort::High);
        for (mode, model, json, losses) in [
            (high, "gpt-5", r#"{"reasoning_effort":"high"}"#, "lossless"),
            (ThinkingMode::Off, "gpt-5", r#"{"reasoning_effort":"minimal"}"#, "thinking"),
            (ThinkingMode::Off, "o3", r#"{"reasoning_effort":"low"}"#, "thinking"),
            (
                ThinkingMode::Effort(Effort::Max),
                "gpt-5.2",
                r#"{"reasoning_effort":"xhigh"}"#,
                "thinking",
            ),
            (
                ThinkingMode::Effort(Effort::Minimal),
                "gpt-5.6",
                r#"{"reasoning_effort":"low"}"#,
                "thinking",
            ),
            (high, "gpt-4o", "{}", "thinking"),
            (ThinkingMode::Off, "gpt-4o", "{}", "lossless"),
            (ThinkingMode::Off, "gpt-5.1", r#"{"reasoning_effort":"none"}"#, "lossless"),
            (ThinkingMode::Budget(3000), "x", r#"{"reasoning_effort":"medium"}"#, "thinking"),
            (ThinkingMode::Adaptive, "gpt-5", "{}", "thinking"),
            (
                high,
                "deepseek-v4",
                r#"{"reasoning_effort":"high","thinking":{"type":"enabled"}}"#,
                "lossless",
            ),
            (ThinkingMode::Off, "deepseek-v4", r#"{"thinking":{"type":"disabled"}}"#, "lossless"),
            (high, "glm-5", r#"{"thinking":{"type":"enabled"}}"#, "thinking"),
            (
                ThinkingMode::Budget(7),
                "qwen3-max",
                r#"{"enable_thinking":true,"thinking_budget":7}"#,
                "lossless",
            ),
            (ThinkingMode::Off, "qwen3-max", r#"{"enable_thinking":false}"#, "lossless"),
        ] {
            assert_eq!(written(mode, model), (json.into(), losses.into()), "{mode:?} {model}");
        }
    }
}
