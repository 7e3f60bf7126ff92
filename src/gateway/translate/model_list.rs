//! Lists of models in the shapes of all makers.
//!
//! Pure functions: which models there are, and in what order, is the caller's to say.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

pub use self::{
    anthropic::{AnthropicPage, anthropic_list, anthropic_one},
    gemini::{GeminiPage, gemini_list, gemini_one},
    ollama::{OLLAMA_VERSION, ollama_show, ollama_tags, ollama_version},
    openai::{openai_list, openai_one},
};
use crate::domain::{
    model::{Capabilities, ModelKind},
    time::Timestamp,
};

/// What is said of a model. What is absent is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedModel {
    /// What clients ask for.
    pub id: String,
    pub kind: ModelKind,
    pub created: Option<Timestamp>,
    pub owned_by: String,
    pub display_name: Option<String>,
    /// Most tokens it reads and writes in one request.
    pub context: Option<u64>,
    /// Most tokens it can generate.
    pub output: Option<u64>,
    pub capabilities: Option<Capabilities>,
}

impl ListedModel {
    fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.id)
    }

    /// The beginning of time where it is unknown, as Anthropic has it.
    fn created_or_epoch(&self) -> Timestamp {
        self.created.unwrap_or(Timestamp::from_millis(0))
    }
}

fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("its keys are texts")
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::domain::model::Capability;

    pub fn model(id: &str) -> ListedModel {
        ListedModel {
            id: id.into(),
            kind: ModelKind::Chat,
            created: Some(Timestamp::from_millis(1_767_225_600_000)),
            owned_by: "acme".into(),
            display_name: Some(format!("Model {id}")),
            context: Some(200_000),
            output: Some(64_000),
            capabilities: Some(
                Capabilities::NONE
                    .with(Capability::Vision)
                    .with(Capability::Tools)
                    .with(Capability::Thinking),
            ),
        }
    }

    /// A model of which nothing but its name is known.
    pub fn unknown(id: &str) -> ListedModel {
        ListedModel {
            created: None,
            display_name: None,
            context: None,
            output: None,
            capabilities: None,
            ..model(id)
        }
    }

    pub fn json(bytes: &[u8]) -> serde_json::Value {
        serde_json::from_slice(bytes).unwrap()
    }
}
