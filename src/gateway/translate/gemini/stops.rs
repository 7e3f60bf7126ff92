//! Why an answer ends, in Google's words.
//!
//! Source: <https://ai.google.dev/api/generate-content#FinishReason> (read 2026-11).

use crate::domain::chat::{Losses, StopReason};

/// Words for an answer that a filter holds back.
const FILTERED: [&str; 11] = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "ESCALATION",
];

/// The word for an answer that goes on.
pub(super) const UNSPECIFIED: &str = "FINISH_REASON_UNSPECIFIED";

/// Reads a finish reason that is no [`AbnormalFinish`](crate::gateway::failure::AbnormalFinish).
/// `has_calls`: whether functions were called, of which Google's word says nothing.
pub(super) fn read(word: &str, has_calls: bool) -> StopReason {
    match word {
        "STOP" if has_calls => StopReason::ToolCalls,
        "STOP" => StopReason::Finished,
        "MAX_TOKENS" => StopReason::MaxTokens,
        word if FILTERED.contains(&word) => StopReason::Filtered,
        word => StopReason::Other(word.to_owned()),
    }
}

pub(super) fn write(reason: &StopReason, losses: &mut Losses) -> &'static str {
    match reason {
        StopReason::Finished | StopReason::ToolCalls | StopReason::StopText(None) => "STOP",
        // That it has ended can be said, and not by which text. `OTHER` would be a failure.
        StopReason::StopText(Some(_)) | StopReason::Paused | StopReason::Other(_) => {
            losses.note("stop_reason");
            "STOP"
        }
        StopReason::MaxTokens => "MAX_TOKENS",
        StopReason::WindowFull => {
            losses.note("stop_reason");
            "MAX_TOKENS"
        }
        StopReason::Filtered => "SAFETY",
        StopReason::Refused => {
            losses.note("stop_reason");
            "SAFETY"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::failure::AbnormalFinish;

    #[test]
    fn googles_words_have_a_reason_and_lead_back_to_a_word() {
        for (word, reason, again) in [
            ("STOP", StopReason::Finished, "STOP"),
            ("MAX_TOKENS", StopReason::MaxTokens, "MAX_TOKENS"),
            ("SAFETY", StopReason::Filtered, "SAFETY"),
            ("SPII", StopReason::Filtered, "SAFETY"),
            ("WEIRD", StopReason::Other("WEIRD".into()), "STOP"),
        ] {
            assert_eq!(read(word, false), reason);
            assert_eq!(write(&reason, &mut Losses::default()), again);
        }
        assert_eq!(read("STOP", true), StopReason::ToolCalls);
        assert_eq!(read("MAX_TOKENS", true), StopReason::MaxTokens);
    }

    #[test]
    fn what_google_has_no_word_for_is_a_loss() {
        for (reason, word) in [
            (StopReason::Paused, "STOP"),
            (StopReason::Other("weird".into()), "STOP"),
            (StopReason::WindowFull, "MAX_TOKENS"),
            (StopReason::Refused, "SAFETY"),
            (StopReason::StopText(Some("END".into())), "STOP"),
        ] {
            let mut losses = Losses::default();
            assert_eq!(write(&reason, &mut losses), word);
            assert_eq!(losses.to_string(), "stop_reason");
            assert_eq!(AbnormalFinish::of_gemini(word), None, "what has ended well has not failed");
        }
    }
}
