//! How much memory a piece of an answer takes, roughly.

use super::{
    Citation, Content, Delta, Part, Reasoning, ReasoningSignature, Source, StopReason,
    TokenLogprob, ToolCall, ToolResult,
};

/// What a value in a list costs beside its texts, in bytes.
pub(super) const EACH: usize = 128;

/// Bytes that a delta adds to an answer, beside [`EACH`] for a part that it begins.
pub fn memory_size(delta: &Delta<'_>) -> usize {
    match delta {
        Delta::Begin { id, model } => {
            [id, model].into_iter().flatten().map(|text| text.len()).sum()
        }
        Delta::Tier(text)
        | Delta::ReasoningBegin { id: text, .. }
        | Delta::Text { text, .. }
        | Delta::Reasoning { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::CallInput { text, .. } => text.len(),
        Delta::ReasoningSignature { signature, .. } => of_signature(Some(signature)),
        Delta::CallBegin { id, name, signature, .. } => {
            id.len() + name.len() + of_signature(signature.as_ref())
        }
        Delta::Citation { citation, .. } => of_citation(citation),
        Delta::Whole { part, .. } => of_part(part),
        Delta::Logprobs { tokens, .. } => tokens.iter().map(of_logprob).sum(),
        Delta::Stop {
            reason: StopReason::StopText(Some(text)) | StopReason::Other(text), ..
        } => text.len(),
        Delta::Stop { .. } | Delta::Break { .. } | Delta::Usage(_) => 0,
    }
}

fn of_part(part: &Part) -> usize {
    match &part.content {
        Content::Text { text, citations } => {
            text.len() + citations.iter().map(of_citation).sum::<usize>()
        }
        Content::Refusal(text) => text.len(),
        Content::Image { source, .. } | Content::Audio(source) | Content::Video(source) => {
            of_source(source)
        }
        Content::Document(document) => {
            let texts = [&document.title, &document.context];
            of_source(&document.source) + of_texts(&texts)
        }
        Content::ToolCall(ToolCall { id, name, input, signature, kind: _ }) => {
            id.len() + name.len() + input.len() + of_signature(signature.as_ref())
        }
        Content::ToolResult(ToolResult { call_id, name, parts, .. }) => {
            let parts: usize = parts.iter().map(|part| EACH + of_part(part)).sum();
            call_id.len() + of_texts(&[name]) + parts
        }
        Content::Reasoning(Reasoning { text, signature, id, .. }) => {
            text.len() + of_signature(signature.as_ref()) + of_texts(&[id])
        }
        Content::Opaque { by: _, kind, json } => kind.len() + json.as_str().len(),
    }
}

fn of_texts(texts: &[&Option<String>]) -> usize {
    texts.iter().copied().flatten().map(String::len).sum()
}

fn of_signature(signature: Option<&ReasoningSignature>) -> usize {
    signature.map_or(0, |signature| signature.data.len())
}

fn of_citation(citation: &Citation) -> usize {
    let Citation { url, title, cited_text, place: _, original } = citation;
    let original = original.as_ref().map_or(0, |(_, json)| json.as_str().len());
    EACH + of_texts(&[url, title, cited_text]) + original
}

fn of_source(source: &Source) -> usize {
    match source {
        Source::Url(text) | Source::Text(text) | Source::File { by: _, id: text } => text.len(),
        Source::Data { media_type, base64 } => media_type.len() + base64.len(),
    }
}

fn of_logprob(told: &TokenLogprob) -> usize {
    let of_one = |token: &str, bytes: &Option<Vec<u8>>| {
        EACH + token.len() + bytes.as_ref().map_or(0, Vec::len)
    };
    let top: usize = told.top.iter().map(|other| of_one(&other.token, &other.bytes)).sum();
    of_one(&told.token, &told.bytes) + top
}
