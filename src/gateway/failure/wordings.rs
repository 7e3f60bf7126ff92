//! The fixed wordings of vendors that name a cause in their message alone.

use crate::domain::failure::FailureClass;

/// A message that begins with these words. `#` stands for a number, and `$` for the end of the message,
/// with a full stop before it or not.
struct Wording {
    class: FailureClass,
    words: &'static str,
}

/// A prompt that does not fit.
const fn long(words: &'static str) -> Wording {
    Wording { class: FailureClass::ContextTooLong, words }
}

const fn busy(words: &'static str) -> Wording {
    Wording { class: FailureClass::Overload, words }
}

/// What a vendor may put before its own words, or those of the model's server behind it.
const LEADS: &[&str] = &["The model returned the following errors: ", "Invalid request: "];

/// Sources, read 2026-11, in the order of the table: vLLM, and DeepSeek and Azure in the same words,
/// <https://github.com/vllm-project/vllm/issues/20409>,
/// <https://github.com/FoundationAgents/OpenManus/issues/79>,
/// <https://github.com/vllm-project/vllm/issues/33418>,
/// <https://github.com/vllm-project/vllm/issues/12165>,
/// <https://github.com/vllm-project/vllm/pull/12600>; OpenAI <https://github.com/openai/codex/issues/19269>;
/// Azure <https://github.com/BerriAI/litellm/issues/15968>; Anthropic, and Bedrock in the same words,
/// <https://github.com/daisuke-awaji/moca/issues/254>,
/// <https://github.com/continuedev/continue/issues/6080>; Bedrock
/// <https://github.com/aws-samples/bedrock-chat/issues/95>; Google
/// <https://github.com/google-gemini/gemini-cli/issues/4692>,
/// <https://github.com/NousResearch/hermes-agent/pull/99701>; xAI, Groq, OpenRouter, Copilot, Mistral,
/// MiniMax and Kimi <https://github.com/earendil-works/pi/blob/main/packages/ai/src/utils/overflow.ts>,
/// Poolside <https://github.com/earendil-works/pi/issues/4943>; SGLang, and Together in the same words,
/// <https://github.com/openclaw/openclaw/issues/129352>,
/// <https://github.com/sgl-project/sglang/issues/4048>; Together and TGI
/// <https://github.com/stanford-crfm/helm/pull/2079>; Fireworks
/// <https://github.com/fw-ai/cookbook/issues/134>; Cohere
/// <https://github.com/cohere-ai/sandbox-topically/issues/4>; llama.cpp
/// <https://github.com/ggml-org/llama.cpp/issues/17284>,
/// <https://github.com/ikawrakow/ik_llama.cpp/pull/2051>; llama-cpp-python
/// <https://github.com/abetlen/llama-cpp-python/issues/416>; LM Studio
/// <https://github.com/anomalyco/opencode/issues/2259>,
/// <https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546>,
/// <https://github.com/anomalyco/opencode/issues/11141>; oMLX
/// <https://github.com/ValueCell-ai/ClawX/issues/658>; Ollama
/// <https://github.com/nano-step/nano-brain/issues/208>, <https://github.com/dyad-sh/dyad/issues/3498>,
/// <https://github.com/ollama/ollama/issues/15934>, <https://github.com/ollama/ollama/issues/4159>.
const WORDINGS: &[Wording] = &[
    long("This model's maximum context length is # tokens"),
    long(
        "'max_tokens' or 'max_completion_tokens' is too large: #. This model's maximum context length is # tokens",
    ),
    long("The prompt (total length #) is too long to fit into the model (context length #)"),
    long("The decoder prompt (length #) is longer than the maximum model length of #"),
    long("Your input exceeds the context window of this model"),
    long("Input tokens exceed the configured limit of # tokens"),
    long("prompt is too long: # tokens > # maximum"),
    long("prompt is too long$"),
    long("input length and `max_tokens` exceed context limit: # + # > #"),
    long("Input is too long for requested model"),
    long("The input token count (#) exceeds the maximum number of tokens allowed (#)"),
    long("The input token count exceeds the maximum number of tokens allowed #"),
    long(
        "Unable to submit request because the input token count is # but model only supports up to #",
    ),
    long("This model's maximum prompt length is # but the request contains # tokens"),
    long("Please reduce the length of the messages or completion"),
    long("This endpoint's maximum context length is # tokens"),
    long("Input length # exceeds the maximum allowed input length of # tokens"),
    long("Input length (#) exceeds model's maximum context length (#)"),
    long("prompt token count of # exceeds the limit of #"),
    long(
        "Prompt contains # tokens and # draft tokens, too large for model with # maximum context length",
    ),
    long("Prompt contains # tokens, too large for model with # maximum context length"),
    long("invalid params, context window exceeds limit"),
    long("Your request exceeded model token limit: #"),
    long("The input (# tokens) is longer than the model's context length (# tokens)"),
    long("Requested token count exceeds the model's maximum context length of # tokens"),
    long("Input length (# tokens) exceeds the maximum allowed length (# tokens)"),
    long(
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= #. Given: # `inputs` tokens",
    ),
    long("Input validation error: `inputs` must have less than # tokens. Given: #"),
    long("The prompt is too long: #, model maximum context length: #"),
    long("too many tokens: total number of tokens"),
    long("the request exceeds the available context size"),
    long("request (# tokens) exceeds the available context size (# tokens)"),
    long("context shift is disabled$"),
    long("Requested tokens (#) exceed context window of #"),
    long("The number of tokens to keep from the initial prompt is greater than the context length"),
    long(
        "Trying to keep the first # tokens when context the overflows. However, the model is loaded with context length of only # tokens",
    ),
    long("Cannot truncate prompt with n_keep (#) >= n_ctx (#)"),
    long("Prompt too long: # tokens exceeds max context window of # tokens"),
    long("the input length exceeds the context length"),
    long("prompt too long; exceeded max context length by # tokens"),
    busy("Server overloaded, please retry shortly"),
    busy("server busy, please try again. maximum pending requests exceeded"),
];

