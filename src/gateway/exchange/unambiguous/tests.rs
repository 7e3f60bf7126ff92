use proptest::prelude::*;

use super::*;
use crate::gateway::{
    exchange::{
        ClientApi, ClientCall,
        facts::{MAX_DEPTH, check},
    },
    translate::{PathParams, embeddings::EmbeddingApi},
};

fn checked(asked: ClientCall, body: &str, path_model: Option<&str>) -> Result<(), InvalidRequest> {
    let model = path_model.map(|name| ModelName::parse(name).unwrap());
    check(asked, body.as_bytes(), &PathParams { model, stream: None })
}

fn param(asked: ClientCall, body: &str) -> Option<String> {
    checked(asked, body, None).expect_err(body).param.map(Into::into)
}

const CHAT: ClientCall = ClientCall::Generate(ClientApi::Chat);
const GEMINI: ClientCall = ClientCall::Generate(ClientApi::Gemini);

fn every_asked() -> Vec<ClientCall> {
    let answers = ClientApi::ALL.map(ClientCall::Generate);
    let counts = [ClientApi::Messages, ClientApi::Gemini].map(ClientCall::TokenCount);
    let embeddings = [
        EmbeddingApi::OpenAi,
        EmbeddingApi::GeminiOne,
        EmbeddingApi::GeminiBatch,
        EmbeddingApi::Ollama,
        EmbeddingApi::OllamaLegacy,
    ];
    let embeddings = embeddings.map(ClientCall::Embeddings);
    answers.into_iter().chain(counts).chain(embeddings).collect()
}

