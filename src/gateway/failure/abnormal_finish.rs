//! Finish reasons by which an upstream says that its answer has failed, and that what has come is not its end.
//!
//! Messages, Responses and Ollama have none: they tell a failure by an error, or by the status of a response.

use crate::domain::failure::{Failure, FailureClass};

/// A finish reason that is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbnormalFinish {
    word: &'static str,
    class: FailureClass,
}

const fn failed(word: &'static str) -> AbnormalFinish {
    AbnormalFinish { word, class: FailureClass::Server }
}

const fn busy(word: &'static str) -> AbnormalFinish {
    AbnormalFinish { word, class: FailureClass::Overload }
}

/// The words of those who speak Chat Completions. OpenAI itself has none.
///
/// Sources, read 2026-11: `error` of OpenRouter <https://openrouter.ai/docs/api-reference/overview>, Mistral
/// <https://docs.mistral.ai/api> and vLLM
/// <https://github.com/vllm-project/vllm/blob/main/vllm/v1/engine/__init__.py>; `network_error` of Z.ai
/// <https://docs.z.ai/api-reference/llm/chat-completion>; `insufficient_system_resource` of DeepSeek
/// <https://api-docs.deepseek.com/api/create-chat-completion>; `abort` of vLLM
/// <https://github.com/vllm-project/vllm/issues/57082> and SGLang
/// <https://github.com/sgl-project/sglang/pull/6693>; `timeout` and `cancelled` of TensorRT-LLM
/// <https://nvidia.github.io/TensorRT-LLM/llm-api/reference.html>; `malformed_function_call` of LiteLLM
/// <https://github.com/BerriAI/litellm/blob/main/litellm/llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py>.
const CHAT: [AbnormalFinish; 7] = [
    failed("error"),
    failed("network_error"),
    busy("insufficient_system_resource"),
    failed("abort"),
    failed("timeout"),
    failed("cancelled"),
    failed("malformed_function_call"),
];

/// What Google's own Chat Completions say before a word of [`GEMINI`].
///
/// Source: <https://github.com/NousResearch/hermes-agent/pull/83882> (read 2026-11).
const BEFORE_GEMINI: &str = "function_call_filter: ";

/// Google's words. `FINISH_REASON_UNSPECIFIED` is none of them: it says that the answer goes on.
///
/// Source: <https://ai.google.dev/api/generate-content#FinishReason> (read 2026-11).
const GEMINI: [AbnormalFinish; 8] = [
    failed("OTHER"),
    failed("MALFORMED_FUNCTION_CALL"),
    failed("UNEXPECTED_TOOL_CALL"),
    failed("TOO_MANY_TOOL_CALLS"),
    failed("MISSING_THOUGHT_SIGNATURE"),
    failed("MALFORMED_RESPONSE"),
    failed("IMAGE_OTHER"),
    failed("NO_IMAGE"),
];

impl AbnormalFinish {
    /// `None`: the word is one for an end, or nobody knows it.
    pub fn of_chat(word: &str) -> Option<Self> {
        match word.strip_prefix(BEFORE_GEMINI) {
            Some(word) => Self::of_gemini(word),
            None => CHAT.into_iter().find(|finish| finish.word == word),
        }
    }

    /// The same of Google's words.
    pub fn of_gemini(word: &str) -> Option<Self> {
        GEMINI.into_iter().find(|finish| finish.word == word)
    }

    /// The failure that the answer is.
    pub fn failure(self) -> Failure {
        let Self { word, class } = self;
        let detail = format!("the answer ended with finish_reason {word:?}");
        Failure { status: Some(200), ..Failure::new(class, detail) }
    }
}
