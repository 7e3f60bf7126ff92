//! What a request asks of the model that serves it: what it must be able to do, and how much of its
//! window is surely taken.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ChatRequest,
    words::{read_at, values_of},
};
use crate::domain::model::{Capabilities, Capability};

/// Visible characters to a token, at most: texts in common languages and code have two to five.
pub const CHARACTERS_PER_TOKEN: u64 = 6;

/// Tokens that anything given as base64 costs at least: a second of sound takes ten, an image more.
pub const TOKENS_PER_MEDIUM: u64 = 10;

// Made once: most requests hold neither, and making ready to search costs more than the search.
static IMAGE_URL: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(br#""image_url""#));
static INPUT_AUDIO: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(br#""input_audio""#));

/// Where the parts of a body stand that routing may ask about. Absent also when they are `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub messages: Range<usize>,
    pub tools: Option<Range<usize>>,
    pub functions: Option<Range<usize>>,
    pub response_format: Option<Range<usize>>,
    pub reasoning_effort: Option<Range<usize>>,
    pub reasoning: Option<Range<usize>>,
    pub max_tokens: Option<Range<usize>>,
    pub max_completion_tokens: Option<Range<usize>>,
    pub prompt_cache_key: Option<Range<usize>>,
    pub session_id: Option<Range<usize>>,
    pub conversation: Option<Range<usize>>,
    pub conversation_id: Option<Range<usize>>,
    pub metadata: Option<Range<usize>>,
}

/// The bytes of one part; none when it is absent.
pub(super) fn part<'b>(body: &'b [u8], at: Option<&Range<usize>>) -> &'b [u8] {
    at.and_then(|at| body.get(at.clone())).unwrap_or_default()
}

#[derive(Deserialize)]
struct WireResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireReasoning<'a> {
    #[serde(borrow)]
    effort: Option<Cow<'a, str>>,
    enabled: Option<bool>,
}

impl ChatRequest {
    /// What the model must be able to do. `body` is what this was parsed from.
    ///
    /// A word in a text of the conversation does not count, only what is really there.
    pub fn needs(&self, body: &[u8]) -> Capabilities {
        let parts = &self.parts;
        let messages = self.messages(body);
        let needed = [
            (Capability::Vision, has_field(messages, &IMAGE_URL)),
            (Capability::Audio, has_field(messages, &INPUT_AUDIO)),
            (Capability::Tools, has_items(part(body, parts.tools.as_ref()))),
            (Capability::Tools, has_items(part(body, parts.functions.as_ref()))),
            (Capability::Json, asks_json(part(body, parts.response_format.as_ref()))),
            (Capability::Thinking, asks_thinking(part(body, parts.reasoning_effort.as_ref()))),
            (Capability::Thinking, asks_thinking(part(body, parts.reasoning.as_ref()))),
            (Capability::Streaming, self.stream),
        ];
        needed.into_iter().filter(|(_, is_needed)| *is_needed).map(|(which, _)| which).collect()
    }

    /// Tokens of a window that the prompt and the longest answer allowed surely take, to leave out
    /// models that are too small. `body` is what this was parsed from.
    ///
    /// Errs on the low side: the prompt is often half as long again, so that nothing is left out
    /// that could have served. White space is not counted, nor are bytes given as base64.
    pub fn estimated_tokens(&self, body: &[u8]) -> u64 {
        let parts = &self.parts;
        let messages = self.messages(body);
        let (encoded, media) = encoded_media(messages);
        let characters = visible_characters(messages)
            + visible_characters(part(body, parts.tools.as_ref()))
            + visible_characters(part(body, parts.functions.as_ref()));
        let prompt = characters.saturating_sub(encoded) / CHARACTERS_PER_TOKEN;
        let limits = [parts.max_tokens.as_ref(), parts.max_completion_tokens.as_ref()];
        let answer = limits.into_iter().filter_map(|at| whole_number(part(body, at))).min();
        let media = media.saturating_mul(TOKENS_PER_MEDIUM);
        prompt.saturating_add(media).saturating_add(answer.unwrap_or(0))
    }

