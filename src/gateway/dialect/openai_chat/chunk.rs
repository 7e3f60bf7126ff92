//! One chunk of a stream, looked at and not taken apart: its bytes go to the client as they came.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{
    ErrorObject, is_blank,
    usage::parse_usage,
    wire::{response_in::WireAnswer, response_out::ThoughtFields},
};
use crate::{
    domain::chat::Usage,
    gateway::{
        dialect::{
            object::Borrowed,
            unread::{self, Unread},
        },
        failure::AbnormalFinish,
        tokens::TextLength,
    },
};

/// The data of an event is no chunk and no error either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the event is not a chunk of a chat completion")]
pub struct Unparsable;

/// The fields of a delta that hold text, which grows from chunk to chunk.
const TEXT_FIELDS: [&str; TEXTS] = ["content", "reasoning_content", "reasoning", "refusal"];

/// What stands around a part of a call's arguments.
const AROUND_CALL: usize = r#"[{"index":0,"function":{"arguments":""}}]"#.len();

/// How many fields of a delta hold text.
const TEXTS: usize = 4;

/// What the delta of choice 0 says in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words<'a> {
    pub has_role: bool,
    /// The values of [`TEXT_FIELDS`] that are not blank, as they were written. See [`text_of`].
    pub texts: [Option<&'a str>; TEXTS],
    /// Whether the chunk also says what is no text: a tool call, audio, log probabilities, or
    /// anything that is not known.
    pub has_more: bool,
}

/// What one chunk adds to a stream.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Whether it carries anything of the answer: text, reasoning, a refusal, a tool call, audio.
    pub has_content: bool,
    /// Whether it carries a part of a tool call.
    pub has_tool_call: bool,
    /// Choices it is about, one bit for each index (the last bit for all past 127).
    pub choices: u128,
    /// Choices it gives a finish reason for, but for one that is a failure.
    pub finished: u128,
    /// The finish reason of a choice that has failed.
    pub abnormal: Option<AbnormalFinish>,
    /// Whether it has no choices and only reports usage.
    pub is_usage_only: bool,
    pub usage: Option<Usage>,
    pub words: Words<'a>,
    /// Whether it is something of the vendor's own, without choices, which the client may know.
    pub is_foreign: bool,
    /// How much it says, in all choices.
    pub said: TextLength,
    /// The error it carries instead.
    pub error: Option<Box<ErrorObject>>,
}

#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(borrow)]
    choices: Option<Choices<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    logprobs: Option<IgnoredAny>,
}

impl<'a> Chunk<'a> {
    /// Reads the data of one event, all of it.
    ///
    /// Errors: [`Unparsable`] when it is not UTF-8, not JSON, or not an object of this shape.
    pub fn parse(data: &'a [u8]) -> Result<Self, Unparsable> {
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Unparsable);
        }
        let wire: WireChunk<'_> = serde_json::from_str(text).map_err(|_| Unparsable)?;
        let is_bare = wire.choices.is_none() && wire.usage.is_none();
        if is_bare || wire.error.is_some_and(|error| !is_blank(error)) {
            // Some servers send their error objects bare. Any other object without choices is
            // something of the vendor's own, which the client may know.
            let error = ErrorObject::parse(data).map(Box::new);
            return Ok(Self { is_foreign: error.is_none(), error, ..Self::default() });
        }
        let choices = wire.choices.unwrap_or_default();
        Ok(Self {
            has_content: choices.has_content,
            has_tool_call: choices.has_tool_call,
            choices: choices.seen,
            finished: choices.finished,
            abnormal: choices.abnormal,
            is_usage_only: choices.seen == 0 && wire.usage.is_some() && says_no_more(text),
            usage: wire.usage.map(RawValue::get).and_then(parse_usage),
            words: choices.words,
            is_foreign: false,
            said: choices.said,
            error: None,
        })
    }
}

/// Whether a chunk without choices has no words in another place either.
fn says_no_more(text: &str) -> bool {
    unread::from_str::<WireAnswer<'_>>(text).is_ok_and(|(_, unread)| unread == Unread::Nothing)
}

impl Chunk<'_> {
    /// In which fields its thoughts stand, if it has some.
    pub fn thought_fields(&self) -> Option<ThoughtFields> {
        match self.words.texts {
            [_, Some(_), Some(_), _] => Some(ThoughtFields::Both),
            [_, Some(_), None, _] => Some(ThoughtFields::ReasoningContent),
            [_, None, Some(_), _] => Some(ThoughtFields::Reasoning),
            [_, None, None, _] => None,
        }
    }
}