#[test]
fn a_key_that_stands_twice_is_refused_however_it_is_written() {
    for asked in every_asked() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","mod\u0065l":"a"}"#,
            r#"{"model":"a","Model":"b"}"#,
            r#"{"stream":true,"x":{"stream":1},"\u0073tream":false}"#,
            r#"{"stream":true,"STREAM":true}"#,
            "{\"stream\":true,\"\u{17f}tream\":true}",
            "{\"k\":true,\"\u{212a}\":true}",
            r#" { "x" : "\"}," , "y":[{"x":1},"x"], "x" : 1 } "#,
        ] {
            checked(asked, body, None).expect_err(body);
        }
        let many: Vec<_> = (0..100).map(|n| format!(r#""f{n}":{n}"#)).collect();
        checked(asked, &format!("{{{}}}", many.join(",")), None).unwrap();
        checked(asked, &format!("{{{},\"F7\":1}}", many.join(",")), None).unwrap_err();
    }
    assert_eq!(param(CHAT, r#"{"a":1,"A":2}"#).as_deref(), Some("A"));
}

#[test]
fn what_decides_is_not_written_in_another_case() {
    for asked in every_asked() {
        for key in ["Model", "MODEL", "mode\\u004c"] {
            let body = format!(r#"{{"{key}":"a"}}"#);
            assert_eq!(param(asked, &body).as_deref(), Some("model"), "{body}");
        }
        assert_eq!(param(asked, r#"{"Stream":true}"#).as_deref(), Some("stream"));
        checked(asked, r#"{"mod\u0065l":"a"}"#, None).unwrap();
    }
}

#[test]
fn what_is_the_clients_own_may_be_as_it_likes() {
    for body in [
        r#"{"model":"m","metadata":{"a":1,"A":2,"model":"x"}}"#,
        r#"{"tools":[{"function":{"parameters":{"a":1,"a":2}}}]}"#,
        r#"{"messages":[{"content":"x","tool_calls":[{"arguments":{"Model":1,"model":2}}]}]}"#,
        r#"{"a_b":1,"aB":2}"#,
    ] {
        checked(CHAT, body, None).unwrap();
    }
}

#[test]
fn googles_names_are_the_same_in_both_ways_of_writing_and_in_each_request() {
    for body in [
        r#"{"generationConfig":{},"generation_config":{}}"#,
        r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#,
        r#"{"generation_config":{"topK":1,"TOPK":2}}"#,
        r#"{"generateContentRequest":{"model":"a","model":"b"}}"#,
        r#"{"generate_content_request":{"contents":[],"Contents":[]}}"#,
        r#"{"requests":[{"model":"a"},{"model":"a","mod\u0065l":"b"}]}"#,
        r#"{"requests":[{"Model":"a"}]}"#,
        r#"{"generationConfig":[]}"#,
    ] {
        for asked in [GEMINI, ClientCall::TokenCount(ClientApi::Gemini)] {
            checked(asked, body, None).expect_err(body);
        }
    }
    let wrong = r#"{"requests":[{},{"a_b":1,"aB":2}]}"#;
    assert_eq!(param(GEMINI, wrong).as_deref(), Some("requests[1].aB"));
}

#[test]
fn a_body_names_no_other_model_than_the_path() {
    let models = |name: &str| {
        [
            format!(r#"{{"model":"{name}"}}"#),
            format!(r#"{{"generateContentRequest":{{"model":"{name}"}}}}"#),
            format!(r#"{{"requests":[{{"model":"a"}},{{"model":"{name}"}}]}}"#),
        ]
    };
    for body in models("b").iter().chain(&models("models/b")).chain(&models("a/b")) {
        checked(GEMINI, body, Some("a")).expect_err(body);
        checked(GEMINI, body, None).unwrap();
    }
    for body in models("a").iter().chain(&models("models/a")) {
        checked(GEMINI, body, Some("a")).unwrap();
        checked(GEMINI, body, Some("models/a")).unwrap();
    }
}

#[test]
fn only_objects_are_bodies_and_their_depth_is_bounded() {
    for body in ["", " ", "[]", r#"["model"]"#, "7", "\"{}\"", "null"] {
        for asked in every_asked() {
            checked(asked, body, None).expect_err(body);
        }
    }
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    checked(CHAT, &nested(MAX_DEPTH - 1), None).unwrap();
    checked(CHAT, &nested(MAX_DEPTH), None).unwrap_err();
    checked(CHAT, &nested(1_000_000), None).unwrap_err();
    let text = format!(r#"{{"x":"\"{}\\"}}"#, "[".repeat(1000));
    checked(CHAT, &text, None).unwrap();
}

#[test]
fn what_is_an_object_is_no_list() {
    checked(CHAT, r#"{"stream_options":[true]}"#, None).unwrap_err();
    checked(CHAT, r#"{"stream_options":null}"#, None).unwrap();
    checked(ClientCall::Generate(ClientApi::OllamaChat), r#"{"options":[1]}"#, None).unwrap_err();
}

proptest! {
    #[test]
    fn anything_is_looked_through_to_its_end(body in ".{0,60}", json in r#"[\[\]{}":,\\a\n]{0,60}"#) {
        let _ = checked(GEMINI, &body, None);
        let _ = checked(GEMINI, &format!("{{{json}"), None);
        let _ = check(CHAT, &[b"{".as_slice(), json.as_bytes(), b"\xff"].concat(), &PathParams::default());
    }

    /// Against the obvious: all keys unescaped, folded and counted.
    #[test]
    fn a_body_passes_if_and_only_if_its_keys_differ(
        keys in prop::collection::vec(r#"[abAB_\\"é{}\[\],:]{0,3}"#, 0..6),
        value in r#"[ab{}\[\],:"\\]{0,6}"#,
    ) {
        let fields = keys.iter().map(|key| {
            format!("{} : {}", serde_json::json!(key), serde_json::json!([value, {"a": 1}]))
        });
        let body = format!("{{{}}}", fields.collect::<Vec<_>>().join(" ,"));
        let folded: HashSet<String> = keys.iter().map(|key| key.to_lowercase()).collect();
        let differ = folded.len() == keys.len();
        prop_assert_eq!(checked(CHAT, &body, None).is_ok(), differ, "{}", body);
    }
}
