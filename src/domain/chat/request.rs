//! What a client asks for.

use std::collections::BTreeMap;

use super::{Json, Losses, Namespaced, Part, Thinking, Tool, ToolChoice, Turn};
use crate::domain::id::ModelName;

/// A request for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub model: ModelName,
    pub stream: bool,
    /// In order, instructions among them.
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    /// Which of the functions stand in a namespace for the client, by their names here.
    pub namespaces: BTreeMap<String, Namespaced>,
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once.
    pub parallel_tool_calls: Option<bool>,
    pub output: OutputFormat,
    /// Most tokens to generate, thoughts included.
    pub max_output_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    pub sampling: Sampling,
    /// Whether to tell log probabilities, and of how many other tokens (0 to 20).
    pub logprobs: Option<u8>,
    /// How many answers; 1 where absent.
    pub choices: Option<u32>,
    pub thinking: Option<Thinking>,
    /// The answer it continues, by the client's name of it. What was said before is among the turns.
    pub continues: Option<String>,
    /// The client's own notes on the request.
    pub metadata: BTreeMap<String, String>,
    /// Who it is for, as an opaque name.
    pub user: Option<String>,
    pub service_tier: Option<String>,
    /// Whether the upstream may keep it.
    pub store: Option<bool>,
    /// What requests with one beginning have in common, for an upstream's cache.
    pub cache_key: Option<String>,
    /// How long to talk (`low`, `medium`, `high`).
    pub verbosity: Option<String>,
    /// What the answer's own stream is to tell beside it, where the dialect leaves a choice.
    pub wants_stream_usage: bool,
    /// Whether a call is to be shown as Chat Completions did before it had `tool_calls`: its client
    /// has sent `functions`, and knows no other.
    pub wants_function_call: bool,
    /// What the reader met and could not put into this form.
    pub losses: Losses,
}

impl Request {
    /// A request that says nothing but this.
    pub fn new(model: ModelName, turns: Vec<Turn>) -> Self {
        Self {
            model,
            stream: false,
            turns,
            tools: Vec::new(),
            namespaces: BTreeMap::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            output: OutputFormat::Text,
            max_output_tokens: None,
            stop: Vec::new(),
            sampling: Sampling::default(),
            logprobs: None,
            choices: None,
            thinking: None,
            continues: None,
            metadata: BTreeMap::new(),
            user: None,
            service_tier: None,
            store: None,
            cache_key: None,
            verbosity: None,
            wants_stream_usage: false,
            wants_function_call: false,
            losses: Losses::default(),
        }
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.turns.iter().flat_map(|turn| &turn.parts)
    }
}

/// What the answer must look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OutputFormat {
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema { name: Option<String>, description: Option<String>, schema: Json, strict: Option<bool> },
}

/// How the next token is drawn. Ranges are the upstream's to check.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub repeat_penalty: Option<f64>,
    pub seed: Option<i64>,
}
