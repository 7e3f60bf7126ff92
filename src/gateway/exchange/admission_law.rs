//! The law of admission: whoever reads what goes upstream sees the model that was admitted.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{ClientApi, ClientCall, ClientRequest};
use crate::{
    domain::{id::ModelName, model::ModelFacts, provider::ApiFormat},
    gateway::{
        dialect::object::Fields,
        translate::{PathParams, Target, embeddings::EmbeddingApi},
    },
};

/// What is asked, whom, and a body for it without a model.
const PAIRS: [(ClientCall, ApiFormat, &str); 14] = [
    (ClientCall::Generate(ClientApi::Chat), ApiFormat::Openai, CHAT),
    (ClientCall::Generate(ClientApi::Chat), ApiFormat::Copilot, CHAT),
    (ClientCall::Generate(ClientApi::Chat), ApiFormat::Anthropic, CHAT),
    (ClientCall::Generate(ClientApi::Responses), ApiFormat::Responses, r#""input":"hi""#),
    (ClientCall::Generate(ClientApi::Messages), ApiFormat::Anthropic, MESSAGES),
    (ClientCall::TokenCount(ClientApi::Messages), ApiFormat::Anthropic, MESSAGES),
    (ClientCall::Generate(ClientApi::Gemini), ApiFormat::Google, GEMINI),
    (ClientCall::Generate(ClientApi::Gemini), ApiFormat::Cloudcode, GEMINI),
    (ClientCall::TokenCount(ClientApi::Gemini), ApiFormat::Google, GEMINI),
    (ClientCall::Generate(ClientApi::OllamaChat), ApiFormat::Ollama, CHAT),
    (ClientCall::Embeddings(EmbeddingApi::OpenAi), ApiFormat::Openai, r#""input":"hi""#),
    (ClientCall::Embeddings(EmbeddingApi::Ollama), ApiFormat::Ollama, r#""input":"hi""#),
    (
        ClientCall::Embeddings(EmbeddingApi::GeminiOne),
        ApiFormat::Google,
        r#""content":{"parts":[{"text":"hi"}]}"#,
    ),
    (
        ClientCall::Embeddings(EmbeddingApi::GeminiBatch),
        ApiFormat::Google,
        r#""requests":[{"content":{"parts":[{"text":"hi"}]}}]"#,
    ),
];
const CHAT: &str = r#""messages":[{"role":"user","content":"hi"}]"#;
const MESSAGES: &str = r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#;
const GEMINI: &str = r#""contents":[{"parts":[{"text":"hi"}]}]"#;

const ALLOWED: &str = "allowed";
const UPSTREAM: &str = "upstream";

/// Begins every name in a body that the client may not use.
const FORBIDDEN: &str = "forbidden";

/// Keys as they are written, by which one server or another picks a model or how it answers.
const KEYS: [&str; 29] = [
    "stream",
    "Stream",
    "\\u0073tream",
    "model",
    "mod\\u0065l",
    "Model",
    "MODEL",
    "models",
    "Models",
    "\\u006dodels",
    "route",
    "preset",
    "plugins",
    "fallbacks",
    "fallback_models",
    "tools",
    "TOOLS",
    "name",
    "draft_model",
    "extra_body",
    "providerOptions",
    "compound_custom",
    "user_config",
    "agent_id",
    "generationConfig",
    "generation_config",
    "generateContentRequest",
    "requests",
    "input",
];

fn any_value() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(format!("\"{ALLOWED}\"")),
        Just(format!("\"models/{ALLOWED}\"")),
        Just(format!("\"{FORBIDDEN}\"")),
        Just(format!("\"models/{FORBIDDEN}\"")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    name.prop_recursive(3, 12, 3, |inner| {
        let key = prop::sample::select(&KEYS[..]);
        let field = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        let settings = Just(r#""type":"vendor:tool""#.to_owned());
        let field = prop_oneof![4 => field, 1 => settings];
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(field, 0..3)
                .prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    })
}

/// The body of a request with these fields, if a key that is limited to one model may send it, and whether
/// it is taken to ask for a stream.
fn admitted(asked: ClientCall, format: ApiFormat, body: &str) -> Option<(Bytes, bool)> {
    let allowed = ModelName::parse(ALLOWED).unwrap();
    let in_path = asked.api().dialect() == ClientApi::Gemini.dialect();
    let addressed = PathParams { model: in_path.then(|| allowed.clone()), stream: None };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = ClientRequest::parse(asked, body, &addressed).ok()?;
    let allows = |name: &ModelName| *name == allowed;
    if !allows(request.model()) || request.find_forbidden(allows).is_some() {
        return None;
    }
    let model = ModelName::parse(UPSTREAM).unwrap();
    let target = Target { model: &model, max_output_tokens: None, asks_stream_usage: true };
    let sent = request.for_upstream(format, &target, &ModelFacts::default()).ok()?.body;
    Some((sent, request.is_streamed()))
}

/// What each kind of reader takes for this field: the first, the last, and each that is called so without
/// regard to case.
fn values_seen(object: &RawValue, name: &str) -> Vec<String> {
    let Ok(Fields(fields)) = serde_json::from_str(object.get()) else { return Vec::new() };
    let named = fields.iter().filter(|(key, _)| key.to_lowercase() == name);
    named.map(|(_, value)| value.get().trim_matches('"').replace("models/", "")).collect()
}

/// Every text in a field by which some server picks a model, at any depth. `picks`: whether this is one.
fn names_seen(value: &RawValue, picks: bool, seen: &mut Vec<String>) {
    if let Ok(Fields(fields)) = serde_json::from_str(value.get()) {
        for (key, value) in fields {
            let key = key.to_lowercase();
            let is_one = key.contains("model")
                || ["route", "preset", "fallbacks", "user_config", "agent_id"].contains(&&*key);
            // What stands there is the client's own.
            if key != "input" {
                names_seen(value, picks || is_one, seen);
            }
        }
    } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        for value in list {
            names_seen(value, picks, seen);
        }
    } else if picks {
        seen.push(value.get().to_owned());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_upstream_names_no_model_but_the_one_that_was_admitted(
        pair in prop::sample::select(&PAIRS[..]),
        extra in prop::collection::vec((prop::sample::select(&KEYS[..]), any_value()), 0..3),
        at in 0_usize..4,
        names_itself in prop::bool::weighted(0.9),
    ) {
        let (asked, format, usual) = pair;
        let mut fields: Vec<String> = vec![usual.to_owned()];
        if names_itself {
            fields.push(format!("\"model\":\"{ALLOWED}\""));
        }
        for (key, value) in extra {
            fields.insert(at.min(fields.len()), format!("\"{key}\":{value}"));
        }
        let body = format!("{{{}}}", fields.join(","));
        let Some((sent, is_streamed)) = admitted(asked, format, &body) else { return Ok(()) };
        let text = std::str::from_utf8(&sent).unwrap();
        let sent: &RawValue = serde_json::from_str(text).unwrap();
        let mut names = Vec::new();
        names_seen(sent, false, &mut names);
        prop_assert!(!names.iter().any(|name| name.contains(FORBIDDEN)), "{body}\nbecame\n{text}");
        let streams = values_seen(sent, "stream");
        let is_told = |value: &String| value == "null" || (value == "true") == is_streamed;
        let says_how = !matches!(asked, ClientCall::Embeddings(_));
        prop_assert!(streams.len() <= 1, "{body}\nbecame\n{text}");
        prop_assert!(!says_how || streams.iter().all(is_told), "{body}\nbecame\n{text}");
        let in_path = asked.api().dialect() == ClientApi::Gemini.dialect();
        let seen = values_seen(sent, "model");
        // Nobody reads a model in `null`: where the path names it, the body may say so.
        let is_it = |name: &String| name == UPSTREAM || (in_path && name == "null");
        prop_assert!(seen.iter().all(is_it), "{body}\nbecame\n{text}");
        prop_assert!(seen.len() <= 1, "{body}\nbecame\n{text}");
        prop_assert!(in_path || seen.len() == 1, "{body}\nbecame\n{text}");
    }
}

/// A model in the body of a request whose path has named it is left alone when it is `null`, and renamed
/// otherwise.
#[test]
fn a_model_that_is_null_beside_one_in_the_path_names_none() {
    let gemini = |model: &str| format!("{{\"model\":{model},{GEMINI}}}");
    for (asked, sent) in [("null", "null"), ("\"allowed\"", "\"upstream\"")] {
        let admitted =
            admitted(ClientCall::Generate(ClientApi::Gemini), ApiFormat::Google, &gemini(asked));
        assert_eq!(admitted.unwrap().0, gemini(sent));
    }
}

/// The law would hold of nothing if nothing was admitted.
#[test]
fn usual_requests_are_admitted() {
    for (asked, format, usual) in PAIRS {
        let body = format!("{{\"model\":\"{ALLOWED}\",{usual},\"models\":[\"{ALLOWED}\"]}}");
        assert!(admitted(asked, format, &body).is_some(), "{asked:?} {format:?}");
    }
}
