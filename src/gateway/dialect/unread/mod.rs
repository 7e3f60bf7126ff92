//! JSON that is read into what is known of a dialect, with an eye on what is not: the names that a type
//! declares are known, and words under any other name, or in another shape, are not dropped in silence.

mod texts;
mod watched;

use std::cell::Cell;

use serde::Deserialize;
use texts::{Words, words_in};
use watched::{Place, Watched};

use crate::domain::chat::Losses;

/// Names under which dialects, and servers that are nearly right, put what is said. In any case.
const TEXTS: [&str; 27] = [
    "answer",
    "arguments",
    "completion",
    "content",
    "contents",
    "delta",
    "functionCall",
    "function_call",
    "generated_text",
    "input",
    "message",
    "output",
    "outputText",
    "output_text",
    "part",
    "partialArgs",
    "partial_json",
    "parts",
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    "refusal",
    "response",
    "text",
    "thinking",
    "toolCalls",
    "tool_calls",
];

/// Names of what tells about an answer and is no part of it, though it has words.
const ASIDE: [&str; 9] = [
    "annotations",
    "audio",
    "citations",
    "error",
    "extra_content",
    "images",
    "logprobs",
    "url_citation",
    "usage",
];

/// Names of lists: a text in the place of one is read by nobody.
const LISTS: [&str; 2] = ["choices", "tool_calls"];

/// Names whose values say what something is, wherever they stand.
const LABELS: [&str; 7] =
    ["finishMessage", "format", "object", "provider", "role", "status", "type"];

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The name among those above that a name is, in any case; none: empty.
fn meaning(name: &str) -> &'static str {
    let names = TEXTS.iter().chain(&ASIDE).chain(&LABELS);
    names.copied().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or("")
}

/// What was left of a JSON value when all was taken that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unread<'a> {
    /// Nothing that says anything.
    #[default]
    Nothing,
    /// Words that are no part of the answer, as far as can be told, and the field that holds them.
    Beside(&'a str),
    /// Words or a call that may be a part of the answer.
    Text,
}

impl<'a> Unread<'a> {
    /// What a field holds that was not read.
    pub fn in_field(name: &'a str, value: &str) -> Self {
        let is_text = is_one_of(&TEXTS, name);
        match words_in(value, is_text) {
            Words::None => Self::Nothing,
            _ if is_text => Self::Text,
            _ => Self::Beside(name),
        }
    }

    /// What a part of an answer holds that cannot be read at all.
    pub fn in_part(value: &str) -> Self {
        if words_in(value, true) == Words::None { Self::Nothing } else { Self::Text }
    }

    /// What an object of this name holds that may be a part of an answer, under names of texts.
    pub fn in_object(name: &'a str, value: &str) -> Self {
        match words_in(value, false) {
            Words::None => Self::Nothing,
            Words::Any => Self::Beside(name),
            Words::OfText => Self::Text,
        }
    }

    /// Whether something of the answer may be lost. What is not, is told.
    pub fn is_text(self, losses: &mut Losses) -> bool {
        if let Self::Beside(name) = self {
            losses.note(name.to_owned());
        }
        self == Self::Text
    }

    /// The worse of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text, _) | (_, Self::Text) => Self::Text,
            (Self::Nothing, other) => other,
            (told, _) => told,
        }
    }
}

