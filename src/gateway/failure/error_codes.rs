//! The words vendors name causes by.

use crate::domain::failure::FailureClass;

/// Words that name a cause by themselves, as vendors write them, whatever field they stand in.
///
/// Sources, read 2026-11: OpenAI <https://community.openai.com/t/298219>,
/// <https://github.com/AnswerDotAI/fastllm/issues/45>;
/// ChatGPT <https://github.com/earendil-works/pi/issues/4172>,
/// <https://github.com/router-for-me/CLIProxyAPI/issues/4854>,
/// <https://github.com/Soju06/codex-lb/issues/1313>; Anthropic
/// <https://docs.claude.com/en/api/errors>; Azure
/// <https://learn.microsoft.com/en-us/answers/questions/5896505>; Google
/// <https://github.com/cequence-io/openai-scala-client/issues/109>,
/// <https://github.com/google-gemini/gemini-cli/issues/29425>; Copilot
/// <https://github.com/microsoft/vscode/issues/279495> and
/// <https://github.com/RooCodeInc/Roo-Code/issues/1694>,
/// <https://github.com/farion1231/cc-switch/issues/1681>; Groq
/// <https://github.com/RightNow-AI/openfang/issues/60>; Mistral
/// <https://github.com/tmc/langchaingo/issues/1233>; llama.cpp
/// <https://github.com/ggml-org/llama.cpp/pull/15780>; Moonshot
/// <https://kimi-ai.chat/docs/api-error-codes>; OAuth RFC 6749 §5.2.
const WORDS: &[(FailureClass, &[&str])] = &[
    (
        FailureClass::ClientFault,
        &[
            "cyber_policy",
            "invalid_prompt",
            "invalid_value",
            "message_too_big",
            "previous_response_not_found",
            "request_too_large",
            "string_above_max_length",
            "unsupported_value",
        ],
    ),
    (
        FailureClass::ContextTooLong,
        &[
            "context_length_exceeded",
            "context_window_exceeded",
            "exceed_context_size_error",
            "model_max_prompt_tokens_exceeded",
        ],
    ),
    (
        FailureClass::Refusal,
        &[
            "content_filter",
            "content_filtered",
            "content_policy_violation",
            "data_inspection_failed",
            "ResponsibleAIPolicyViolation",
        ],
    ),
    (
        FailureClass::Payment,
        &[
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "exceeded_current_quota_error",
            "insufficient_quota",
            "insufficient_user_quota",
            "usage_not_included",
        ],
    ),
    (
        FailureClass::ModelMissing,
        &[
            "DeploymentNotFound",
            "invalid_model",
            "model_decommissioned",
            "model_not_found",
            "model_not_supported",
            "unsupported_api_for_model",
            "unsupported_model",
        ],
    ),
    (
        FailureClass::RateLimit,
        &[
            "QUOTA_EXHAUSTED",
            "RATE_LIMIT_EXCEEDED",
            "RESOURCE_EXHAUSTED",
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limit_reached_error",
            "too_many_requests",
            "usage_limit_reached",
        ],
    ),
    (
        FailureClass::Overload,
        &[
            "UNAVAILABLE",
            "engine_overloaded_error",
            "overloaded_error",
            "server_is_overloaded",
            "service_unavailable_error",
            "slow_down",
        ],
    ),
    (
        FailureClass::Auth,
        &[
            "API_KEY_INVALID",
            "PERMISSION_DENIED",
            "UNAUTHENTICATED",
            "account_deactivated",
            "authentication_error",
            "incorrect_api_key_error",
            "invalid_api_key",
            "invalid_authentication_error",
            "invalid_grant",
            "permission_error",
        ],
    ),
];

/// Words for a limit of the whole account: the windows of a ChatGPT plan.
const ACCOUNT_WIDE: &[&str] = &["usage_limit_reached"];

/// The class a word stands for by itself. A server that says 5xx has failed, whatever it says of the
/// request.
pub(super) fn class_of(word: &str, status: u16) -> Option<FailureClass> {
    let (class, _) = WORDS.iter().find(|(_, words)| words.contains(&word))?;
    (*class != FailureClass::ClientFault || status < 500).then_some(*class)
}

/// The status that a word for a kind of error stands for, which says no more than that.
///
/// Sources, read 2026-11: Anthropic <https://docs.claude.com/en/api/errors>; Google
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>; vLLM
/// <https://github.com/vllm-project/vllm/issues/4667>.
pub(super) fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "BadRequestError"
        | "FAILED_PRECONDITION"
        | "INVALID_ARGUMENT"
        | "OUT_OF_RANGE"
        | "invalid_request_error" => 400,
        "NOT_FOUND" | "NotFoundError" | "not_found_error" => 404,
        _ => return None,
    })
}

/// Whether a word says that a limit is that of the whole account.
pub(super) fn is_account_wide(word: &str) -> bool {
    ACCOUNT_WIDE.contains(&word)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_has_one_class_and_is_a_word() {
        let mut seen = HashSet::new();
        for word in WORDS.iter().flat_map(|(_, words)| *words) {
            assert!(seen.insert(word), "{word} stands there twice");
            assert!(word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{word}");
        }
    }

    #[test]
    fn a_word_counts_whole_and_as_it_is_written() {
        assert_eq!(class_of("model_not_supported", 422), Some(FailureClass::ModelMissing));
        assert_eq!(class_of("model_not_supported_yet", 400), None);
        assert_eq!(class_of("MODEL_NOT_SUPPORTED", 400), None);
        assert_eq!(class_of("", 400), None);
    }

    #[test]
    fn a_limit_of_the_account_is_a_rate_limit() {
        for word in ACCOUNT_WIDE {
            assert_eq!(class_of(word, 403), Some(FailureClass::RateLimit), "{word}");
        }
    }
}