/// The text that a field of [`Words`] means. `None` when it is none: not a text, or half of a
/// character that two escapes make.
pub fn text_of(written: &str) -> Option<Cow<'_, str>> {
    let inside = written.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(written).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// All choices of a chunk, folded while they are read.
#[derive(Default)]
struct Choices<'a> {
    has_content: bool,
    has_tool_call: bool,
    seen: u128,
    finished: u128,
    abnormal: Option<AbnormalFinish>,
    words: Words<'a>,
    said: TextLength,
}

impl<'a> Choices<'a> {
    fn add(&mut self, choice: &Choice<'a>) {
        let bit = 1 << choice.index.unwrap_or(0).min(127);
        let is_second = self.seen != 0;
        self.seen |= bit;
        if let Some(written) = choice.finish_reason {
            match text_of(written.get()).and_then(|word| AbnormalFinish::of_chat(&word)) {
                None => self.finished |= bit,
                abnormal => self.abnormal = abnormal,
            }
        }
        if let Some(delta) = &choice.delta {
            self.has_content |= delta.has_content;
            self.has_tool_call |= delta.has_tool_call;
            self.said.add_all(delta.said());
            if bit == 1 && !is_second {
                self.words = delta.words;
            }
        }
        self.words.has_more |= is_second || bit != 1 || choice.logprobs.is_some();
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;

        impl<'de> Visitor<'de> for Fold {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices<'de>, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    all.add(&choice);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(Fold)
    }
}

/// What a delta says, whatever its fields are called: vendors add their own for reasoning.
#[derive(Default)]
struct Delta<'a> {
    has_content: bool,
    has_tool_call: bool,
    words: Words<'a>,
    /// Parts of calls, in bytes of their JSON without what is around what they say.
    calls: usize,
}

impl<'a> Delta<'a> {
    /// How much it says. Thoughts that stand in two fields, for clients of either, are said once.
    fn said(&self) -> TextLength {
        let mut said = TextLength::default();
        let [content, thoughts, same_thoughts, refusal] = self.words.texts;
        for written in [content, thoughts.or(same_thoughts), refusal].into_iter().flatten() {
            said.add(written.trim_matches('"'));
        }
        said.add_ascii(self.calls);
        said
    }

    fn add(&mut self, field: &str, value: &'a RawValue) {
        if is_blank(value) {
            return;
        }
        if field == "role" {
            self.words.has_role = true;
            return;
        }
        self.has_content = true;
        if matches!(field, "tool_calls" | "function_call") {
            self.has_tool_call = true;
            self.calls += value.get().len().saturating_sub(AROUND_CALL).max(1);
        }
        match TEXT_FIELDS.iter().position(|name| *name == field) {
            Some(text) if self.words.texts[text].is_none() => {
                self.words.texts[text] = Some(value.get());
            }
            _ => self.words.has_more = true,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl<'de> Visitor<'de> for Look {
            type Value = Delta<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delta<'de>, A::Error> {
                let mut delta = Delta::default();
                while let Some(key) = map.next_key::<Borrowed<'de>>()? {
                    delta.add(&key.0, map.next_value()?);
                }
                Ok(delta)
            }
        }

        deserializer.deserialize_map(Look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk<'_> {
        Chunk::parse(json.as_bytes()).expect(json)
    }

    fn around(delta: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
    }

    #[test]
    fn content_is_anything_but_a_role_and_blanks() {
        for content in [
            r#"{"content":"a"}"#,
            r#"{"content":" "}"#,
            r#"{"role":"assistant","content":"a"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm","content":""}"#,
            r#"{"audio":{"id":"x"}}"#,
            r#"{"c\u006fntent":"a"}"#,
        ] {
            let json = around(content);
            let chunk = chunk(&json);
            assert!(chunk.has_content && !chunk.has_tool_call, "{content}");
        }
        for blank in [
            "{}",
            "null",
            r#"{"role":"assistant"}"#,
            r#"{"role":"assistant","content":""}"#,
            r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#,
        ] {
            assert!(!chunk(&around(blank)).has_content, "{blank}");
        }
    }

