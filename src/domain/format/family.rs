//! Whose ways a model has, as far as its name tells.

use crate::domain::{id::ModelName, provider::ApiFormat};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    /// OpenAI's models that have no Chat Completions.
    ResponsesOnly,
    Other,
}

impl Family {
    /// Source: <https://platform.openai.com/docs/models> (2026-11): the `codex` and `pro` models list
    /// `v1/responses` alone.
    pub fn of(model: &ModelName) -> Self {
        let name = model.as_str().trim().rsplit('/').next().unwrap_or_default();
        let contains = |word: &str| {
            name.as_bytes()
                .windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        let is_pro = name.starts_with("gpt-5") && contains("-pro");
        if contains("codex") || is_pro {
            Self::ResponsesOnly
        } else if ["claude", "sonnet", "opus", "haiku"].into_iter().any(contains) {
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
