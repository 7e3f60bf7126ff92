//! The request: what routing needs of it, and the bytes that go upstream.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use memchr::{memchr2, memchr2_iter};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::needs::Parts;
use crate::domain::id::ModelName;

/// Deepest nesting of lists and objects taken. Deeper ones make some upstreams fail, and would then
/// count against the provider and not against the client.
pub const MAX_DEPTH: usize = 128;

/// A request that is refused before anyone is asked: it would be wrong everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RequestError {
    /// For people.
    pub message: String,
    /// The parameter it is about.
    pub param: Option<&'static str>,
}

impl RequestError {
    fn new(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param }
    }

    fn about(param: &'static str, message: impl Into<String>) -> Self {
        Self::new(Some(param), message)
    }
}

/// What routing needs of a request. The rest of its body is valid JSON and otherwise unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRequest {
    pub model: ModelName,
    pub stream: bool,
    /// Whether the client sent `stream_options`.
    pub has_stream_options: bool,
    /// Whether the client asked for a usage chunk of its own.
    pub include_usage: bool,
    /// Where the model's name stands in the body, quotes included.
    model_at: Range<usize>,
    /// Where the body's opening brace stands.
    opening: usize,
    pub(super) parts: Parts,
}

#[derive(Deserialize)]
struct WireRequest<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    // Twice optional: a `null` is there all the same, and must not be sent a second time.
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct WireStreamOptions {
    include_usage: Option<bool>,
}

impl ChatRequest {
    /// Reads a body once, all of it, and keeps only what routing needs.
    ///
    /// Errors: [`RequestError`] with the parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let text = std::str::from_utf8(body)
            .map_err(|_| RequestError::new(None, "the body is not valid UTF-8"))?;
        let opening = text.len() - text.trim_ascii_start().len();
        if !text[opening..].starts_with('{') {
            return Err(RequestError::new(None, "the body must be a JSON object"));
        }
        let wire: WireRequest<'_> = serde_json::from_str(text).map_err(|error| {
            RequestError::new(None, format!("the body is not a valid JSON object: {error}"))
        })?;
        if exceeds_depth(body) {
            let message = format!("the body nests lists and objects deeper than {MAX_DEPTH}");
            return Err(RequestError::new(None, message));
        }

        let raw_model =
            wire.model.ok_or_else(|| RequestError::about("model", "model is missing"))?;
        let model = parse_model(raw_model)?;
        let messages = check_messages(wire.messages)?;
        let stream = match wire.stream.map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(RequestError::about("stream", "stream must be true or false")),
        };
        let include_usage = match wire.stream_options {
            None => false,
            Some(raw) => serde_json::from_str::<Option<WireStreamOptions>>(raw.get())
                .map_err(|_| {
                    RequestError::about(
                        "stream_options",
                        "stream_options must be an object whose include_usage is true or false",
                    )
                })?
                .is_some_and(|options| options.include_usage == Some(true)),
        };
        // All borrow from the same text: the difference of their addresses is a position in it.
        let position = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + raw.get().len()
        };
        Ok(Self {
            model,
            stream,
            has_stream_options: wire.stream_options.is_some(),
            include_usage,
            model_at: position(raw_model),
            opening,
            parts: Parts {
                messages: position(messages),
                tools: wire.tools.map(position),
                functions: wire.functions.map(position),
                response_format: wire.response_format.map(position),
                reasoning_effort: wire.reasoning_effort.map(position),
                reasoning: wire.reasoning.map(position),
                max_tokens: wire.max_tokens.map(position),
                max_completion_tokens: wire.max_completion_tokens.map(position),
                prompt_cache_key: wire.prompt_cache_key.map(position),
                session_id: wire.session_id.map(position),
                conversation: wire.conversation.map(position),
                conversation_id: wire.conversation_id.map(position),
                metadata: wire.metadata.map(position),
            },
        })
    }

    /// Whether the pool may ask for a usage chunk without getting into the client's way.
    pub fn may_ask_usage(&self) -> bool {
        self.stream && !self.has_stream_options
    }
}

fn parse_model(raw: &RawValue) -> Result<ModelName, RequestError> {
    let name: Cow<'_, str> = if raw.get().contains('\\') {
        serde_json::from_str::<String>(raw.get())
            .map_err(|_| RequestError::about("model", "model must be a valid text"))?
            .into()
    } else {
        let unquoted = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        unquoted.ok_or_else(|| RequestError::about("model", "model must be a text"))?.into()
    };
    ModelName::parse(&name).map_err(|error| RequestError::about("model", error.to_string()))
}