/// The class that a message names in one of the fixed wordings.
pub(super) fn class_of_message(message: &str) -> Option<FailureClass> {
    let said = |message| WORDINGS.iter().find(|wording| begins(message, wording.words));
    let own = LEADS.iter().find_map(|lead| message.strip_prefix(lead)).unwrap_or(message);
    said(message).or_else(|| said(own)).map(|wording| wording.class)
}

/// Whether a message begins with these words, whatever the case and the spaces between them.
fn begins(message: &str, words: &str) -> bool {
    let mut rest = message.trim_start();
    for word in words.chars() {
        let after = match word {
            '#' => {
                let end =
                    rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
                // A comma behind it is not its own.
                let number = rest[..end].trim_end_matches(',');
                (!number.is_empty()).then(|| &rest[number.len()..])
            }
            '$' => rest.trim_end_matches(['.', ' ', '\n']).is_empty().then_some(""),
            ' ' => rest.strip_prefix(' ').map(str::trim_start),
            letter => {
                let is_same = |found: char| found.eq_ignore_ascii_case(&letter);
                rest.strip_prefix(is_same)
            }
        };
        let Some(after) = after else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use FailureClass::{ContextTooLong, Overload};

    use super::*;

    /// Messages as vendors have sent them.
    const SENT: &[(FailureClass, &str)] = &[
        // OpenAI, Azure, DeepSeek, vLLM
        (
            ContextTooLong,
            "This model's maximum context length is 65536 tokens. However, you requested 66343 tokens (62247 in the messages, 4096 in the completion). Please reduce the length of the messages or completion.",
        ),
        (
            ContextTooLong,
            "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your prompt contains at least 262145 input tokens, for a total of at least 262145 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=262145)",
        ),
        (
            ContextTooLong,
            "'max_tokens' or 'max_completion_tokens' is too large: 20000. This model's maximum context length is 8192 tokens and your request has 100 input tokens (20000 > 8192 - 100). None",
        ),
        (
            ContextTooLong,
            "The prompt (total length 25938) is too long to fit into the model (context length 4096). Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
        ),
        (
            ContextTooLong,
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        ),
        (
            ContextTooLong,
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
        ),
        (
            ContextTooLong,
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 tokens. Please reduce the length of the messages.",
        ),
        // Anthropic, Bedrock
        (ContextTooLong, "prompt is too long: 209353 tokens > 199999 maximum"),
        (ContextTooLong, "Prompt is too long"),
        (
            ContextTooLong,
            "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
        ),
        (
            ContextTooLong,
            "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length or `max_tokens` and try again",
        ),
        (ContextTooLong, "Input is too long for requested model."),
        // Google
        (
            ContextTooLong,
            "The input token count (2845475) exceeds the maximum number of tokens allowed (1048576).",
        ),
        (
            ContextTooLong,
            "The input token count exceeds the maximum number of tokens allowed 1048576.",
        ),
        (
            ContextTooLong,
            "Unable to submit request because the input token count is 32825 but model only supports up to 32768. Reduce the input token count and try again.",
        ),
        // xAI, Groq, OpenRouter, Poolside, Copilot, Mistral, MiniMax, Kimi
        (
            ContextTooLong,
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        ),
        (ContextTooLong, "Please reduce the length of the messages or completion."),
        (
            ContextTooLong,
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 42832 tokens (42832 of text input). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.",
        ),
        (
            ContextTooLong,
            "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
        ),
        (ContextTooLong, "Input length (265330) exceeds model's maximum context length (262144)."),
        (ContextTooLong, "prompt token count of 140323 exceeds the limit of 128000"),
        (
            ContextTooLong,
            "Prompt contains 40923 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        ),
        (
            ContextTooLong,
            "Prompt contains 40923 tokens, too large for model with 32768 maximum context length",
        ),
        (ContextTooLong, "invalid params, context window exceeds limit"),
        (
            ContextTooLong,
            "Invalid request: Your request exceeded model token limit: 131072 (requested: 140000)",
        ),
        // SGLang, Together, TGI, Fireworks, Cohere
        (
            ContextTooLong,
            "The input (263000 tokens) is longer than the model's context length (262144 tokens).",
        ),
        (
            ContextTooLong,
            "Requested token count exceeds the model's maximum context length of 262144 tokens. You requested a total of 270000 tokens.",
        ),
        (
            ContextTooLong,
            "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens). Use a shorter input or enable --allow-auto-truncate.",
        ),
        (
            ContextTooLong,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 32768. Given: 31000 `inputs` tokens and 4096 `max_new_tokens`",
        ),
        (
            ContextTooLong,
            "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
        ),
        (ContextTooLong, "The prompt is too long: 40177, model maximum context length: 32767"),
        (
            ContextTooLong,
            "too many tokens: total number of tokens (prompt and prediction) cannot exceed 2048 - received 6354. Try using a shorter prompt or a smaller max_tokens value.",
        ),
        // llama.cpp and what is made of it, Ollama
        (
            ContextTooLong,
            "the request exceeds the available context size. try increasing the context size or enable context shift",
        ),
        (
            ContextTooLong,
            "request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it",
        ),
        (ContextTooLong, "context shift is disabled"),
        (ContextTooLong, "Requested tokens (1107) exceed context window of 512"),
        (
            ContextTooLong,
            "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.",
        ),
        (
            ContextTooLong,
            "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough.",
        ),
        (ContextTooLong, "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"),
        (
            ContextTooLong,
            "Prompt too long: 41911 tokens exceeds max context window of 32768 tokens",
        ),
        (ContextTooLong, "the input length exceeds the context length"),
        (
            ContextTooLong,
            "prompt too long; exceeded max context length by 540451 tokens (ref: 00ad71bb)",
        ),
        (Overload, "Server overloaded, please retry shortly (ref: aaa65c70)"),
        (Overload, "server busy, please try again.  maximum pending requests exceeded"),
    ];

    #[test]
    fn every_wording_is_known_by_a_message_that_was_sent() {
        for (class, message) in SENT {
            assert_eq!(class_of_message(message), Some(*class), "{message}");
        }
        for wording in WORDINGS {
            let is_tried = |(_, message): &(_, &str)| {
                let own = LEADS.iter().find_map(|lead| message.strip_prefix(lead));
                begins(own.unwrap_or(message), wording.words)
            };
            assert!(SENT.iter().any(is_tried), "{} is not tried", wording.words);
        }
    }

    #[test]
    fn what_clients_do_wrong_otherwise_is_none_of_them() {
        for message in [
            "",
            ".",
            "prompt",
            "prompt is too long for this style of image",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
            "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for this model",
            "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096.",
            "max_tokens must be at least 1, got -186.",
            "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760, but got a string with length 10500000 instead.",
            "Invalid value: 'prompt is too long: 5 tokens > 4 maximum'. Supported values are: 'system', 'user'.",
            "messages.0.content: the words This model's maximum context length is 5 tokens are not allowed",
            "Input validation error: `temperature` must be strictly positive",
            "Too many tokens, please wait before trying again.",
            "too many tokens: please wait",
            "Request too large for model `llama` in organization `org` on tokens per minute (TPM): Limit 6000, Requested 7000",
            "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 30000, Requested 5000.",
            "tools: the number of tools exceeds the limit of 128",
            "This model's maximum context length is unknown",
            "Input length # exceeds the maximum allowed input length of # tokens",
            "context shift is disabled for this model, and n_predict must be set",
            "model 'x' not found",
            "image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
            "Request exceeds the maximum size",
        ] {
            assert_eq!(class_of_message(message), None, "{message}");
        }
    }

    #[test]
    fn a_wording_counts_from_the_beginning_and_with_its_numbers() {
        assert!(begins("A 1,024 B", "a # b"));
        assert!(begins("a 12, then", "a #, then"));
        assert!(begins("a  b", "a b"));
        assert!(begins("a. ", "a$"));
        for message in ["a B", "x a 1 b", "a 1", "a , b", "ä 1 b"] {
            assert!(!begins(message, "a # b"), "{message}");
        }
    }
}
