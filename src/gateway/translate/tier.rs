//! Tiers of service that answers are given in, in the words of each dialect.

use crate::domain::chat::Losses;

/// Whether it is the one that everybody is in who asks for none. Where there is no place for a tier,
/// this one goes without saying.
fn is_usual(tier: &str) -> bool {
    matches!(tier, "default" | "standard")
}

/// What is lost where there is no place for any.
pub(super) fn note_lost(tier: Option<&str>, losses: &mut Losses) {
    losses.note_if(tier.is_some_and(|tier| !is_usual(tier)), "service_tier");
}

/// In OpenAI's word. Some clients refuse an answer with another maker's.
///
/// Source: `service_tier` in <https://platform.openai.com/docs/api-reference/chat/object> (2026-11).
pub(super) fn for_openai<'a>(tier: &'a str, losses: &mut Losses) -> Option<&'a str> {
    match tier {
        "standard" => Some("default"),
        "batch" => {
            losses.note("service_tier");
            None
        }
        // What those who speak like OpenAI call their own.
        other => Some(other),
    }
}

/// In Anthropic's word.
///
/// Source: <https://platform.claude.com/docs/en/api/service-tiers> (2026-11).
pub(super) fn for_anthropic(tier: &str, losses: &mut Losses) -> Option<&'static str> {
    match tier {
        "standard" | "default" | "standard_only" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => {
            losses.note("service_tier");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_word_is_a_loss_and_the_usual_tier_is_none() {
        let mut losses = Losses::default();
        assert_eq!(for_openai("standard", &mut losses), Some("default"));
        assert_eq!(for_openai("flex", &mut losses), Some("flex"));
        assert_eq!(for_anthropic("default", &mut losses), Some("standard"));
        for usual in [None, Some("default"), Some("standard")] {
            note_lost(usual, &mut losses);
        }
        assert!(losses.is_empty());
        for lose in [
            |losses: &mut Losses| _ = for_openai("batch", losses),
            |losses: &mut Losses| _ = for_anthropic("flex", losses),
            |losses: &mut Losses| note_lost(Some("priority"), losses),
        ] {
            let mut losses = Losses::default();
            lose(&mut losses);
            assert_eq!(losses.to_string(), "service_tier");
        }
    }
}