    /// The list of messages as it was written.
    pub(super) fn messages<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.parts.messages.clone()).unwrap_or_default()
    }
}

fn has_field(messages: &[u8], quoted: &memmem::Finder<'_>) -> bool {
    quoted.find(messages).is_some() && values_of(messages, quoted.needle()).next().is_some()
}

fn has_items(json: &[u8]) -> bool {
    let inside = json.strip_prefix(b"[").and_then(|json| json.strip_suffix(b"]"));
    inside.is_some_and(|inside| !inside.trim_ascii().is_empty())
}

fn asks_json(json: &[u8]) -> bool {
    let format: Option<WireResponseFormat<'_>> = serde_json::from_slice(json).ok();
    let kind = format.and_then(|format| format.kind);
    matches!(kind.as_deref(), Some("json_object" | "json_schema"))
}

/// For an effort by itself, and for an object that may name one.
fn asks_thinking(json: &[u8]) -> bool {
    if matches!(json, b"" | b"null" | b"false" | b"\"\"" | b"\"none\"" | b"{}" | b"[]") {
        return false;
    }
    // What has another shape is unknown: it asks for something.
    let reasoning: Option<WireReasoning<'_>> = serde_json::from_slice(json).ok();
    reasoning.is_none_or(|reasoning| {
        reasoning.enabled != Some(false) && reasoning.effort.as_deref() != Some("none")
    })
}

fn whole_number(json: &[u8]) -> Option<u64> {
    std::str::from_utf8(json).ok()?.parse().ok()
}

/// Characters that are neither white space nor controls; an escape like `\u00e9` is one.
fn visible_characters(json: &[u8]) -> u64 {
    let visible = json.iter().filter(|byte| **byte > b' ' && (**byte & 0xC0) != 0x80).count();
    let escapes = memmem::find_iter(json, br"\u").count();
    visible.saturating_sub(escapes * 5) as u64
}