/// Reads a value, and tells what of it the type does not know.
///
/// Errors: as of `serde_json`.
pub fn from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<(T, Unread<'a>)> {
    let unread = Cell::new(Unread::Nothing);
    let place = Place::top(&unread);
    let mut inner = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Watched { inner: &mut inner, place })?;
    inner.end()?;
    Ok((value, unread.get()))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::gateway::dialect::openai_chat::wire::response_in::WireAnswer;

    fn unread(json: &str) -> Unread<'_> {
        from_str::<WireAnswer<'_>>(json).expect(json).1
    }

    fn of_message(message: &str) -> Unread<'static> {
        let json = format!(r#"{{"choices":[{{"index":0,"message":{message}}}]}}"#);
        unread(json.leak())
    }

    #[test]
    fn what_says_nothing_or_is_known_is_not_told() {
        for message in [
            r#"{"role":"assistant","content":"x","reasoning_content":"y","refusal":null}"#,
            r#"{"content":[{"type":"text","text":"x"}],"provider":"x","weight":1.5,"x":[true,{}]}"#,
            r#"{"content":{},"reasoning":[""],"tool_calls":{},"text":"","output":[],"message":null}"#,
            r#"{"content":"x","filters":{"hate":{"severity":"safe"}},"delta":{"role":"assistant"}}"#,
            r#"{"content":"x","at":"2026-11-30 17:57:06","fingerprint":"fp_1","provider":"Of One"}"#,
        ] {
            assert_eq!(of_message(message), Unread::Nothing, "{message}");
        }
        let around = r#"{"id":"x","object":"o","created":1,"system_fingerprint":"f","provider":"p",
            "choices":[{"logprobs":{"content":[{"token":"x","top_logprobs":[]}]}}],"x":{"y":"z"}}"#;
        assert_eq!(unread(around), Unread::Nothing);
    }

    #[test]
    fn words_under_an_unknown_name_or_in_an_unknown_shape_may_be_lost() {
        for message in [
            r#"{"content":{"text":"x"}}"#,
            r#"{"content":{"value":"x"}}"#,
            r#"{"Content":"x"}"#,
            r#"{"\u0054ext":"x"}"#,
            r#"{"text":["x"]}"#,
            r#"{"reasoning":["x"]}"#,
            r#"{"content":"x","reasoning":{"content":[{"text":"y"}]}}"#,
            r#"{"content":"x","tool_calls":{"0":{"id":"c"}}}"#,
            r#"{"content":"x","tool_calls":"[{}]"}"#,
            r#"{"tool_calls":[{"id":"c","name":"f","arguments":"{}"}]}"#,
            r#"{"tool_calls":[{"function":{"name":"f","Arguments":{"a":"b"}}}]}"#,
            r#"{"content":[{"type":"text","content":"x"}]}"#,
        ] {
            assert_eq!(of_message(message), Unread::Text, "{message}");
        }
        assert_eq!(unread(r#"{"choices":{"0":{"message":{"content":"x"}}}}"#), Unread::Text);
        assert_eq!(unread(r#"{"choices":[],"output":"x"}"#), Unread::Text);
        let deep = format!(r#"{{"text":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(of_message(&deep), Unread::Text);
    }

    #[test]
    fn words_that_are_no_part_of_the_answer_are_told() {
        for (json, name) in [
            (r#"{"choices":[],"message":"success"}"#, "message"),
            (r#"{"choices":[],"search_results":[{"title":"t","text":"x"}]}"#, "search_results"),
            (r#"{"choices":[{"message":{"executed_tools":[{"output":"x"}]}}]}"#, "executed_tools"),
            (r#"{"choices":[{"message":{"thoughts":"two words"}}]}"#, "thoughts"),
            (r#"{"choices":[{"delta":{"x":{"y":[" word"]}}}],"id":"z"}"#, "x"),
            (r#"{"choices":[],"citations":[{"text":"x"}]}"#, "text"),
            (r#"{"choices":[{"message":{"annotations":[{"text":"x"}]}}]}"#, "text"),
        ] {
            assert_eq!(unread(json), Unread::Beside(name), "{json}");
        }
        let mut losses = Losses::default();
        assert!(!Unread::Beside("a").is_text(&mut losses) && Unread::Text.is_text(&mut losses));
        assert_eq!(losses.to_string(), "a");
    }

    #[test]
    fn raw_values_are_left_to_their_readers() {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            content: Option<&'a RawValue>,
        }
        let (raw, unread) = from_str::<Raw<'_>>(r#"{"content":{"text":"x"}}"#).unwrap();
        assert_eq!((raw.content.unwrap().get(), unread), (r#"{"text":"x"}"#, Unread::Nothing));
        assert_eq!(Unread::in_field("content", raw.content.unwrap().get()), Unread::Text);
        assert_eq!(Unread::in_field("tools", r#"{"text":"x"}"#), Unread::Beside("tools"));
        assert_eq!(Unread::in_part(r#"{"type":"text"}"#), Unread::Nothing);
        assert_eq!(Unread::in_part(r#"{"a":"b"}"#), Unread::Text);
        assert_eq!(Unread::in_object("d", r#"{"a":"b"}"#), Unread::Nothing);
        assert_eq!(Unread::in_object("d", r#"{"a":{"text":"b"}}"#), Unread::Text);
        assert!(from_str::<Raw<'_>>("{} x").is_err());
    }
}
