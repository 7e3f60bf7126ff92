//! Usage as an answer reports it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::read::count_of;
use crate::domain::{chat::Usage, usage::TokenUsage};

type Any<'a> = Option<&'a RawValue>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadUsage<'a> {
    #[serde(borrow)]
    input_tokens: Any<'a>,
    #[serde(borrow)]
    input_tokens_details: Option<ReadInputDetails<'a>>,
    #[serde(borrow)]
    output_tokens: Any<'a>,
    #[serde(borrow)]
    output_tokens_details: Option<ReadOutputDetails<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadInputDetails<'a> {
    #[serde(borrow)]
    cached_tokens: Any<'a>,
    #[serde(borrow)]
    cache_write_tokens: Any<'a>,
    #[serde(borrow)]
    cache_write_tokens_details: Option<ReadWriteDetails<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadWriteDetails<'a> {
    #[serde(borrow)]
    ttl_12h_tokens: Any<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadOutputDetails<'a> {
    #[serde(borrow)]
    reasoning_tokens: Any<'a>,
}

/// Tokens by disjoint classes: `input_tokens` counts those of a cache too, `output_tokens` counts
/// reasoning too. `None` when nothing is reported that can be read: unknown is not zero.
///
/// A cache of OpenAI's lives 30 minutes or 12 hours; these are the shorter and the longer class.
pub fn parse_usage(raw: &RawValue) -> Option<Usage> {
    let wire: ReadUsage<'_> = serde_json::from_str(raw.get()).ok()?;
    let (input, output) = (count_of(wire.input_tokens), count_of(wire.output_tokens));
    if input.is_none() && output.is_none() {
        return None;
    }
    let prompt = input.unwrap_or(0);
    let details = wire.input_tokens_details.unwrap_or_default();
    // More of a cache than there was prompt is nonsense; the sum stays what was reported.
    let cache_read = count_of(details.cached_tokens).unwrap_or(0).min(prompt);
    let written = count_of(details.cache_write_tokens).unwrap_or(0).min(prompt - cache_read);
    let long = details.cache_write_tokens_details.unwrap_or_default().ttl_12h_tokens;
    let cache_write_1h = count_of(long).unwrap_or(0).min(written);
    let tokens = TokenUsage {
        input: prompt - cache_read - written,
        cache_read,
        cache_write_5m: written - cache_write_1h,
        cache_write_1h,
        output: output.unwrap_or(0),
    };
    let reasoning = wire.output_tokens_details.unwrap_or_default().reasoning_tokens;
    Some(Usage { tokens, reasoning: count_of(reasoning), is_estimated: false })
}

/// A usage object as a client is shown it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WrittenUsage {
    input_tokens: u64,
    input_tokens_details: WrittenInputDetails,
    output_tokens: u64,
    output_tokens_details: WrittenOutputDetails,
    total_tokens: u64,
    /// Ours: the upstream has told nothing, and the pool has counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WrittenInputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens_details: Option<WrittenWriteDetails>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WrittenWriteDetails {
    ttl_30m_tokens: u64,
    ttl_12h_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WrittenOutputDetails {
    reasoning_tokens: u64,
}

impl From<&Usage> for WrittenUsage {
    fn from(usage: &Usage) -> Self {
        let tokens = &usage.tokens;
        Self {
            input_tokens: usage.prompt(),
            input_tokens_details: WrittenInputDetails {
                cached_tokens: tokens.cache_read,
                cache_write_tokens: tokens.cache_write_5m.saturating_add(tokens.cache_write_1h),
                cache_write_tokens_details: (tokens.cache_write_1h > 0).then_some(
                    WrittenWriteDetails {
                        ttl_30m_tokens: tokens.cache_write_5m,
                        ttl_12h_tokens: tokens.cache_write_1h,
                    },
                ),
            },
            output_tokens: tokens.output,
            output_tokens_details: WrittenOutputDetails {
                reasoning_tokens: usage.reasoning.unwrap_or(0),
            },
            total_tokens: tokens.total(),
            estimated: usage.is_estimated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Option<Usage> {
        let raw: &RawValue = serde_json::from_str(json).expect(json);
        parse_usage(raw)
    }

    #[test]
    fn classes_of_tokens_are_disjoint() {
        let read = usage(
            r#"{"input_tokens":20,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":6,
                "cache_write_tokens_details":{"ttl_30m_tokens":4,"ttl_12h_tokens":2}},
                "output_tokens":"5","output_tokens_details":{"reasoning_tokens":3},"total_tokens":25}"#,
        )
        .unwrap();
        let tokens =
            TokenUsage { input: 6, cache_read: 8, cache_write_5m: 4, cache_write_1h: 2, output: 5 };
        assert_eq!(read, Usage { tokens, reasoning: Some(3), is_estimated: false });
        let written = serde_json::to_string(&WrittenUsage::from(&read)).unwrap();
        assert_eq!(usage(&written), Some(read));
        let nonsense = r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(usage(nonsense).unwrap().tokens.total(), 1);
    }

    #[test]
    fn usage_that_cannot_be_read_is_unknown() {
        for odd in ["{}", "[]", "7", r#"{"input_tokens":-1}"#, r#"{"input_tokens":{}}"#] {
            assert_eq!(usage(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_estimate_is_called_one() {
        let usage = Usage { is_estimated: true, ..Usage::default() };
        let written = serde_json::to_value(WrittenUsage::from(&usage)).unwrap();
        assert_eq!(written["estimated"], true);
    }
}
