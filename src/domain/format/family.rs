//! Whose ways a model has, as far as its name tells.

use crate::domain::{
    id::ModelName,
    model_rules::{answers_in_responses_alone, is_claude},
    provider::ApiFormat,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    /// OpenAI's models that have no Chat Completions.
    ResponsesOnly,
    Other,
}

impl Family {
    pub fn of(model: &ModelName) -> Self {
        if answers_in_responses_alone(model.as_str()) {
            Self::ResponsesOnly
        } else if is_claude(model.as_str()) {
            Self::Claude
        } else {
            Self::Other
        }
    }

    /// The API of the model's maker, where that is not the usual one.
    pub fn maker_format(self) -> Option<ApiFormat> {
        match self {
            Self::Claude => Some(ApiFormat::Anthropic),
            Self::ResponsesOnly => Some(ApiFormat::Responses),
            Self::Other => None,
        }
    }
}
