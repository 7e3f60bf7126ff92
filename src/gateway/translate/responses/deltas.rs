//! Parts that came all at once, said as the deltas of a stream.

use std::borrow::Cow;

use super::output_in::Output;
use crate::domain::chat::{Content, Delta, Part};

/// Hands on what an item is made of. `calls` counts the calls up to now.
pub(super) fn say(output: Output, calls: &mut u32, sink: &mut dyn FnMut(Delta<'_>)) {
    for part in output.parts {
        say_part(part, calls, sink);
        sink(Delta::Break { choice: 0 });
    }
    if !output.logprobs.is_empty() {
        sink(Delta::Logprobs { choice: 0, tokens: output.logprobs });
    }
}

fn say_part(part: Part, calls: &mut u32, sink: &mut dyn FnMut(Delta<'_>)) {
    let choice = 0;
    match part.content {
        Content::Text { text, citations } => {
            sink(Delta::Text { choice, text: Cow::Owned(text) });
            for citation in citations {
                sink(Delta::Citation { choice, citation: Box::new(citation) });
            }
        }
        Content::Refusal(text) => sink(Delta::Refusal { choice, text: Cow::Owned(text) }),
        Content::Reasoning(thought) => {
            let is_summary = thought.is_summary;
            if let Some(id) = thought.id {
                sink(Delta::ReasoningBegin { choice, id: Cow::Owned(id) });
            }
            if !thought.text.is_empty() {
                sink(Delta::Reasoning { choice, text: Cow::Owned(thought.text), is_summary });
            }
            if let Some(signature) = thought.signature {
                sink(Delta::ReasoningSignature {
                    choice,
                    signature,
                    is_redacted: thought.is_redacted,
                });
            }
        }
        Content::ToolCall(call) => {
            let number = *calls;
            *calls = calls.saturating_add(1);
            let (id, name) = (Cow::Owned(call.id), Cow::Owned(call.name));
            let (kind, signature) = (call.kind, call.signature);
            sink(Delta::CallBegin { choice, number, id, name, kind, signature });
            if !call.input.is_empty() {
                sink(Delta::CallInput { choice, number, text: Cow::Owned(call.input) });
            }
        }
        content => sink(Delta::Whole { choice, part: Box::new(content.into()) }),
    }
}
