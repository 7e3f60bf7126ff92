//! Why an answer ends: `stop_reason`, and what stands beside it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::chat::{Losses, StopReason},
    gateway::dialect::messages::MessageDelta,
};

/// Source: <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>
/// (read 2026-11).
pub(super) fn read(word: &str, sequence: Option<&str>) -> StopReason {
    match word {
        "end_turn" => StopReason::Finished,
        "stop_sequence" => StopReason::StopText(sequence.map(Into::into)),
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::WindowFull,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Refused,
        "pause_turn" => StopReason::Paused,
        other => StopReason::Other(other.to_owned()),
    }
}

/// What is told of a refusal: words for people.
pub(super) fn explanation(details: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Details {
        explanation: Option<String>,
    }

    let details: Details = serde_json::from_str(details.get()).ok()?;
    details.explanation.filter(|text| !text.is_empty())
}

/// `has_calls`: clients look for calls only where the answer says that it ends in some.
pub(super) fn write<'a>(
    reason: &'a StopReason,
    has_calls: bool,
    has_refusal: bool,
    losses: &mut Losses,
) -> MessageDelta<'a> {
    let word = match reason {
        StopReason::Finished | StopReason::Other(_) if has_refusal => "refusal",
        StopReason::Finished if has_calls => "tool_use",
        StopReason::Finished => "end_turn",
        StopReason::StopText(_) => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::WindowFull => "model_context_window_exceeded",
        StopReason::ToolCalls => "tool_use",
        StopReason::Filtered | StopReason::Refused => "refusal",
        StopReason::Paused => "pause_turn",
        StopReason::Other(_) => {
            losses.note("stop_reason");
            if has_calls { "tool_use" } else { "end_turn" }
        }
    };
    let stop_sequence = match reason {
        StopReason::StopText(text) => text.as_deref(),
        _ => None,
    };
    MessageDelta { stop_reason: Some(word), stop_sequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_reason_reads_back() {
        for word in [
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
        ] {
            let mut losses = Losses::default();
            let reason = read(word, Some("END"));
            let end = write(&reason, false, false, &mut losses);
            assert_eq!(end.stop_reason, Some(word));
            assert_eq!(end.stop_sequence.is_some(), word == "stop_sequence");
            assert!(losses.is_empty());
        }
    }

    #[test]
    fn what_has_no_word_ends_the_turn_and_is_a_loss() {
        let mut losses = Losses::default();
        let other = StopReason::Other("compaction".into());
        assert_eq!(write(&other, false, false, &mut losses).stop_reason, Some("end_turn"));
        assert_eq!(losses.to_string(), "stop_reason");
        let finished = StopReason::Finished;
        assert_eq!(write(&finished, true, false, &mut losses).stop_reason, Some("tool_use"));
        assert_eq!(write(&finished, false, true, &mut losses).stop_reason, Some("refusal"));
    }
}