fn check_messages(raw: Option<&RawValue>) -> Result<&RawValue, RequestError> {
    let raw = raw.ok_or_else(|| RequestError::about("messages", "messages is missing"))?;
    let inside = raw.get().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inside =
        inside.ok_or_else(|| RequestError::about("messages", "messages must be a list"))?;
    if inside.trim_ascii_start().is_empty() {
        return Err(RequestError::about("messages", "messages must hold at least one message"));
    }
    Ok(raw)
}

/// Whether valid JSON nests deeper than [`MAX_DEPTH`]. serde_json reads what it skips without
/// recursion, and so without a limit of its own.
pub fn exceeds_depth(json: &[u8]) -> bool {
    // A body with few brackets in all, inside texts or not, cannot nest deeply.
    if memchr2_iter(b'[', b'{', json).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_text(json, at),
            _ => (),
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// The position after the quote that closes the text whose inside begins at `at`.
pub fn end_of_text(json: &[u8], mut at: usize) -> usize {
    // A body that ends within an escape leaves nothing to look through.
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    json.len()
}

/// The body for an upstream: byte for byte the client's but for the model's name, and, when
/// `ask_usage` and [`ChatRequest::may_ask_usage`], for `stream_options` put in front.
///
/// `request` must have been parsed from `body`. When nothing changes, nothing is copied.
pub fn rewrite(
    body: &Bytes,
    request: &ChatRequest,
    upstream_model: &ModelName,
    ask_usage: bool,
) -> Bytes {
    const USAGE: &[u8] = br#""stream_options":{"include_usage":true},"#;

    let ask_usage = ask_usage && request.may_ask_usage();
    let written = &body[request.model_at.start + 1..request.model_at.end - 1];
    // Without a backslash, what is written is the name itself, and the name needs none.
    let same_name = written == upstream_model.as_str().as_bytes() && !written.contains(&b'\\');
    if same_name && !ask_usage {
        return body.clone();
    }
    let mut rewritten =
        Vec::with_capacity(body.len() + USAGE.len() + upstream_model.as_str().len());
    let mut rest = 0;
    if ask_usage {
        rest = request.opening + 1;
        rewritten.extend_from_slice(&body[..rest]);
        rewritten.extend_from_slice(USAGE);
    }
    if !same_name {
        rewritten.extend_from_slice(&body[rest..request.model_at.start]);
        serde_json::to_writer(&mut rewritten, upstream_model.as_str())
            .expect("a text is always JSON, and a vector takes any bytes");
        rest = request.model_at.end;
    }
    rewritten.extend_from_slice(&body[rest..]);
    rewritten.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_body_that_ends_within_an_escape_has_a_depth_all_the_same() {
        let brackets = "[".repeat(MAX_DEPTH / 2);
        let body = format!(r#"{brackets}"{brackets}{brackets}\"#);
        assert!(!exceeds_depth(body.as_bytes()));
    }

    fn parse(body: &str) -> ChatRequest {
        ChatRequest::parse(body.as_bytes()).unwrap()
    }

    fn rewritten(body: &str, model: &str, ask_usage: bool) -> String {
        let request = parse(body);
        let model = ModelName::parse(model).unwrap();
        let bytes = rewrite(&Bytes::copy_from_slice(body.as_bytes()), &request, &model, ask_usage);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_routing_needs_is_found_in_any_order() {
        let request = parse(
            r#" {"messages":[{}],"stream_options":{"include_usage":true},"stream":true,"model":"m"} "#,
        );
        assert_eq!(request.model.as_str(), "m");
        assert!(request.stream && request.has_stream_options && request.include_usage);
        assert!(!request.may_ask_usage());
        let plain = parse(r#"{"model":"m","messages":[{}],"stream":null}"#);
        assert!(!plain.stream && !plain.has_stream_options && !plain.include_usage);
    }

    #[test]
    fn bad_bodies_are_refused_with_the_parameter_at_fault() {
        let cases: [(&str, Option<&str>); 22] = [
            ("", None),
            ("nonsense", None),
            ("[]", None),
            ("\"text\"", None),
            (r#"{"model":"m","messages":[{}]} x"#, None),
            (r#"{"model":"m","messages":[{}]"#, None),
            (r#"{"model":"m","messages":[{}],}"#, None),
            (r#"{"model":"m","messages":[{}],"x":"\q"}"#, None),
            (r#"{"model":"m","model":"n","messages":[{}]}"#, None),
            (r#"{"model":"m","mod\u0065l":"n","messages":[{}]}"#, None),
            (r#"{"messages":[{}]}"#, Some("model")),
            (r#"{"model":null,"messages":[{}]}"#, Some("model")),
            (r#"{"model":7,"messages":[{}]}"#, Some("model")),
            (r#"{"model":" ","messages":[{}]}"#, Some("model")),
            (r#"{"model":"a\nb","messages":[{}]}"#, Some("model")),
            (r#"{"model":["\\"],"messages":[{}]}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("messages")),
            (r#"{"model":"m","messages":"hi"}"#, Some("messages")),
            (r#"{"model":"m","messages":[ ]}"#, Some("messages")),
            (r#"{"model":"m","messages":[{}],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[{}],"stream_options":1}"#, Some("stream_options")),
            (
                r#"{"model":"m","messages":[{}],"stream_options":{"include_usage":1}}"#,
                Some("stream_options"),
            ),
        ];
        for (body, param) in cases {
            let error = ChatRequest::parse(body.as_bytes()).expect_err(body);
            assert_eq!(error.param, param, "{body}: {error}");
        }
    }

    #[test]
    fn a_body_that_is_not_text_is_refused() {
        let error = ChatRequest::parse(b"{\"model\":\"m\",\"messages\":[\"\xff\"]}").unwrap_err();
        assert_eq!(error.message, "the body is not valid UTF-8");
    }

    #[test]
    fn nesting_has_a_limit_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| {
            format!(
                r#"{{"model":"m","messages":[{}{}]}}"#,
                "[".repeat(depth - 2),
                "]".repeat(depth - 2)
            )
        };
        assert!(ChatRequest::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(ChatRequest::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(ChatRequest::parse(nested(2_000_000).as_bytes()).is_err());
        let text = format!(r#"{{"model":"m","messages":["\"{}\\"]}}"#, "[".repeat(1000));
        assert!(ChatRequest::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn only_the_name_of_the_model_changes() {
        let body = "{ \"b\" : 1e400 , \"model\"\t:\"a\\u0062\", \"messages\":[ {\"x\":\"\\ud800\"} ],\
                    \"n\":123456789012345678901234567890, \"é\":\"\\u00e9\" }\n";
        let expected = body.replace("\"a\\u0062\"", "\"q\\\"uote\"");
        assert_eq!(rewritten(body, "q\"uote", true), expected);
    }

    #[test]
    fn the_same_name_copies_nothing() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[{}],"stream":true}"#);
        let request = ChatRequest::parse(&body).unwrap();
        let same = rewrite(&body, &request, &request.model, false);
        assert_eq!(same.as_ptr(), body.as_ptr());
        assert!(rewrite(&body, &request, &request.model, true).len() > body.len());
    }

    #[test]
    fn usage_is_asked_for_only_where_the_client_left_it_open() {
        let asked = "\n {\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\
                     \"messages\":[1],\"stream\":true}";
        assert_eq!(
            rewritten("\n {\"model\":\"m\",\"messages\":[1],\"stream\":true}", "m", true),
            asked
        );
        for body in [
            r#"{"model":"m","messages":[1]}"#,
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{}}"#,
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":null}"#,
        ] {
            assert_eq!(rewritten(body, "m", true), body);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_but_the_rewritten_fields_survives(
            extra in prop::collection::btree_map("[a-z\"\\\\é{]{1,6}", any_json(), 0..6),
            asked in "[a-z\"\\\\é/]{1,10}", upstream in "[a-z\"\\\\é/]{1,10}",
            stream in any::<bool>(), ask_usage in any::<bool>(), pretty in any::<bool>(),
        ) {
            let mut value = json!(extra);
            value["model"] = json!(asked);
            value["messages"] = json!([extra]);
            value["stream"] = json!(stream);
            let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let after: Value =
                serde_json::from_str(&rewritten(&body.unwrap(), &upstream, ask_usage)).unwrap();

            value["model"] = json!(upstream);
            if stream && ask_usage {
                value["stream_options"] = json!({"include_usage": true});
            }
            prop_assert_eq!(after, value);
        }
    }
}
