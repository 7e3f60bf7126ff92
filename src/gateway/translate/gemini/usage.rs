//! Usage, in disjoint classes in the common form and overlapping on the wire.
//!
//! Source: <https://ai.google.dev/api/generate-content#UsageMetadata> (read 2026-11).

use crate::{
    domain::{chat::Usage, usage::TokenUsage},
    gateway::dialect::gemini::{UsageMetadata, WrittenUsage},
};

/// `None` when nothing is told that can be read: unknown is not zero.
pub(super) fn read(json: &str) -> Option<Usage> {
    let wire: UsageMetadata = serde_json::from_str(json).ok()?;
    if wire.prompt_token_count.is_none() && wire.candidates_token_count.is_none() {
        return None;
    }
    let prompt = wire.prompt_token_count.unwrap_or(0);
    // More read from the cache than there was prompt is nonsense; the sum stays what was told.
    let cache_read = wire.cached_content_token_count.unwrap_or(0).min(prompt);
    let by_tools = wire.tool_use_prompt_token_count.unwrap_or(0);
    let thoughts = wire.thoughts_token_count;
    let answer = wire.candidates_token_count.unwrap_or(0);
    let tokens = TokenUsage {
        input: (prompt - cache_read).saturating_add(by_tools),
        cache_read,
        output: answer.saturating_add(thoughts.unwrap_or(0)),
        ..TokenUsage::default()
    };
    Some(Usage { tokens, reasoning: thoughts, is_estimated: false })
}

pub(super) fn write(usage: &Usage) -> WrittenUsage {
    let tokens = &usage.tokens;
    let thoughts = usage.reasoning.map(|thoughts| thoughts.min(tokens.output));
    WrittenUsage {
        prompt_token_count: usage.prompt(),
        candidates_token_count: tokens.output - thoughts.unwrap_or(0),
        total_token_count: tokens.total(),
        cached_content_token_count: (tokens.cache_read > 0).then_some(tokens.cache_read),
        thoughts_token_count: thoughts.filter(|thoughts| *thoughts > 0),
        estimated: usage.is_estimated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(json: &str) -> Option<Usage> {
        read(json)
    }

    #[test]
    fn classes_are_disjoint() {
        let usage = read_json(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":7,
                "thoughtsTokenCount":3,"toolUsePromptTokenCount":5,"totalTokenCount":115}"#,
        )
        .unwrap();
        let expected =
            TokenUsage { input: 65, cache_read: 40, output: 10, ..TokenUsage::default() };
        assert_eq!((usage.tokens, usage.reasoning), (expected, Some(3)));
        let written = serde_json::to_string(&write(&usage)).unwrap();
        assert_eq!(
            written,
            r#"{"promptTokenCount":105,"candidatesTokenCount":7,"totalTokenCount":115,"cachedContentTokenCount":40,"thoughtsTokenCount":3}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for odd in ["{}", "[]", "7", r#"{"totalTokenCount":7}"#, r#"{"promptTokenCount":{}}"#] {
            assert_eq!(read_json(odd), None, "{odd}");
        }
        let nonsense = read_json(r#"{"promptTokenCount":1,"cachedContentTokenCount":9}"#).unwrap();
        assert_eq!(nonsense.tokens.total(), 1);
        let huge = format!(r#"{{"promptTokenCount":{0},"toolUsePromptTokenCount":{0}}}"#, u64::MAX);
        assert_eq!(read_json(&huge).unwrap().tokens.input, u64::MAX);
    }

    #[test]
    fn what_the_pool_has_counted_says_so() {
        let usage = Usage { is_estimated: true, ..Usage::default() };
        assert!(serde_json::to_string(&write(&usage)).unwrap().ends_with(r#""estimated":true}"#));
    }
}
