//! The lines a client is shown, in the shape of the API it has called.

use serde::Serialize;

use super::OllamaApi;
use crate::{
    domain::time::Timestamp,
    gateway::dialect::ollama::{ChatLine, End, GenerateLine, Logprob, ShownMessage, ToolCall},
};

/// What one line says.
#[derive(Debug, Default)]
pub(super) struct Says<'a> {
    pub text: &'a str,
    pub thinking: &'a str,
    pub images: &'a [&'a str],
    pub calls: &'a [ToolCall<'a>],
    pub logprobs: &'a [Logprob],
}

/// What all lines of one answer have in common.
pub(super) struct Lines {
    api: OllamaApi,
    model: String,
    created_at: String,
}

impl Lines {
    pub fn new(api: OllamaApi, model: &str, created: Timestamp) -> Self {
        Self { api, model: model.to_owned(), created_at: created.to_string() }
    }

    /// From here on, another model answers than was thought.
    pub fn set_model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
    }

    /// A line of its own, without its end.
    pub fn one(&self, says: &Says<'_>, end: Option<End<'_>>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + says.text.len() + says.thinking.len());
        self.write(says, end, &mut out);
        out
    }

    pub fn add(&self, says: &Says<'_>, end: Option<End<'_>>, out: &mut Vec<u8>) {
        self.write(says, end, out);
        out.push(b'\n');
    }

    fn write(&self, says: &Says<'_>, end: Option<End<'_>>, out: &mut Vec<u8>) {
        let (model, created_at) = (&self.model, &self.created_at);
        let done = end.is_some();
        let Says { text, thinking, images, calls: tool_calls, logprobs } = *says;
        match self.api {
            OllamaApi::Chat => {
                let message =
                    ShownMessage { role: "assistant", content: text, thinking, images, tool_calls };
                json(&ChatLine { model, created_at, message, done, logprobs, end }, out);
            }
            OllamaApi::Generate => {
                let response = text;
                json(
                    &GenerateLine {
                        model,
                        created_at,
                        response,
                        thinking,
                        tool_calls,
                        done,
                        logprobs,
                        end,
                    },
                    out,
                );
            }
        }
    }
}

fn json(line: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, line).expect("its keys are texts, and a vector takes any bytes");
}
