//! How much to think, and how much to say in all: the two limits hang together.

use super::super::Target;
use crate::{
    domain::{
        chat::{Effort, Losses, Request, Thinking, ThinkingMode},
        model_rules::ClaudeRules,
    },
    gateway::dialect::messages::ThinkingConfig,
};

/// Fewest tokens that a budget may have; it must also be below the limit of the whole output.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/extended-thinking> (read 2026-11).
const MIN_BUDGET: u64 = 1_024;

/// The limit of the output where neither the request nor the model tells one. It must be told.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// What stands in the way of thinking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hindrances {
    /// A tool has to be called, or the answer has begun: both cannot be asked for while thinking.
    pub is_forced: bool,
    /// Within a budget, thoughts must come before the calls whose results are the last word.
    pub is_within_thoughtless_tool_use: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThinkingPlan {
    pub config: Option<ThinkingConfig>,
    pub effort: Option<&'static str>,
    pub max_tokens: u64,
}

impl ThinkingPlan {
    pub fn thinks(&self) -> bool {
        matches!(
            self.config,
            Some(ThinkingConfig::Enabled { .. } | ThinkingConfig::Adaptive { .. })
        )
    }

    pub fn make(
        request: &Request,
        target: &Target<'_>,
        claude: ClaudeRules,
        hindrances: Hindrances,
        losses: &mut Losses,
    ) -> Self {
        let mut plan =
            Self { config: None, effort: None, max_tokens: max_tokens(request, target, 0) };
        let Some(thinking) = &request.thinking else { return plan };
        losses.note_if(thinking.summary.as_deref().is_some_and(|word| word != "auto"), "thinking");
        let Some(mode) = thinking.mode else {
            losses.note_if(thinking.is_shown == Some(true), "thinking");
            return plan;
        };
        if mode == ThinkingMode::Off {
            plan.config = Some(ThinkingConfig::Disabled);
            return plan;
        }
        plan.effort = effort_of(mode, claude, losses);
        let budget = budget_of(mode, claude);
        let is_hindered =
            hindrances.is_forced || (budget.is_some() && hindrances.is_within_thoughtless_tool_use);
        if is_hindered {
            losses.note("thinking");
            return plan;
        }
        let display = display_of(thinking);
        match budget {
            Some(budget) => {
                losses.note_if(mode == ThinkingMode::Adaptive, "thinking");
                let (budget_tokens, max_tokens) = fit(budget, request, target);
                losses.note_if(budget_tokens != budget, "thinking");
                plan.max_tokens = max_tokens;
                plan.config = Some(ThinkingConfig::Enabled { budget_tokens, display });
            }
            None => {
                let room = match mode {
                    ThinkingMode::Effort(effort) => effort.budget(),
                    ThinkingMode::Budget(tokens) => tokens,
                    ThinkingMode::Adaptive | ThinkingMode::Off => 0,
                };
                plan.max_tokens = max_tokens(request, target, room);
                plan.config = Some(ThinkingConfig::Adaptive { display });
            }
        }
        plan
    }
}

fn display_of(thinking: &Thinking) -> Option<&'static str> {
    thinking.is_shown.map(|is_shown| if is_shown { "summarized" } else { "omitted" })
}

/// The effort to be told. A budget becomes one where no budget can be said.
fn effort_of(mode: ThinkingMode, claude: ClaudeRules, losses: &mut Losses) -> Option<&'static str> {
    let effort = match mode {
        ThinkingMode::Effort(effort) if claude.is_adaptive => effort,
        ThinkingMode::Budget(tokens) if !claude.has_budget => {
            losses.note("thinking");
            Effort::of_budget(tokens)
        }
        _ => return None,
    };
    let said = match effort {
        Effort::Minimal => Effort::Low,
        Effort::XHigh if !claude.has_xhigh => Effort::High,
        effort => effort,
    };
    losses.note_if(said != effort, "thinking");
    Some(said.as_str())
}

/// The budget to be told, for whoever cannot be told anything else, or was asked for one.
fn budget_of(mode: ThinkingMode, claude: ClaudeRules) -> Option<u64> {
    match mode {
        ThinkingMode::Budget(tokens) if claude.has_budget => Some(tokens),
        ThinkingMode::Effort(effort) if !claude.is_adaptive => Some(effort.budget()),
        ThinkingMode::Adaptive if !claude.is_adaptive => Some(Effort::Medium.budget()),
        _ => None,
    }
}

/// The limit of the whole output; `room` is what thoughts may take of it when none was asked for.
fn max_tokens(request: &Request, target: &Target<'_>, room: u64) -> u64 {
    let usual = || target.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS.saturating_add(room));
    let wanted = request.max_output_tokens.unwrap_or_else(usual);
    wanted.min(target.max_output_tokens.unwrap_or(u64::MAX))
}

