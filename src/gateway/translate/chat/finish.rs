//! Why an answer ends, in the words of Chat Completions and of those who speak it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    domain::chat::{Losses, StopReason},
    gateway::{dialect::openai_chat::text_of, translate::OutputKinds},
};

/// Reads a finish reason that is no [`AbnormalFinish`](crate::gateway::failure::AbnormalFinish).
/// `stop_texts` are the fields that may name the text that ended it.
///
/// OpenAI says `stop` also when it was made to call a certain tool, and when the model has refused.
/// Words of others, read 2026-11: <https://docs.mistral.ai/api>, <https://docs.z.ai/api-reference>,
/// <https://api-docs.deepseek.com/api/create-chat-completion>.
pub(super) fn read(
    word: &str,
    said: OutputKinds,
    stop_texts: [Option<&RawValue>; 2],
) -> StopReason {
    match word {
        "stop" | "" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => {
            let stop_text = || {
                let raw = stop_texts.into_iter().flatten();
                raw.filter_map(|raw| text_of(raw.get())).find(|text| !text.is_empty())
            };
            if said.calls {
                StopReason::ToolCalls
            } else if said.refusal {
                StopReason::Refused
            } else if let Some(text) = stop_text() {
                StopReason::StopText(Some(text.into_owned()))
            } else if word == "stop_sequence" {
                StopReason::StopText(None)
            } else {
                StopReason::Finished
            }
        }
        "length" | "max_tokens" => StopReason::MaxTokens,
        "model_length" | "model_context_window_exceeded" => StopReason::WindowFull,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolCalls,
        "content_filter" | "sensitive" => StopReason::Filtered,
        other => StopReason::Other(other.to_owned()),
    }
}

/// Writes a finish reason, and the stop text where there is one. `said`: what was written of the
/// choice.
pub(in crate::gateway::translate) fn write<'a>(
    reason: &'a StopReason,
    said: OutputKinds,
    losses: &mut Losses,
) -> (&'static str, Option<Cow<'a, str>>) {
    let word = match reason {
        StopReason::Finished => "stop",
        StopReason::StopText(text) => return ("stop", text.as_deref().map(Cow::Borrowed)),
        StopReason::MaxTokens => "length",
        StopReason::ToolCalls => "tool_calls",
        // A refusal in words, as OpenAI has it. Without them a client would take it for an answer.
        StopReason::Refused if said.refusal => "stop",
        StopReason::Refused | StopReason::Filtered => "content_filter",
        StopReason::WindowFull => {
            losses.note("stop_reason");
            "length"
        }
        StopReason::Paused | StopReason::Other(_) => {
            losses.note("stop_reason");
            if said.calls { "tool_calls" } else { "stop" }
        }
    };
    (word, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: OutputKinds = OutputKinds { calls: false, refusal: false };

    #[test]
    fn what_is_written_reads_back() {
        let mut losses = Losses::default();
        let refused = OutputKinds { refusal: true, ..NOTHING };
        let called = OutputKinds { calls: true, ..NOTHING };
        for (reason, said) in [
            (StopReason::Finished, NOTHING),
            (StopReason::MaxTokens, NOTHING),
            (StopReason::ToolCalls, called),
            (StopReason::Filtered, NOTHING),
            (StopReason::Refused, refused),
        ] {
            let (word, text) = write(&reason, said, &mut losses);
            assert_eq!((read(word, said, [None, None]), text), (reason.clone(), None));
        }
        assert!(losses.is_empty());
        write(&StopReason::Paused, NOTHING, &mut losses);
        assert_eq!(losses.to_string(), "stop_reason");
    }

    #[test]
    fn a_stop_that_called_a_tool_is_a_call_and_a_stop_text_is_told() {
        let read = |word, said, raw: &str| {
            read(word, said, [None, Some(serde_json::from_str(raw).unwrap())])
        };
        let called = OutputKinds { calls: true, refusal: false };
        assert_eq!(read("stop", called, "null"), StopReason::ToolCalls);
        assert_eq!(read("stop", NOTHING, r#""END""#), StopReason::StopText(Some("END".to_owned())));
        assert_eq!(read("stop", NOTHING, "151645"), StopReason::Finished);
        assert_eq!(read("weird", NOTHING, "null"), StopReason::Other("weird".to_owned()));
    }
}