    #[test]
    fn a_tool_call_is_content_and_more() {
        for call in [r#"{"tool_calls":[{"index":0}]}"#, r#"{"function_call":{"name":"f"}}"#] {
            let json = around(call);
            let chunk = chunk(&json);
            assert!(chunk.words.has_more);
            assert!(chunk.has_content && chunk.has_tool_call, "{call}");
        }
    }

    #[test]
    fn the_words_of_a_delta_are_read_as_they_were_written() {
        let json =
            around(r#"{"role":"assistant","reasoning":"h\u006d","content":"a","refusal":""}"#);
        let words = chunk(&json).words;
        assert!(words.has_role && !words.has_more);
        let texts: Vec<_> = words.texts.iter().map(|text| text.and_then(text_of)).collect();
        assert_eq!(texts, [Some("a".into()), None, Some("hm".into()), None]);
    }

    #[test]
    fn what_is_no_text_is_more_than_words() {
        for more in [
            r#"{"choices":[{"index":1,"delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","audio":{"id":"x"}}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","c\u006fntent":"b"}}]}"#,
        ] {
            assert!(chunk(more).words.has_more, "{more}");
        }
        let plain = r#"{"choices":[{"delta":{"content":"a","audio":null},"logprobs":null,"x":1}]}"#;
        assert!(!chunk(plain).words.has_more);
        for no_text in [r#"[{"type":"text"}]"#, "7", r#""\ud83d""#] {
            assert_eq!(text_of(no_text), None, "{no_text}");
        }
    }

    #[test]
    fn each_choice_finishes_by_itself() {
        let chunk = chunk(
            r#"{"choices":[{"index":0,"delta":{}},{"index":2,"finish_reason":"stop","delta":{}}]}"#,
        );
        assert_eq!((chunk.choices, chunk.finished), (0b101, 0b100));
    }

    #[test]
    fn what_all_choices_say_has_a_length() {
        let mut said = TextLength::default();
        said.add("0123456789é");
        for same in [
            r#"{"choices":[{"delta":{"content":"0123456789é"}}]}"#,
            r#"{"choices":[{"delta":{"content":"01234"}},{"index":1,"delta":{"refusal":"56789é"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"0123456789é","reasoning_content":"0123456789é"}}]}"#,
        ] {
            assert_eq!(chunk(same).said, said, "{same}");
        }
        let call = r#"[{"index":0,"function":{"arguments":"01234567"}}]"#;
        let mut arguments = TextLength::default();
        arguments.add("01234567");
        assert_eq!(chunk(&around(&format!(r#"{{"tool_calls":{call}}}"#))).said, arguments);
    }

    #[test]
    fn usage_is_read_with_and_without_choices() {
        let only = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert!(only.is_usage_only);
        assert_eq!(only.usage.unwrap().tokens.total(), 7);
        let last = chunk(
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
                "usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        assert!(!last.is_usage_only && last.usage.is_some());
        assert!(!chunk(r#"{"choices":[],"usage":null}"#).is_usage_only);
        for more in [r#""content":"x""#, r#""Text":["x"]"#, r#""vendor":{"text":"x"}"#] {
            let json = format!(r#"{{"choices":[],"usage":{{"prompt_tokens":3}},{more}}}"#);
            assert!(!chunk(&json).is_usage_only, "{more}");
        }
    }

    #[test]
    fn an_error_is_told_apart_from_a_chunk_in_all_its_shapes() {
        for error in [
            r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#,
            r#"{"error":"m"}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"m"}}"#,
            r#"{"object":"error","message":"m","code":400}"#,
        ] {
            assert!(chunk(error).error.is_some(), "{error}");
        }
        for fine in [r#"{"choices":[],"error":null}"#, r#"{"type":"ping"}"#, r#"{"id":"x"}"#] {
            assert_eq!(chunk(fine).error, None, "{fine}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_unparsable() {
        for bad in [
            "",
            "x",
            "7",
            "[]",
            "null",
            "{",
            r#"{"choices":{}}"#,
            r#"{"choices":[7]}"#,
            r#"{"choices":[]} x"#,
        ] {
            assert_eq!(Chunk::parse(bad.as_bytes()), Err(Unparsable), "{bad}");
        }
        assert_eq!(Chunk::parse(b"{\"x\":\"\xff\"}"), Err(Unparsable));
    }
}
