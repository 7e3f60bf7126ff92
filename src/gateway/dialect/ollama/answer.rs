//! What an upstream says: a whole answer, or one line of a stream. Both have one shape.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Logprob;
use crate::gateway::dialect::word;

/// A text, borrowed unless it holds an escape. (Inside an option, a plain `Cow` is always copied.)
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Words<'a>(#[serde(borrow)] pub Cow<'a, str>);

#[derive(Debug, Default, Deserialize)]
pub struct AnswerLine<'a> {
    #[serde(borrow)]
    pub model: Option<Words<'a>>,
    #[serde(borrow)]
    pub message: Option<SaidMessage<'a>>,
    pub done: Option<bool>,
    /// `stop`, `length`, `load` or `unload`.
    #[serde(borrow, default, deserialize_with = "word::lenient")]
    pub done_reason: Option<Cow<'a, str>>,
    /// A list. One of another shape is none.
    #[serde(default, deserialize_with = "logprobs")]
    pub logprobs: Option<Vec<Logprob>>,
    /// Left out by the server when it is zero.
    #[serde(default, deserialize_with = "count")]
    pub prompt_eval_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub eval_count: Option<u64>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub struct SaidMessage<'a> {
    #[serde(borrow)]
    pub content: Option<Words<'a>>,
    #[serde(borrow)]
    pub thinking: Option<Words<'a>>,
    /// Bare Base64.
    #[serde(borrow)]
    pub images: Option<Vec<Words<'a>>>,
    #[serde(borrow)]
    pub tool_calls: Option<Vec<SaidCall<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
pub struct SaidCall<'a> {
    #[serde(borrow)]
    pub id: Option<Words<'a>>,
    #[serde(borrow, default)]
    pub function: SaidFunction<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub struct SaidFunction<'a> {
    #[serde(borrow)]
    pub name: Option<Words<'a>>,
    /// An object. Some compatible servers send it as a text that holds one.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
}

fn logprobs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Logprob>>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

/// A count; compatible servers write some as texts or with decimals.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(raw.and_then(|raw| {
        let text = raw.get().trim_matches('"');
        text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_every_form() {
        for (written, expected) in
            [("7", Some(7)), ("\"7\"", Some(7)), ("7.0", Some(7)), ("null", None), ("-1", None)]
        {
            let json = format!(r#"{{"eval_count":{written}}}"#);
            let line: AnswerLine<'_> = serde_json::from_str(&json).unwrap();
            assert_eq!(line.eval_count, expected, "{written}");
            assert_eq!(line.prompt_eval_count, None);
        }
    }

    #[test]
    fn texts_without_escapes_are_not_copied() {
        let json = r#"{"message":{"content":"plain","thinking":"a\nb"}}"#;
        let line: AnswerLine<'_> = serde_json::from_str(json).unwrap();
        let message = line.message.unwrap();
        assert!(matches!(message.content.unwrap().0, Cow::Borrowed("plain")));
        assert_eq!(message.thinking.unwrap().0, "a\nb");
    }
}
