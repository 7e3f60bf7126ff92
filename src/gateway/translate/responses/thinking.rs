//! How much to think.

use crate::{
    domain::{
        chat::{Effort, Losses, Thinking, ThinkingMode},
        model_rules::ModelRules,
    },
    gateway::{
        dialect::responses::WrittenReasoning,
        translate::{InvalidRequest, effort::nearest_effort, fields::Fields},
    },
};

/// Reads the field `reasoning`.
pub(super) fn read(
    mut reasoning: Fields<'_>,
    losses: &mut Losses,
) -> Result<Option<Thinking>, InvalidRequest> {
    let mode = match reasoning.text("effort")?.as_deref() {
        None => None,
        Some("none") => Some(ThinkingMode::Off),
        Some(word) => {
            let effort = Effort::parse(word);
            losses.note_if(effort.is_none(), "thinking");
            effort.map(ThinkingMode::Effort)
        }
    };
    let summary = reasoning.text("summary")?;
    // The older name of the same.
    let summary = summary.or(reasoning.text("generate_summary")?);
    reasoning.note_rest("reasoning", losses);
    let is_shown = summary.is_some().then_some(true);
    let thinking = Thinking { mode, is_shown, summary };
    Ok((thinking != Thinking::default()).then_some(thinking))
}

/// The nearest that can be said to a model.
pub(super) fn write<'a>(
    thinking: Option<&'a Thinking>,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<WrittenReasoning<'a>> {
    let thinking = thinking?;
    if rules.never_reasons() {
        let asks = matches!(thinking.mode, Some(ThinkingMode::Effort(_) | ThinkingMode::Budget(_)));
        losses.note_if(asks, "thinking");
        return None;
    }
    let effort = said(thinking, losses).map(|word| nearest_effort(word, rules.efforts(), losses));
    let is_off = thinking.mode == Some(ThinkingMode::Off);
    let wants_words = thinking.is_shown == Some(true) && !is_off;
    let summary = match thinking.summary.as_deref() {
        Some(word @ ("auto" | "concise" | "detailed")) => Some(word),
        _ => wants_words.then_some("auto"),
    };
    (effort.is_some() || summary.is_some()).then_some(WrittenReasoning { effort, summary })
}

/// The word that a client has said. Without one the model does as it sees fit.
pub(super) fn said(thinking: &Thinking, losses: &mut Losses) -> Option<&'static str> {
    match thinking.mode? {
        ThinkingMode::Off => Some("none"),
        ThinkingMode::Effort(effort) => Some(effort.as_str()),
        ThinkingMode::Budget(tokens) => {
            losses.note("thinking");
            Some(Effort::of_budget(tokens).as_str())
        }
        ThinkingMode::Adaptive => None,
    }
}

/// Whether a model thinks when it is told this.
pub(super) fn is_on(thinking: Option<&Thinking>, rules: &ModelRules) -> bool {
    let mode = thinking.and_then(|thinking| thinking.mode);
    let is_off = mode == Some(ThinkingMode::Off);
    if rules.reasons() {
        return !is_off || !rules.efforts().contains(&"none");
    }
    !rules.never_reasons() && thinking.is_some() && !is_off
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelName;

    fn written(mode: ThinkingMode, model: &str) -> (String, String) {
        let rules = ModelRules::of(&ModelName::parse(model).unwrap());
        let thinking = Thinking { mode: Some(mode), ..Thinking::default() };
        let mut losses = Losses::default();
        let effort = write(Some(&thinking), &rules, &mut losses).and_then(|said| said.effort);
        (effort.unwrap_or_default().to_owned(), losses.to_string())
    }

    #[test]
    fn an_effort_is_the_nearest_that_the_model_takes() {
        let said = |mode, model| written(mode, model).0;
        assert_eq!(said(ThinkingMode::Off, "gpt-5.1"), "none");
        assert_eq!(said(ThinkingMode::Off, "gpt-5"), "minimal");
        assert_eq!(said(ThinkingMode::Effort(Effort::Max), "gpt-5.2"), "xhigh");
        assert_eq!(said(ThinkingMode::Effort(Effort::Minimal), "o3"), "low");
        assert_eq!(said(ThinkingMode::Effort(Effort::Max), "some-model"), "max");
        let lossless = written(ThinkingMode::Effort(Effort::High), "gpt-5");
        assert_eq!(lossless, ("high".to_owned(), "lossless".to_owned()));
        let budget = written(ThinkingMode::Budget(8_000), "gpt-5");
        assert_eq!(budget, ("medium".to_owned(), "thinking".to_owned()));
        assert_eq!(written(ThinkingMode::Adaptive, "gpt-5").1, "lossless");
        assert_eq!(
            written(ThinkingMode::Effort(Effort::Low), "gpt-4o"),
            (String::new(), "thinking".to_owned())
        );
    }
}