/// A budget and a limit that fit together. The limit counts thoughts too: where it was asked for, the
/// budget gives way, and only a limit that leaves no room for the smallest budget is raised.
fn fit(budget: u64, request: &Request, target: &Target<'_>) -> (u64, u64) {
    let budget = budget.max(MIN_BUDGET);
    let limit = max_tokens(request, target, budget);
    if budget < limit {
        return (budget, limit);
    }
    if limit <= MIN_BUDGET {
        return (MIN_BUDGET, limit.max(1).saturating_add(MIN_BUDGET));
    }
    ((limit / 4 * 3).max(MIN_BUDGET), limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelName;

    const FREE: Hindrances = Hindrances { is_forced: false, is_within_thoughtless_tool_use: false };

    fn plan_for(
        model: &str,
        mode: ThinkingMode,
        asked: Option<u64>,
        known: Option<u64>,
        hindrances: Hindrances,
    ) -> (ThinkingPlan, String) {
        let model = ModelName::parse(model).unwrap();
        let mut request = Request::new(model.clone(), Vec::new());
        request.max_output_tokens = asked;
        request.thinking = Some(Thinking { mode: Some(mode), ..Thinking::default() });
        let target = Target { model: &model, max_output_tokens: known, asks_stream_usage: false };
        let claude = ClaudeRules::of(model.as_str());
        let mut losses = Losses::default();
        let plan = ThinkingPlan::make(&request, &target, claude, hindrances, &mut losses);
        (plan, losses.to_string())
    }

    fn enabled(budget_tokens: u64) -> ThinkingConfig {
        ThinkingConfig::Enabled { budget_tokens, display: None }
    }

    #[test]
    fn a_budget_always_fits_between_its_least_and_the_limit() {
        for (budget, asked, known, expected) in [
            (2_000, Some(4_000), None, (2_000, 4_000, "lossless")),
            (500, Some(4_000), None, (1_024, 4_000, "thinking")),
            (8_000, Some(4_000), None, (3_000, 4_000, "thinking")),
            (8_000, Some(1_200), None, (1_024, 1_200, "thinking")),
            (8_000, Some(100), None, (1_024, 1_124, "thinking")),
            (8_000, Some(0), None, (1_024, 1_025, "thinking")),
            (20_000, None, None, (20_000, 28_192, "lossless")),
            (20_000, None, Some(64_000), (20_000, 64_000, "lossless")),
            (20_000, None, Some(16_000), (12_000, 16_000, "thinking")),
            (4_000, Some(90_000), Some(16_000), (4_000, 16_000, "lossless")),
            (u64::MAX, None, None, (u64::MAX / 4 * 3, u64::MAX, "thinking")),
        ] {
            let mode = ThinkingMode::Budget(budget);
            let (plan, losses) = plan_for("m", mode, asked, known, FREE);
            assert_eq!(plan.config, Some(enabled(expected.0)), "{budget} {asked:?} {known:?}");
            assert_eq!((plan.max_tokens, &*losses), (expected.1, expected.2));
            assert!(expected.0 < expected.1);
        }
    }

    #[test]
    fn each_generation_is_told_the_nearest_it_understands() {
        let adaptive = Some(ThinkingConfig::Adaptive { display: None });
        let high = ThinkingMode::Effort(Effort::High);
        for (model, mode, config, effort, losses) in [
            ("m", high, adaptive, Some("high"), "lossless"),
            ("m", ThinkingMode::Adaptive, adaptive, None, "lossless"),
            ("m", ThinkingMode::Off, Some(ThinkingConfig::Disabled), None, "lossless"),
            ("m", ThinkingMode::Effort(Effort::Minimal), adaptive, Some("low"), "thinking"),
            ("claude-opus-4-8", ThinkingMode::Budget(16_000), adaptive, Some("high"), "thinking"),
            (
                "claude-opus-4-6",
                ThinkingMode::Effort(Effort::XHigh),
                adaptive,
                Some("high"),
                "thinking",
            ),
            (
                "claude-opus-4-8",
                ThinkingMode::Effort(Effort::XHigh),
                adaptive,
                Some("xhigh"),
                "lossless",
            ),
            ("claude-sonnet-4-5", high, Some(enabled(16_384)), None, "lossless"),
            ("claude-sonnet-4-5", ThinkingMode::Adaptive, Some(enabled(8_192)), None, "thinking"),
        ] {
            let (plan, lost) = plan_for(model, mode, Some(32_000), None, FREE);
            assert_eq!(
                (plan.config, plan.effort, &*lost),
                (config, effort, losses),
                "{model} {mode:?}"
            );
        }
    }

    #[test]
    fn thinking_gives_way_to_what_cannot_be_asked_for_beside_it() {
        let forced = Hindrances { is_forced: true, ..FREE };
        let mode = ThinkingMode::Effort(Effort::High);
        let (plan, losses) = plan_for("m", mode, None, None, forced);
        assert_eq!((plan.config, plan.effort, &*losses), (None, Some("high"), "thinking"));
        let thoughtless = Hindrances { is_within_thoughtless_tool_use: true, ..FREE };
        let (plan, _) = plan_for("m", ThinkingMode::Budget(2_000), None, None, thoughtless);
        assert_eq!((plan.config, plan.max_tokens), (None, 8_192));
        let (plan, losses) = plan_for("m", ThinkingMode::Adaptive, None, None, thoughtless);
        assert!(plan.thinks() && losses == "lossless");
    }
}
