//! Usage: as upstreams report it, piece by piece in a stream, and as clients are shown it.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::domain::{chat::Usage, usage::TokenUsage};

/// The counts of one usage object. What is not told is `None`.
///
/// `input_tokens` counts neither what was read from a cache nor what was written to one.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching> (read 2026-11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UsageCounts {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    /// Both lifetimes together.
    cache_creation_input_tokens: Count,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

impl UsageCounts {
    /// Takes in what a later event reports. Counts are cumulative: they never go back, so that a zero
    /// which a server sends in the place of an unknown count does no harm.
    pub fn merge(&mut self, later: Self) {
        self.input_tokens.raise(later.input_tokens);
        self.output_tokens.raise(later.output_tokens);
        self.cache_read_input_tokens.raise(later.cache_read_input_tokens);
        self.cache_creation_input_tokens.raise(later.cache_creation_input_tokens);
        if let Some(later) = later.cache_creation {
            let creation = self.cache_creation.get_or_insert_default();
            creation.ephemeral_5m_input_tokens.raise(later.ephemeral_5m_input_tokens);
            creation.ephemeral_1h_input_tokens.raise(later.ephemeral_1h_input_tokens);
        }
        if let Some(later) = later.output_tokens_details {
            let details = self.output_tokens_details.get_or_insert_default();
            details.thinking_tokens.raise(later.thinking_tokens);
        }
    }

    /// `None` when neither input nor output is told: unknown is not zero.
    pub fn usage(&self) -> Option<Usage> {
        if self.input_tokens.0.is_none() && self.output_tokens.0.is_none() {
            return None;
        }
        let creation = self.cache_creation.unwrap_or_default();
        let hour = creation.ephemeral_1h_input_tokens.or_zero();
        let five_minutes = creation.ephemeral_5m_input_tokens.or_zero();
        // What the lifetimes do not account for was written for the usual five minutes.
        let untold = self
            .cache_creation_input_tokens
            .or_zero()
            .saturating_sub(hour.saturating_add(five_minutes));
        let output = self.output_tokens.or_zero();
        let thinking = self.output_tokens_details.and_then(|details| details.thinking_tokens.0);
        Some(Usage {
            tokens: TokenUsage {
                input: self.input_tokens.or_zero(),
                cache_read: self.cache_read_input_tokens.or_zero(),
                cache_write_5m: five_minutes.saturating_add(untold),
                cache_write_1h: hour,
                output,
            },
            reasoning: thinking.map(|tokens| tokens.min(output)),
            is_estimated: false,
        })
    }
}

/// A number of tokens. Some servers write it as a text or with decimals; whatever else stands there
/// tells nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count(Option<u64>);

impl Count {
    fn or_zero(self) -> u64 {
        self.0.unwrap_or(0)
    }

    fn raise(&mut self, later: Self) {
        self.0 = self.0.max(later.0);
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens")
            }

            fn visit_u64<E: Error>(self, tokens: u64) -> Result<Count, E> {
                Ok(Count(Some(tokens)))
            }

            fn visit_i64<E: Error>(self, tokens: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(tokens).ok()))
            }

            fn visit_f64<E: Error>(self, tokens: f64) -> Result<Count, E> {
                // A cast of a float to an integer saturates.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let whole = (tokens >= 0.0).then_some(tokens as u64);
                Ok(Count(whole))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                Ok(Count(text.trim().parse().ok()))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// Usage as a client is shown it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WireUsage<'a> {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<WireCacheCreation>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<WireOutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    /// Ours: the upstream told nothing, and the pool has counted by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WireCacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WireOutputDetails {
    thinking_tokens: u64,
}

impl<'a> WireUsage<'a> {
    pub fn new(usage: &Usage, service_tier: Option<&'a str>) -> Self {
        let tokens = &usage.tokens;
        let written = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
        Self {
            input_tokens: tokens.input,
            cache_creation_input_tokens: written,
            cache_read_input_tokens: tokens.cache_read,
            cache_creation: (written > 0).then_some(WireCacheCreation {
                ephemeral_5m_input_tokens: tokens.cache_write_5m,
                ephemeral_1h_input_tokens: tokens.cache_write_1h,
            }),
            output_tokens: tokens.output,
            output_tokens_details: usage
                .reasoning
                .map(|thinking_tokens| WireOutputDetails { thinking_tokens }),
            service_tier,
            estimated: usage.is_estimated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> UsageCounts {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn classes_of_tokens_are_disjoint() {
        let usage = counts(
            r#"{"input_tokens":5,"cache_read_input_tokens":100,"cache_creation_input_tokens":70,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":60},
                "output_tokens":7,"output_tokens_details":{"thinking_tokens":3},
                "service_tier":"standard","server_tool_use":null}"#,
        )
        .usage()
        .unwrap();
        let tokens = TokenUsage {
            input: 5,
            cache_read: 100,
            cache_write_5m: 10,
            cache_write_1h: 60,
            output: 7,
        };
        assert_eq!(usage, Usage { tokens, reasoning: Some(3), is_estimated: false });
        assert_eq!(usage.prompt(), 175);
    }

    #[test]
    fn what_was_written_for_no_told_time_was_written_for_five_minutes() {
        let usage = counts(r#"{"output_tokens":1,"cache_creation_input_tokens":9}"#).usage();
        assert_eq!(usage.unwrap().tokens.cache_write_5m, 9);
    }

    #[test]
    fn later_counts_take_the_place_of_earlier_ones_and_never_go_back() {
        let mut all = counts(r#"{"input_tokens":25,"output_tokens":1}"#);
        all.merge(counts(r#"{"input_tokens":0,"output_tokens":15}"#));
        assert_eq!(all.usage().unwrap().tokens.total(), 40);
    }

    #[test]
    fn odd_counts_do_no_harm_and_unknown_is_not_zero() {
        let odd = counts(r#"{"input_tokens":"12","output_tokens":3.0,"cache_creation":null}"#);
        assert_eq!(odd.usage().unwrap().tokens.total(), 15);
        for nothing in ["{}", r#"{"input_tokens":null,"output_tokens":[1]}"#, r#"{"x":-1}"#] {
            assert_eq!(counts(nothing).usage(), None, "{nothing}");
        }
        let huge = counts(r#"{"input_tokens":-3,"output_tokens":1e300}"#).usage().unwrap();
        assert_eq!((huge.tokens.input, huge.tokens.output), (0, u64::MAX));
    }

    #[test]
    fn what_is_shown_reads_back() {
        let tokens =
            TokenUsage { input: 1, cache_read: 2, cache_write_5m: 3, cache_write_1h: 4, output: 5 };
        for reasoning in [None, Some(2)] {
            let usage = Usage { tokens, reasoning, is_estimated: false };
            let json = serde_json::to_string(&WireUsage::new(&usage, None)).unwrap();
            assert_eq!(counts(&json).usage(), Some(usage));
        }
    }
}
