//! How long an answer may be: what providers are told when the model can write only so much.

use providerpool::{
    config::Config,
    domain::{
        model::{Capabilities, ServedModel},
        provider::ApiFormat,
    },
};
use serde_json::{Value, json};

use crate::support::{Reply, Setup, TestApp, dialect::whole, script::raw, served};

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m",
    "content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,
    "usage":{"input_tokens":5,"output_tokens":2}}"#;

/// One provider that speaks Messages, with one model that writes 3,000 tokens.
async fn app() -> TestApp {
    let configure: fn(&mut Config) = |config| {
        config.providers[0].api_format = Some(ApiFormat::Anthropic);
        let model = ServedModel { output_tokens: Some(3_000), ..served("test-model", None) };
        config.providers[0].models = vec![model, served("claude-opus-4-7", None)];
    };
    TestApp::with(Setup { configure, ..Setup::default() }).await
}

/// The limit that was sent, and what the client is told to have lost.
async fn sent(app: &TestApp, model: &str, limits: Value) -> (Value, String) {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    app.upstream.next(raw(200, ANSWER));
    let reply = Reply::to(app.relay(body.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent: Value = serde_json::from_str(app.upstream.last().text()).unwrap();
    (sent["max_tokens"].clone(), reply.header("x-providerpool-translation").to_owned())
}

#[actix_web::test]
async fn an_answer_may_be_as_long_as_its_model_can_make_it() {
    let app = app().await;
    for (model, limits, told, lost) in [
        ("test-model", json!({}), 3_000, "lossless"),
        ("test-model", json!({"max_completion_tokens": 2_000}), 2_000, "lossless"),
        ("test-model", json!({"max_tokens": 90_000}), 3_000, "max_output_tokens"),
        ("claude-opus-4-7", json!({}), 128_000, "lossless"),
    ] {
        let sent = sent(&app, model, limits.clone()).await;
        assert_eq!(sent, (json!(told), lost.to_owned()), "{model} {limits}");
    }
}

/// A request of each API with the limits it has, and as it goes to a model that writes 3,000 tokens.
const PASSED_THROUGH: [(ApiFormat, &str, &str, &str); 6] = [
    (
        ApiFormat::Openai,
        "/v1/chat/completions",
        r#"{"max_tokens": 90000,"model":"test-model","max_completion_tokens":4000.0,"messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"max_tokens": 3000,"model":"test-model","max_completion_tokens":3000,"messages":[{"role":"user","content":"hi"}]}"#,
    ),
    (
        ApiFormat::Responses,
        "/v1/responses",
        r#"{"model":"test-model","input":"hi","max_output_tokens":3001}"#,
        r#"{"model":"test-model","input":"hi","max_output_tokens":3000}"#,
    ),
    (
        ApiFormat::Anthropic,
        "/v1/messages",
        r#"{"model":"test-model","max_tokens":90000,"messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"model":"test-model","max_tokens":3000,"messages":[{"role":"user","content":"hi"}]}"#,
    ),
    (
        ApiFormat::Google,
        "/v1beta/models/test-model:generateContent",
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"topK":1,"maxOutputTokens":4000}}"#,
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"topK":1,"maxOutputTokens":3000}}"#,
    ),
    (
        ApiFormat::Google,
        "/v1beta/models/test-model:generateContent",
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"max_output_tokens":4000,"thinkingConfig":{"thinkingBudget":9}}}"#,
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"max_output_tokens":3000}}"#,
    ),
    (
        ApiFormat::Ollama,
        "/api/chat",
        r#"{"model":"test-model","stream":false,"options":{"num_predict":4000},"messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"model":"test-model","stream":false,"options":{"num_predict":3000},"messages":[{"role":"user","content":"hi"}]}"#,
    ),
];

// It used to go on as it was, and was refused upstream.
#[actix_web::test]
async fn a_limit_that_is_passed_through_is_no_larger_than_the_models() {
    let configure: fn(&mut Config) = |config| {
        let capabilities = Some(Capabilities::NONE);
        let output_tokens = Some(3_000);
        let model = ServedModel { output_tokens, capabilities, ..served("test-model", None) };
        config.providers[0].models = vec![model];
    };
    for (format, path, asked, expected) in PASSED_THROUGH {
        let app =
            TestApp::with(Setup { speaks: Some(format), configure, ..Setup::default() }).await;
        let ask = async |body: &str| {
            app.upstream.next(whole(format));
            let request = app.request(reqwest::Method::POST, path).bearer_auth(&app.client_key);
            let reply = Reply::to(request.body(body.to_owned())).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let told = reply.header("x-providerpool-translation").to_owned();
            (app.upstream.last().text().to_owned(), told)
        };
        let (sent, told) = ask(asked).await;
        assert_eq!(sent, expected);
        assert!(told.contains("max_output_tokens"), "{told}");
        // As much as it can write is not too much.
        assert_eq!(ask(expected).await, (expected.to_owned(), "lossless".to_owned()));
    }
}

#[actix_web::test]
async fn clients_are_shown_how_much_a_model_writes() {
    let app = app().await;
    let request = app
        .request(reqwest::Method::GET, "/v1/models/test-model")
        .header("x-api-key", &app.client_key)
        .header("anthropic-version", "2023-06-01");
    assert_eq!(Reply::to(request).await.json["max_tokens"], 3_000);
}
