//! A `GenerateContentResponse`: a whole answer, or one event of a stream.
//!
//! Source: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse> (read 2026-11).

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Part, Text};
use crate::gateway::dialect::word;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateContentResponse<'a> {
    #[serde(borrow, default, deserialize_with = "few")]
    pub candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    pub usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub model_version: Option<Text<'a>>,
    #[serde(borrow)]
    pub response_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate<'a> {
    #[serde(borrow)]
    pub index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    /// Absent while there is more to come. Older models repeat `STOP` in each event.
    #[serde(borrow, default, deserialize_with = "word::lenient")]
    pub finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub citation_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub url_context_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub logprobs_result: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct Content<'a> {
    #[serde(borrow, default, deserialize_with = "few")]
    pub parts: Option<Vec<Part<'a>>>,
}

/// Why there is no candidate: the prompt was blocked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptFeedback<'a> {
    #[serde(borrow)]
    pub block_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub block_reason_message: Option<Text<'a>>,
}

/// What was used up to the event it stands in.
///
/// The prompt counts what was read from a cache; the candidates do not count thoughts; what tools of
/// Google's have put into the prompt is counted beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageMetadata {
    #[serde(deserialize_with = "count")]
    pub prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    pub cached_content_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    pub candidates_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    pub thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    pub tool_use_prompt_token_count: Option<u64>,
}

/// Of each token, which was chosen and which others there were.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogprobsResult<'a> {
    #[serde(borrow)]
    pub chosen_candidates: Option<Vec<TokenCandidate<'a>>>,
    #[serde(borrow)]
    pub top_candidates: Option<Vec<TopCandidates<'a>>>,
}

#[derive(Debug, Deserialize)]
pub struct TopCandidates<'a> {
    #[serde(borrow)]
    pub candidates: Option<Vec<TokenCandidate<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenCandidate<'a> {
    #[serde(borrow)]
    pub token: Option<Text<'a>>,
    pub log_probability: Option<f64>,
}

/// A list that mostly has one element, and a large one: every event has some of them. What serde
/// makes of it would have room for four.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Few<T>(Vec<T>);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Read<T>(PhantomData<T>);

            impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
                type Value = Few<T>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                    let Some(first) = list.next_element()? else { return Ok(Few(Vec::new())) };
                    let mut items = vec![first];
                    while let Some(item) = list.next_element()? {
                        items.push(item);
                    }
                    Ok(Few(items))
                }
            }

            deserializer.deserialize_seq(Read(PhantomData))
        }
    }

    Ok(Option::<Few<T>>::deserialize(deserializer)?.map(|few| few.0))
}

/// A count of tokens: a number, or a number in a text, as 64 bits are written. Anything else is none.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Count;

    impl Visitor<'_> for Count {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a count")
        }

        fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
            Ok(Some(count))
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.parse().ok())
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_numbers_and_as_texts() {
        let usage: UsageMetadata = serde_json::from_str(
            r#"{"promptTokenCount":7,"candidatesTokenCount":"8","thoughtsTokenCount":null,
                "cachedContentTokenCount":-1,"totalTokenCount":{}}"#,
        )
        .unwrap();
        assert_eq!((usage.prompt_token_count, usage.candidates_token_count), (Some(7), Some(8)));
        assert_eq!((usage.thoughts_token_count, usage.cached_content_token_count), (None, None));
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let json = r#"{"candidates":[{"content":{"parts":[{"text":"plain"},{"text":"a\nb"}]}}]}"#;
        let answer: GenerateContentResponse<'_> = serde_json::from_str(json).unwrap();
        let candidates = answer.candidates.unwrap();
        let parts = candidates[0].content.as_ref().unwrap().parts.as_ref().unwrap();
        let is_borrowed =
            |part: &Part<'_>| matches!(part.text, Some(Text(std::borrow::Cow::Borrowed(_))));
        assert!(is_borrowed(&parts[0]) && !is_borrowed(&parts[1]));
    }
}