/// How many bytes are media in base64, and how many media they are.
fn encoded_media(messages: &[u8]) -> (u64, u64) {
    let mut bytes = 0;
    let mut media = 0;
    let mut at = 0;
    // A data URL ends with the text it stands in, or earlier: then a little less is counted.
    while let Some(found) = memmem::find(&messages[at..], b";base64,") {
        at += found;
        let length = memchr(b'"', &messages[at..]).unwrap_or(messages.len() - at);
        at += length;
        bytes += length as u64;
        media += 1;
    }
    for sound in values_of(messages, br#""input_audio""#) {
        if let Some((raw, _)) = read_at::<&RawValue>(messages, sound)
            && memmem::find(raw.get().as_bytes(), b";base64,").is_none()
        {
            bytes += raw.get().len() as u64;
            media += 1;
        }
    }
    (bytes, media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(body: &str) -> Vec<&'static str> {
        let request = ChatRequest::parse(body.as_bytes()).expect(body);
        request.needs(body.as_bytes()).iter().map(Capability::as_str).collect()
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)
    }

    fn saying(content: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#)
    }

    fn tokens(body: &str) -> u64 {
        ChatRequest::parse(body.as_bytes()).expect(body).estimated_tokens(body.as_bytes())
    }

    #[test]
    fn what_is_asked_for_must_be_there() {
        for (fields, expected) in [
            (r#""tools":[{"type":"function"}]"#, "tools"),
            (r#""functions":[ {} ]"#, "tools"),
            (r#""response_format":{"type":"json_object"}"#, "json"),
            (r#""response_format":{"json_schema":{"type":"x"},"type":"json_schema"}"#, "json"),
            (r#""reasoning_effort":"minimal""#, "thinking"),
            (r#""reasoning":{"effort":"high"}"#, "thinking"),
            (r#""reasoning":{"max_tokens":2000}"#, "thinking"),
            (r#""reasoning":{"enabled":true,"effort":null}"#, "thinking"),
            (r#""reasoning":true"#, "thinking"),
            (r#""stream":true"#, "streaming"),
        ] {
            assert_eq!(needs(&with(fields)), [expected], "{fields}");
        }
        let image = r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#;
        assert_eq!(needs(&saying(image)), ["vision"]);
        let sound = r#"[{ "input_audio" : {"data":"AAAA","format":"wav"}, "type":"input_audio"}]"#;
        assert_eq!(needs(&saying(sound)), ["audio"]);
    }

    #[test]
    fn what_is_empty_or_refused_or_only_spoken_of_is_not_needed() {
        for fields in [
            r#""tools":null"#,
            r#""tools":[ ]"#,
            r#""tools":{}"#,
            r#""functions":[]"#,
            r#""response_format":{"type":"text"}"#,
            r#""response_format":{"type":7}"#,
            r#""response_format":"json_object""#,
            r#""reasoning_effort":null"#,
            r#""reasoning_effort":"none""#,
            r#""reasoning":{"effort":"none"}"#,
            r#""reasoning":{"enabled":false}"#,
            r#""reasoning":false"#,
            r#""stream":false"#,
            r#""metadata":{"image_url":"x"}"#,
        ] {
            assert!(needs(&with(fields)).is_empty(), "{fields}");
        }
        for content in [
            r#""image_url""#,
            r#""say \"image_url\": {}""#,
            r#""say \"image_url""#,
            r#""\\\"input_audio\":""#,
            r#"[{"type":"text","text":"input_audio"},{"type":"text","text":":"}]"#,
        ] {
            assert!(needs(&saying(content)).is_empty(), "{content}");
        }
    }

    #[test]
    fn an_estimate_grows_with_the_prompt_and_stays_below_it() {
        let english = "The quick brown fox jumps over the lazy dog. ".repeat(100);
        let said = tokens(&saying(&format!("\"{english}\"")));
        // Ten tokens to a sentence, whichever tokenizer.
        assert!((500..1000).contains(&said), "{said}");
        let tools = with(&format!(r#""tools":[{{"description":"{english}"}}]"#));
        assert!(tokens(&tools) >= 500);
    }

    #[test]
    fn the_same_text_is_estimated_alike_however_it_is_written() {
        let plain = tokens(&saying(&format!("\"{}\"", "привет ".repeat(100))));
        let escaped = tokens(&saying(&format!(
            "\"{}\"",
            r"\u043f\u0440\u0438\u0432\u0435\u0442 ".repeat(100)
        )));
        assert_eq!(plain, escaped);
        let spaced = saying(&format!("\"{}\"", "привет     ".repeat(100)));
        assert_eq!(tokens(&spaced), plain);
    }

    #[test]
    fn media_are_not_counted_by_their_bytes() {
        let data = "A".repeat(100_000);
        let image = saying(&format!(
            r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#
        ));
        let sound = saying(&format!(
            r#"[{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}]"#
        ));
        for body in [image, sound] {
            assert!((TOKENS_PER_MEDIUM..50).contains(&tokens(&body)), "{}", tokens(&body));
        }
    }

    #[test]
    fn the_longest_answer_allowed_is_added() {
        let bare = tokens(&with(r#""n":1"#));
        for (fields, added) in [
            (r#""max_tokens":1000"#, 1000),
            (r#""max_completion_tokens":7"#, 7),
            (r#""max_tokens":9,"max_completion_tokens":8"#, 8),
            (r#""max_tokens":null"#, 0),
            (r#""max_tokens":-1"#, 0),
            (r#""max_tokens":"many""#, 0),
        ] {
            assert_eq!(tokens(&with(fields)), bare + added, "{fields}");
        }
        assert_eq!(tokens(&with(r#""max_tokens":18446744073709551615"#)), u64::MAX);
    }
}
