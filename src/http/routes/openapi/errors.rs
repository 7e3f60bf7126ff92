//! How errors look in each dialect of the relay. Described alone: who writes them is
//! [`crate::gateway::translate`].

#![expect(dead_code, reason = "these types are described, and never made")]

use utoipa::ToSchema;

/// An error as OpenAI has it.
#[derive(ToSchema)]
pub struct OpenAiError {
    error: OpenAiErrorBody,
}

#[derive(ToSchema)]
struct OpenAiErrorBody {
    message: String,
    #[schema(rename = "type")]
    kind: String,
    /// The parameter at fault.
    #[schema(required)]
    param: Option<String>,
    /// Stable: programs may match on it.
    #[schema(required)]
    code: Option<String>,
}

/// An error as Anthropic has it.
#[derive(ToSchema)]
pub struct AnthropicError {
    /// Always `error`.
    #[schema(rename = "type")]
    kind: String,
    error: AnthropicErrorBody,
}

#[derive(ToSchema)]
struct AnthropicErrorBody {
    #[schema(rename = "type")]
    kind: String,
    message: String,
}

/// An error as Google has it.
#[derive(ToSchema)]
pub struct GoogleError {
    error: GoogleErrorBody,
}

#[derive(ToSchema)]
struct GoogleErrorBody {
    /// The status of HTTP.
    #[schema(minimum = 400, maximum = 599)]
    code: u16,
    message: String,
    /// The word of google.rpc.
    status: String,
    details: Option<Vec<serde_json::Value>>,
}

/// An error as Ollama has it.
#[derive(ToSchema)]
pub struct OllamaError {
    error: String,
}
