//! How much to think: a budget or a level, as the model has it.
//!
//! Source: <https://ai.google.dev/gemini-api/docs/thinking> (read 2026-11).

use super::fields::{self, Fields, wrong};
use crate::{
    domain::{
        chat::{Effort, Losses, Thinking, ThinkingMode},
        model_rules::{GeminiRules, ThinkingControl},
    },
    gateway::{dialect::gemini::WrittenThinking, translate::InvalidRequest},
};

pub(super) fn read(
    mut fields: Fields<'_>,
    losses: &mut Losses,
) -> Result<Option<Thinking>, InvalidRequest> {
    let level = fields.text("thinkingLevel")?;
    let budget = fields.whole("thinkingBudget")?;
    let is_shown = fields.flag("includeThoughts")?;
    let mode = match (level, budget) {
        (Some(level), _) if !level.eq_ignore_ascii_case("THINKING_LEVEL_UNSPECIFIED") => {
            let effort = Effort::parse(&level.to_ascii_lowercase()).ok_or_else(|| {
                wrong(fields.path_of("thinkingLevel"), "one of MINIMAL, LOW, MEDIUM, HIGH")
            })?;
            Some(ThinkingMode::Effort(effort))
        }
        (_, None) => None,
        (_, Some(-1)) => Some(ThinkingMode::Adaptive),
        (_, Some(0)) => Some(ThinkingMode::Off),
        (_, Some(tokens)) => match u64::try_from(tokens) {
            Ok(tokens) => Some(ThinkingMode::Budget(tokens)),
            Err(_) => return Err(wrong(fields.path_of("thinkingBudget"), "-1 or more")),
        },
    };
    fields::note_rest(fields, losses);
    let thinking = Thinking { mode, is_shown, summary: None };
    Ok((thinking != Thinking::default()).then_some(thinking))
}

/// The nearest that the model can be told. What it changes is a loss.
pub(super) fn write(
    thinking: &Thinking,
    model: &GeminiRules,
    losses: &mut Losses,
) -> Option<WrittenThinking> {
    losses.note_if(thinking.summary.as_deref().is_some_and(|style| style != "auto"), "thinking");
    let mut written = match &model.thinking {
        ThinkingControl::None => {
            losses.note_if(!matches!(thinking.mode, None | Some(ThinkingMode::Off)), "thinking");
            return None;
        }
        ThinkingControl::Level { has_minimal, has_medium } => {
            level(thinking.mode, *has_minimal, *has_medium, losses)
        }
        ThinkingControl::Budget { range, can_be_off } => {
            let (budget, is_exact) = match thinking.mode {
                None => (None, true),
                Some(ThinkingMode::Off) if *can_be_off => (Some(0), true),
                Some(ThinkingMode::Off) => (i64::try_from(*range.start()).ok(), false),
                Some(ThinkingMode::Adaptive) => (Some(-1), true),
                Some(ThinkingMode::Effort(effort)) => within(effort.budget(), range),
                Some(ThinkingMode::Budget(tokens)) => within(tokens, range),
            };
            losses.note_if(!is_exact, "thinking");
            WrittenThinking { thinking_budget: budget, ..WrittenThinking::default() }
        }
    };
    written.include_thoughts = thinking.is_shown;
    (written != WrittenThinking::default()).then_some(written)
}

fn within(tokens: u64, range: &std::ops::RangeInclusive<u64>) -> (Option<i64>, bool) {
    let nearest = tokens.clamp(*range.start(), *range.end());
    (i64::try_from(nearest).ok(), nearest == tokens)
}

fn level(
    mode: Option<ThinkingMode>,
    has_minimal: bool,
    has_medium: bool,
    losses: &mut Losses,
) -> WrittenThinking {
    let least = if has_minimal { "minimal" } else { "low" };
    let (level, is_exact) = match mode {
        // What is usual there is as the model sees fit.
        None | Some(ThinkingMode::Adaptive) => (None, true),
        Some(ThinkingMode::Off) => (Some(least), false),
        Some(ThinkingMode::Effort(effort)) => {
            let (level, is_exact) = level_of(effort, has_minimal, has_medium);
            (Some(level), is_exact)
        }
        Some(ThinkingMode::Budget(tokens)) => {
            let effort = Effort::of_budget(tokens);
            let (level, is_exact) = level_of(effort, has_minimal, has_medium);
            (Some(level), is_exact && effort.budget() == tokens)
        }
    };
    losses.note_if(!is_exact, "thinking");
    WrittenThinking { thinking_level: level, ..WrittenThinking::default() }
}

fn level_of(effort: Effort, has_minimal: bool, has_medium: bool) -> (&'static str, bool) {
    match effort {
        Effort::Minimal if has_minimal => ("minimal", true),
        Effort::Minimal => ("low", false),
        Effort::Low => ("low", true),
        Effort::Medium if has_medium => ("medium", true),
        Effort::High => ("high", true),
        Effort::Medium | Effort::XHigh | Effort::Max => ("high", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mode: ThinkingMode, model: &str) -> (Option<i64>, Option<&'static str>, String) {
        let thinking = Thinking { mode: Some(mode), is_shown: None, summary: None };
        let mut losses = Losses::default();
        let written = write(&thinking, &GeminiRules::of(model), &mut losses).unwrap_or_default();
        (written.thinking_budget, written.thinking_level, losses.to_string())
    }

    #[test]
    fn gemini_3_has_levels() {
        use ThinkingMode::{Adaptive, Budget, Effort as By, Off};
        let flash = |mode| written(mode, "gemini-3-flash-preview");
        assert_eq!(flash(By(Effort::Medium)), (None, Some("medium"), "lossless".into()));
        assert_eq!(flash(By(Effort::Max)), (None, Some("high"), "thinking".into()));
        assert_eq!(flash(Budget(2_048)), (None, Some("low"), "lossless".into()));
        assert_eq!(flash(Budget(2_049)), (None, Some("medium"), "thinking".into()));
        assert_eq!(flash(Off), (None, Some("minimal"), "thinking".into()));
        assert_eq!(flash(Adaptive), (None, None, "lossless".into()));
        let pro = |mode| written(mode, "gemini-3-pro-preview");
        assert_eq!(pro(By(Effort::Medium)), (None, Some("high"), "thinking".into()));
        assert_eq!(pro(Off), (None, Some("low"), "thinking".into()));
    }

    #[test]
    fn gemini_2_5_has_budgets() {
        use ThinkingMode::{Adaptive, Budget, Effort as By, Off};
        let flash = |mode| written(mode, "gemini-2.5-flash");
        assert_eq!(flash(By(Effort::High)), (Some(16_384), None, "lossless".into()));
        assert_eq!(flash(By(Effort::Max)), (Some(24_576), None, "thinking".into()));
        assert_eq!(flash(Budget(5)), (Some(5), None, "lossless".into()));
        assert_eq!(flash(Off), (Some(0), None, "lossless".into()));
        assert_eq!(flash(Adaptive), (Some(-1), None, "lossless".into()));
        let pro = |mode| written(mode, "gemini-2.5-pro");
        assert_eq!(pro(Off), (Some(128), None, "thinking".into()));
        assert_eq!(written(By(Effort::Low), "gemini-2.0-flash"), (None, None, "thinking".into()));
        let huge = written(Budget(u64::MAX), "other");
        assert_eq!(huge, (Some(1_048_576), None, "thinking".into()));
    }
}
