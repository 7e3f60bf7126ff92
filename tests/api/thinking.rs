//! How to think, said to a model that is known not to: it is asked without, and the client is told, in
//! every pair of dialects.

use providerpool::{
    config::Config,
    domain::{
        model::{Capabilities, ServedModel},
        provider::ApiFormat,
    },
};
use reqwest::Method;

use crate::support::{
    Reply, Setup, TestApp,
    dialect::{FORMATS, whole},
    served,
};

/// Where is asked, and a body that ends with how to think, and one that refuses it.
const ASKED: [(ApiFormat, &str, &str, &str, &str); 5] = [
    (
        ApiFormat::Openai,
        "/v1/chat/completions",
        r#"{"model":"test-model","messages":[{"role":"user","content":"hi"}] "#,
        r#","reasoning_effort":"high"}"#,
        r#","reasoning_effort":"none"}"#,
    ),
    (
        ApiFormat::Responses,
        "/v1/responses",
        r#"{"model":"test-model","input":"hi" "#,
        r#","reasoning":{"effort":"high"}}"#,
        r#","reasoning":{"effort":"none"}}"#,
    ),
    (
        ApiFormat::Anthropic,
        "/v1/messages",
        r#"{"model":"test-model","max_tokens":2000,"messages":[{"role":"user","content":"hi"}] "#,
        r#","thinking":{"type":"enabled","budget_tokens":1024}}"#,
        r#","thinking":{"type":"disabled"}}"#,
    ),
    (
        ApiFormat::Google,
        "/v1beta/models/test-model:generateContent",
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"topK":1"#,
        r#","thinkingConfig":{"thinkingBudget":1024}}}"#,
        r#","thinkingConfig":{"thinkingBudget":0}}}"#,
    ),
    (
        ApiFormat::Ollama,
        "/api/chat",
        r#"{"model":"test-model","stream":false,"messages":[{"role":"user","content":"hi"}] "#,
        r#","think":true}"#,
        r#","think":false}"#,
    ),
];

fn not_thinking(config: &mut Config) {
    let capabilities = Some(Capabilities::NONE);
    let model = ServedModel { capabilities, ..served("test-model", None) };
    config.providers[0].models = vec![model];
}

/// What goes upstream, and what the client is told to have lost.
async fn sent(app: &TestApp, format: ApiFormat, path: &str, body: String) -> (String, String) {
    app.upstream.next(whole(format));
    let request = app.request(Method::POST, path).bearer_auth(&app.client_key);
    let reply = Reply::to(request.body(body)).await;
    assert_eq!(reply.status, 200, "{path} of {format:?}: {}", reply.text());
    let told = reply.header("x-providerpool-translation").to_owned();
    (app.upstream.last().text().to_owned(), told)
}

#[actix_web::test]
async fn a_model_that_cannot_think_is_asked_without_and_the_client_is_told() {
    for format in FORMATS {
        let (speaks, configure): (_, fn(&mut Config)) = (Some(format), not_thinking);
        let app = TestApp::with(Setup { speaks, configure, ..Setup::default() }).await;
        for (own, path, body, thinking, refusal) in ASKED {
            let what = format!("{path} of {format:?}");
            let (up, told) = sent(&app, format, path, format!("{body}{thinking}")).await;
            assert!(told.contains("thinking"), "{what}: {told}");
            assert!(!up.contains("think") && !up.contains("reasoning"), "{what}: {up}");
            if own == format {
                let end = if path.contains("generateContent") { "}}" } else { "}" };
                assert_eq!(up, format!("{}{end}", body.trim_end()), "{what}");
                let refusing = format!("{body}{refusal}");
                let (up, told) = sent(&app, format, path, refusing.clone()).await;
                assert_eq!((up, told), (refusing, "lossless".to_owned()), "{what}");
            }
        }
    }
}

#[actix_web::test]
async fn sealed_thoughts_are_not_asked_for_where_thinking_is_taken_out() {
    let format = ApiFormat::Responses;
    let configure: fn(&mut Config) = not_thinking;
    let app = TestApp::with(Setup { speaks: Some(format), configure, ..Setup::default() }).await;
    for (asked, expected) in [
        (
            r#"{"reasoning":{"effort":"high"},"include":["reasoning.encrypted_content"],"model":"test-model","input":"hi"}"#,
            r#"{"model":"test-model","input":"hi"}"#,
        ),
        (
            r#"{"model":"test-model","include":["reasoning.encrypted_content","message.output_text.logprobs"],"input":"hi","reasoning":{"effort":"high"}}"#,
            r#"{"model":"test-model","include":["message.output_text.logprobs"],"input":"hi"}"#,
        ),
        (
            r#"{"model":"test-model","include":["message.output_text.logprobs"],"input":"hi","reasoning":{"effort":"high"}}"#,
            r#"{"model":"test-model","include":["message.output_text.logprobs"],"input":"hi"}"#,
        ),
    ] {
        let (up, told) = sent(&app, format, "/v1/responses", asked.to_owned()).await;
        assert_eq!((up.as_str(), told.as_str()), (expected, "thinking"));
    }
}
