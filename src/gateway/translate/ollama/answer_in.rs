//! An upstream's whole answer, and what one line of a stream has in common with it.

use super::images;
use crate::{
    domain::{
        chat::{
            Answer, CallKind, Choice, Content, Losses, Part, Reasoning, StopReason, TokenLogprob,
            ToolCall, TopLogprob, Usage,
        },
        failure::{Failure, FailureClass},
        usage::TokenUsage,
    },
    gateway::{
        dialect::{
            ollama::{AnswerLine, Logprob, SaidCall, Words},
            openai_chat::ErrorObject,
            unread,
        },
        failure::classify,
    },
};

/// What stands for the log probability of what is all but impossible, as OpenAI writes it.
const IMPOSSIBLE: f64 = -9_999.0;

pub(super) fn read(body: &[u8]) -> Result<Answer, Failure> {
    let unusable =
        |what: &str| Failure { status: Some(200), ..Failure::new(FailureClass::Server, what) };
    let text = std::str::from_utf8(body).map_err(|_| unusable("the answer is not UTF-8"))?;
    let (line, unread) = unread::from_str::<AnswerLine<'_>>(text)
        .map_err(|_| unusable("the answer is not a JSON object of the expected shape"))?;
    if let Some(failure) = failure_of(&line, body) {
        return Err(failure);
    }
    let Some(message) = line.message else {
        return Err(unusable("the answer has no message"));
    };
    if line.done == Some(false) {
        return Err(unusable("the answer is not complete"));
    }
    let mut losses = Losses::default();
    let has_unread = unread.is_text(&mut losses);
    let mut parts = Vec::new();
    if let Some(text) = message.thinking.filter(|text| !text.0.is_empty()) {
        let text = text.0.into_owned();
        parts.push(Content::Reasoning(Reasoning { text, ..Reasoning::default() }).into());
    }
    if let Some(text) = message.content.filter(|text| !text.0.is_empty()) {
        parts.push(Part::text(text.0));
    }
    for image in message.images.unwrap_or_default() {
        match images::of_base64(&image.0) {
            Some(part) => parts.push(part),
            None => losses.note("image"),
        }
    }
    let calls = message.tool_calls.unwrap_or_default();
    let has_calls = !calls.is_empty();
    for call in &calls {
        parts.push(Content::ToolCall(whole_call(call)).into());
    }
    let reason = line.done_reason.as_deref();
    let choice = Choice {
        parts,
        stop: stop_reason(reason, has_calls),
        logprobs: line.logprobs.map(read_logprobs),
    };
    Ok(Answer {
        id: None,
        model: line.model.map(|model| model.0.into_owned()),
        choices: vec![choice],
        usage: usage_of(line.prompt_eval_count, line.eval_count),
        service_tier: None,
        losses,
        has_unread,
    })
}

/// The failure that the error of an answer or a line stands for.
pub(super) fn failure_of(line: &AnswerLine<'_>, data: &[u8]) -> Option<Failure> {
    let error = line.error?;
    if matches!(error.get(), "null" | "\"\"" | "{}" | "false") {
        return None;
    }
    Some(classify(200, ErrorObject::parse(data)))
}

fn whole_call(call: &SaidCall<'_>) -> ToolCall {
    let text = |words: &Option<Words<'_>>| {
        words.as_ref().map(|words| words.0.as_ref().to_owned()).unwrap_or_default()
    };
    ToolCall {
        id: text(&call.id),
        name: text(&call.function.name),
        kind: CallKind::Function,
        input: input_of(call),
        signature: None,
    }
}

/// The input of a call as text: the object as it was written, or the text that holds it.
pub(super) fn input_of(call: &SaidCall<'_>) -> String {
    let Some(raw) = call.function.arguments else { return "{}".to_owned() };
    if raw.get().starts_with('"') {
        return serde_json::from_str(raw.get()).unwrap_or_default();
    }
    if raw.get() == "null" { "{}".to_owned() } else { raw.get().to_owned() }
}

/// The server says `stop` also where the model has called tools.
pub(super) fn stop_reason(word: Option<&str>, has_calls: bool) -> StopReason {
    match word {
        None | Some("stop" | "" | "tool_calls") => {
            if has_calls {
                StopReason::ToolCalls
            } else {
                StopReason::Finished
            }
        }
        Some("length") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::Filtered,
        Some(other) => StopReason::Other(other.to_owned()),
    }
}

/// What of a cache was used is not told. Nor is a count of zero.
pub(super) fn usage_of(prompt: Option<u64>, generated: Option<u64>) -> Option<Usage> {
    if prompt.is_none() && generated.is_none() {
        return None;
    }
    let tokens = TokenUsage {
        input: prompt.unwrap_or(0),
        output: generated.unwrap_or(0),
        ..TokenUsage::default()
    };
    Some(Usage { tokens, ..Usage::default() })
}

pub(super) fn read_logprobs(list: Vec<Logprob>) -> Vec<TokenLogprob> {
    list.into_iter()
        .map(|token| TokenLogprob {
            token: token.token,
            logprob: token.logprob.unwrap_or(IMPOSSIBLE),
            bytes: token.bytes,
            top: token
                .top_logprobs
                .unwrap_or_default()
                .into_iter()
                .map(|top| TopLogprob {
                    token: top.token,
                    logprob: top.logprob.unwrap_or(IMPOSSIBLE),
                    bytes: top.bytes,
                })
                .collect(),
        })
        .collect()
}
