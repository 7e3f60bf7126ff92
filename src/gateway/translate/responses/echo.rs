//! What a response object repeats of the request it answers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{thinking, tools_out};
use crate::{
    domain::chat::{Content, Losses, Namespaced, Request, Role, ToolChoice},
    gateway::{
        dialect::responses::{
            IncompleteDetails, ResponseError, ResponseObject, WrittenReasoning, WrittenUsage,
        },
        translate::ResponseContext,
    },
};

/// How a response stands.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    pub status: &'static str,
    pub model: &'a str,
    pub service_tier: Option<&'a str>,
    pub output: Vec<&'a RawValue>,
    pub error: Option<ResponseError<'a>>,
    pub incomplete_details: Option<IncompleteDetails>,
    pub usage: Option<WrittenUsage>,
}

/// The fields of a response that are the same in all of its states.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is the word of another field")]
pub(super) struct Echo {
    id: String,
    created_at: i64,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    parallel_tool_calls: bool,
    previous_response_id: Option<String>,
    prompt_cache_key: Option<String>,
    reasoning: Box<RawValue>,
    store: bool,
    temperature: Option<f64>,
    text: Box<RawValue>,
    tool_choice: Box<RawValue>,
    tools: Box<RawValue>,
    top_logprobs: u8,
    top_p: Option<f64>,
    user: Option<String>,
    metadata: BTreeMap<String, String>,
    /// Whether the client reads its thoughts as a summary, and so sees no others.
    pub wants_summary: bool,
    pub namespaces: BTreeMap<String, Namespaced>,
    pub wants_logprobs: bool,
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts, numbers and raw values are always JSON")
}

impl Echo {
    pub fn of(shown: &ResponseContext<'_>) -> Self {
        let request = shown.request;
        // The client knows what it has asked for; what is lost was lost on the way to the upstream.
        let mut losses = Losses::default();
        let thinking = request.thinking.as_ref();
        let effort = thinking.and_then(|thinking| thinking::said(thinking, &mut losses));
        let summary = thinking.and_then(|thinking| thinking.summary.as_deref());
        let choice = request.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto);
        Self {
            id: format!("resp_{}", shown.id),
            created_at: shown.created.as_millis().div_euclid(1_000),
            instructions: instructions(request),
            max_output_tokens: request.max_output_tokens,
            parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
            previous_response_id: request.continues.clone(),
            prompt_cache_key: request.cache_key.clone(),
            reasoning: raw(&WrittenReasoning { effort, summary }),
            store: request.store.unwrap_or(true),
            temperature: request.sampling.temperature,
            text: raw(&tools_out::text(request)),
            tool_choice: raw(&tools_out::choice(choice, &request.tools)),
            tools: raw(&tools_out::tools(&request.tools, &mut losses)),
            top_logprobs: request.logprobs.unwrap_or(0),
            top_p: request.sampling.top_p,
            user: request.user.clone(),
            metadata: request.metadata.clone(),
            wants_summary: request.thinking.as_ref().is_some_and(|it| it.summary.is_some()),
            namespaces: request.namespaces.clone(),
            wants_logprobs: request.logprobs.is_some(),
        }
    }

    /// Its client knows the response by this name, and of this time.
    pub fn is_of(&mut self, id: Option<String>, created_at: Option<i64>) {
        if let Some(id) = id {
            self.id = id;
        }
        self.created_at = created_at.unwrap_or(self.created_at);
    }

    pub fn response<'a>(&'a self, state: State<'a>) -> ResponseObject<'a> {
        ResponseObject {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status: state.status,
            background: false,
            error: state.error,
            incomplete_details: state.incomplete_details,
            instructions: self.instructions.as_deref(),
            max_output_tokens: self.max_output_tokens,
            max_tool_calls: None,
            model: state.model,
            output: state.output,
            parallel_tool_calls: self.parallel_tool_calls,
            previous_response_id: self.previous_response_id.as_deref(),
            prompt_cache_key: self.prompt_cache_key.as_deref(),
            reasoning: &self.reasoning,
            safety_identifier: self.user.as_deref(),
            service_tier: state.service_tier,
            store: self.store,
            temperature: self.temperature,
            text: &self.text,
            tool_choice: &self.tool_choice,
            tools: &self.tools,
            top_logprobs: self.top_logprobs,
            top_p: self.top_p,
            truncation: "disabled",
            usage: state.usage,
            user: self.user.as_deref(),
            metadata: &self.metadata,
        }
    }
}

/// The turn of the system that leads, where it is one text.
fn instructions(request: &Request) -> Option<String> {
    let first = request.turns.first().filter(|turn| turn.role == Role::System)?;
    match &*first.parts {
        [part] => match &part.content {
            Content::Text { text, .. } => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}
