//! Google's Code Assist under a client of Gemini's: the same dialect in an envelope, so that bytes pass.

use providerpool::domain::provider::ApiFormat;
use reqwest::{Method, RequestBuilder};

use super::support::{
    Reply, Streaming, TestApp,
    script::{gate, raw, stream},
};

const QUESTION: &str = r#"{ "contents":[{"parts":[{"text":"h\u00e9"}]}], "novel" : [1.0] }"#;
const ANSWER: &str = r#"{ "candidates":[{"content":{"role":"model","parts":[{"text":"Hi","novel":1.0}]},"finishReason":"STOP"}] ,"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2},"novel":[{}] }"#;

async fn app() -> TestApp {
    TestApp::speaking(ApiFormat::Cloudcode).await
}

fn ask(app: &TestApp, method: &str) -> RequestBuilder {
    let request = app.request(Method::POST, &format!("/v1beta/models/test-model:{method}"));
    request.header("x-goog-api-key", &app.client_key).body(QUESTION)
}

fn enveloped(response: &str) -> String {
    format!(r#"{{"response":{response},"traceId":"t"}}"#)
}

#[actix_web::test]
async fn what_a_gemini_client_says_and_reads_is_put_into_the_envelope_and_out_of_it() {
    let app = app().await;
    app.upstream.next(raw(200, enveloped(ANSWER)));
    let answer = Reply::to(ask(&app, "generateContent")).await;
    assert_eq!((answer.status, answer.text()), (200, ANSWER));
    assert_eq!(answer.header("x-providerpool-translation"), "lossless");
    let call = app.upstream.last();
    assert_eq!(call.path, "/v1internal:generateContent");
    assert_eq!(call.text(), format!(r#"{{"model":"test-model","request":{QUESTION}}}"#));

    let event = format!("data: {}\n\n", enveloped(ANSWER));
    app.upstream.next(stream().send(&event[..40]).send(&event[40..]));
    let streamed = Reply::to(ask(&app, "streamGenerateContent?alt=sse")).await;
    assert_eq!((streamed.status, streamed.text()), (200, &*format!("data: {ANSWER}\n\n")));
    assert_eq!(app.upstream.last().path, "/v1internal:streamGenerateContent?alt=sse");
    let ledger = app.ledger().await;
    assert_eq!((ledger.completed, ledger.input, ledger.output), (2, 10, 4));
}

#[actix_web::test]
async fn an_error_in_the_envelope_leads_on_and_is_told_in_a_stream_that_has_begun() {
    let app = app().await;
    let failed = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    app.upstream.next(raw(200, enveloped(failed)));
    app.upstream.next(raw(200, enveloped(ANSWER)));
    let answer = Reply::to(ask(&app, "generateContent")).await;
    assert_eq!((answer.status, answer.text()), (200, ANSWER));
    assert_eq!(answer.header("x-providerpool-attempts"), "2");

    let begun = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#;
    let [first, second] = [begun, failed].map(|event| format!("data: {}\n\n", enveloped(event)));
    let (gate, opened) = gate();
    app.upstream.next(stream().send(first).wait(opened).send(second));
    let mut streaming = Streaming::to(ask(&app, "streamGenerateContent?alt=sse")).await;
    assert_eq!(streaming.until("Hi").await, format!("data: {begun}\n\n"));
    gate.open();
    let last = streaming.rest().await;
    assert!(last.starts_with(r#"data: {"error":{"code":"#), "{last}");
    // It was asked once to go on with its stream, and said something else.
    assert_eq!(app.upstream.calls(), 4);
}
