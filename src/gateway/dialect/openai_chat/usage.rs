//! Usage as both kinds of answer report it, and the words that compatible servers add to it.

use serde::{Deserialize, Serialize};

use crate::domain::{chat::Usage, usage::TokenUsage};

/// What a usage object says.
///
/// Sources, read 2026-11: OpenAI's `CompletionUsage`; `cache_write_tokens` also
/// <https://openrouter.ai/docs/use-cases/usage-accounting>; `prompt_cache_hit_tokens`
/// <https://api-docs.deepseek.com/guides/kv_cache>; a `cached_tokens` at the top, Moonshot.
#[derive(Debug, Default, Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<WirePromptDetails>,
    completion_tokens_details: Option<WireOutputDetails>,
    prompt_cache_hit_tokens: Option<u64>,
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct WirePromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct WireOutputDetails {
    reasoning_tokens: Option<u64>,
}

/// Tokens by disjoint classes. `prompt_tokens` counts those of a cache too, `completion_tokens`
/// counts reasoning too. `None` when nothing is reported that can be read: unknown is not zero.
pub fn parse_usage(json: &str) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str(json).ok()?;
    if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
        return None;
    }
    let prompt = wire.prompt_tokens.unwrap_or(0);
    let details = wire.prompt_tokens_details.unwrap_or_default();
    let cached = details.cached_tokens.or(wire.prompt_cache_hit_tokens).or(wire.cached_tokens);
    // More read from the cache than there was prompt is nonsense; the sum stays what was reported.
    let cache_read = cached.unwrap_or(0).min(prompt);
    let cache_write = details.cache_write_tokens.unwrap_or(0).min(prompt - cache_read);
    let reasoning = wire.completion_tokens_details.unwrap_or_default().reasoning_tokens;
    let completion = wire.completion_tokens.unwrap_or(0);
    let counted = prompt.saturating_add(completion);
    // xAI counts thoughts beside the completion, and its total shows that.
    // Source: <https://docs.x.ai/docs/guides/reasoning> (2026-11).
    let beside = reasoning.filter(|thoughts| {
        *thoughts > 0 && wire.total_tokens == Some(counted.saturating_add(*thoughts))
    });
    let tokens = TokenUsage {
        input: prompt - cache_read - cache_write,
        cache_read,
        cache_write_5m: cache_write,
        cache_write_1h: 0,
        output: completion.saturating_add(beside.unwrap_or(0)),
    };
    Some(Usage { tokens, reasoning, is_estimated: false })
}

/// A usage object as a client is shown it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ShownUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: ShownPromptDetails,
    completion_tokens_details: ShownOutputDetails,
    /// Ours: the upstream has told nothing, and the pool has counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ShownPromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ShownOutputDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
}

impl From<&Usage> for ShownUsage {
    fn from(usage: &Usage) -> Self {
        let tokens = &usage.tokens;
        let written = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: tokens.output,
            total_tokens: tokens.total(),
            prompt_tokens_details: ShownPromptDetails {
                cached_tokens: tokens.cache_read,
                cache_write_tokens: (written > 0).then_some(written),
            },
            completion_tokens_details: ShownOutputDetails { reasoning_tokens: usage.reasoning },
            estimated: usage.is_estimated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<Usage> {
        parse_usage(json)
    }

    #[test]
    fn every_class_is_told_from_the_others_and_reads_back_from_what_is_shown() {
        let json = r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
            "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},
            "completion_tokens_details":{"reasoning_tokens":5}}"#;
        let usage = parse(json).unwrap();
        let tokens = TokenUsage {
            input: 10,
            cache_read: 60,
            cache_write_5m: 30,
            cache_write_1h: 0,
            output: 20,
        };
        assert_eq!(usage, Usage { tokens, reasoning: Some(5), is_estimated: false });
        let shown = serde_json::to_string(&ShownUsage::from(&usage)).unwrap();
        assert_eq!(shown, json.split_whitespace().collect::<String>());
        assert_eq!(parse(&shown), Some(usage));
    }

    #[test]
    fn the_words_of_other_vendors_are_understood() {
        let read = |json| parse(json).unwrap().tokens;
        let deepseek = r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"completion_tokens":1}"#;
        assert_eq!((read(deepseek).input, read(deepseek).cache_read), (5, 4));
        let moonshot = r#"{"prompt_tokens":9,"cached_tokens":2,"completion_tokens":1}"#;
        assert_eq!(read(moonshot).cache_read, 2);
        let xai = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":20,
            "completion_tokens_details":{"reasoning_tokens":7}}"#;
        assert_eq!(read(xai).output, 10);
        let nonsense = r#"{"prompt_tokens":5,
            "prompt_tokens_details":{"cached_tokens":9,"cache_write_tokens":9}}"#;
        assert_eq!(read(nonsense).total(), 5);
    }

    #[test]
    fn a_count_of_our_own_says_so() {
        let usage = Usage { is_estimated: true, ..Usage::default() };
        let shown = serde_json::to_value(ShownUsage::from(&usage)).unwrap();
        assert_eq!(shown["estimated"], true);
    }
}
