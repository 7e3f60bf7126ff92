//! In which format a provider is asked: what it has told of itself, what its answers have taught, and
//! what somebody has set.

use providerpool::{
    actors::discovery::ShowDiscovery,
    config::ProviderConfig,
    domain::{id::ProviderId, provider::ApiFormat},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Reply, TestApp, Upstream, eventually, named_body,
    script::{Answer, MakeStep, Step, raw, whole},
};

/// One provider, of which nobody has said what it speaks, and which has told nothing at the start.
async fn unknown() -> TestApp {
    let app = TestApp::configured(|config| config.providers[0].api_format = None).await;
    app.is_asked_what_it_speaks(&app.upstream).await;
    assert_eq!(detected(&app, "acme").await, Value::Null);
    app
}

/// One provider that is said to speak Chat Completions and Messages.
async fn said_to_speak_both() -> TestApp {
    TestApp::configured(|config| config.providers[0].also_speaks = vec![ApiFormat::Anthropic]).await
}

async fn detect(app: &TestApp, id: &str) -> Reply {
    app.post(&format!("/api/v1/providers/{id}/detect-format"), json!({})).await
}

async fn detected(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/api/v1/providers/{id}")).await.json["detected_formats"].clone()
}

/// Waits until it is known that the provider speaks this.
async fn becomes(app: &TestApp, id: &str, formats: Value) {
    let is = || async { Some(detected(app, id).await).filter(|is| *is == formats) };
    eventually("what it speaks", is).await;
}

/// Makes a provider of which nothing is said but its address.
async fn create(app: &TestApp, id: &str, upstream: &Upstream) {
    let body = json!({"id": id, "name": id, "location": "local", "priority": 90,
        "base_url": format!("http://{}", upstream.address), "models": [{"name": "test-model"}]});
    let created = app.post("/api/v1/providers", body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.json.get("api_format"), None);
}

fn no_such_path() -> Step {
    raw(404, "404 page not found").header("content-type", "text/plain").into()
}

fn openais_error(status: u16) -> Step {
    let error = json!({"message": "m", "type": "invalid_request_error", "code": null});
    raw(status, json!({ "error": error }).to_string()).into()
}

fn anthropics_error(status: u16, kind: &str) -> Step {
    let error = json!({"type": kind, "message": "m"});
    raw(status, json!({"type": "error", "error": error}).to_string()).into()
}

fn googles_error(status: u16) -> Step {
    let error = json!({"code": status, "message": "m", "status": "INVALID_ARGUMENT"});
    raw(status, json!({ "error": error }).to_string()).into()
}

fn ollamas_error(status: u16) -> Step {
    raw(status, json!({"error": "model is required"}).to_string()).into()
}

fn anthropics_answer() -> Answer {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
        "content": [{"type": "text", "text": "Hello world"}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2},
    });
    raw(200, answer.to_string())
}

/// Speaks Messages, and answers all other paths like this.
fn only_messages(upstream: &Upstream, missing: impl Fn() -> Step + Send + Sync + 'static) {
    upstream.answer(move |seen| {
        if seen.path == "/v1/messages" { anthropics_answer().into() } else { missing() }
    });
}

#[actix_web::test]
async fn whoever_answers_everything_alike_has_told_nothing() {
    let app = unknown().await;
    let answers: [MakeStep; 9] = [
        || openais_error(401),
        || anthropics_error(401, "authentication_error"),
        || ollamas_error(400),
        || openais_error(403),
        || openais_error(404),
        || openais_error(500),
        || raw(200, "<html>sign in</html>").header("content-type", "text/html").into(),
        || raw(200, r#"{"object":"list","data":[]}"#).into(),
        || Step::Reset,
    ];
    for answer in answers {
        app.upstream.answer(move |_| answer());
        let told = detect(&app, "acme").await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert_eq!(told.json["formats"], json!([]), "{}", told.text());
        let evidence = told.json["evidence"].as_array().unwrap();
        assert_eq!(evidence.len(), 14);
        for told in evidence {
            let tells = told["tells"].as_str().unwrap();
            assert!(matches!(tells, "control" | "nothing" | "inconclusive"), "{told}");
        }
        assert_eq!(detected(&app, "acme").await, Value::Null);
    }
}

#[actix_web::test]
async fn each_family_is_recognised_and_kept() {
    let app = unknown().await;
    let families: [(&str, &str, MakeStep); 8] = [
        ("openai", "/v1/chat/completions", || openais_error(401)),
        ("openai", "/v1/models", || raw(200, r#"{"object":"list","data":[]}"#).into()),
        ("responses", "/v1/responses", || openais_error(400)),
        ("anthropic", "/v1/messages", || anthropics_error(401, "authentication_error")),
        ("google", "/v1beta/models", || googles_error(400)),
        ("ollama", "/", || raw(200, "Ollama is running").into()),
        ("ollama", "/api/tags", || {
            raw(200, r#"{"models":[{"name":"m:latest","digest":"d"}]}"#).into()
        }),
        ("ollama", "/api/chat", || ollamas_error(400)),
    ];
    for (format, path, answer) in families {
        let answers = move |asked: &str| if asked == path { answer() } else { no_such_path() };
        app.upstream.answer(move |seen| answers(&seen.path));
        let told = detect(&app, "acme").await;
        assert_eq!(told.json["formats"], json!([format]), "{}", told.text());
        assert_eq!(detected(&app, "acme").await, json!([format]));
    }
}

#[actix_web::test]
async fn to_be_asked_costs_no_tokens_and_shows_no_key_to_the_admin() {
    let app = unknown().await;
    app.upstream.answer(|_| openais_error(401));

    let told = detect(&app, "acme").await;

    let seen = app.upstream.seen();
    assert_eq!(seen.len(), 14);
    for asked in &seen {
        let expected = if asked.method == "POST" { "{}" } else { "" };
        assert_eq!(asked.text(), expected, "{} {}", asked.method, asked.path);
        assert!(asked.head().contains("sk-acme-1"), "{} was asked by nobody", asked.path);
    }
    assert!(!told.text().contains("sk-acme-1"));
}

#[actix_web::test]
async fn a_provider_that_is_made_without_a_format_is_asked_in_the_background() {
    let mut app = TestApp::start().await;
    app.backup.answer(|seen| match (seen.path.as_str(), seen.text()) {
        ("/v1/messages", "{}") => anthropics_error(400, "invalid_request_error"),
        ("/v1/messages", _) => anthropics_answer().into(),
        _ => no_such_path(),
    });
    let mut events = app.events("?types=provider.*").await;

    create(&app, "mine", &app.backup).await;

    assert_eq!(events.until("provider.updated").await["provider_id"], "mine");
    assert_eq!(detected(&app, "mine").await, json!(["anthropic"]));
    let asked = app.backup.calls();
    let answer = app.chat("hello").await;
    assert_eq!((answer.status, answer.said()), (200, "Hello world"), "{}", answer.text());
    assert_eq!(app.backup.calls(), asked + 1, "it was known where to go");
    let trace = app.trace(answer.header("x-request-id")).await;
    assert_eq!(trace["attempts"][0]["format_source"], "detected");

    app.restart().await;
    assert_eq!(detected(&app, "mine").await, json!(["anthropic"]));
}

#[actix_web::test]
async fn a_provider_of_the_file_is_asked_at_each_start() {
    let mut app = unknown().await;
    app.upstream.answer(|seen| match seen.path.as_str() {
        "/v1/messages" => anthropics_error(400, "invalid_request_error"),
        _ => no_such_path(),
    });

    app.restart().await;

    becomes(&app, "acme", json!(["anthropic"])).await;
}

#[actix_web::test]
async fn at_the_start_only_some_are_asked_at_once_and_nobody_waits_for_them() {
    let mut app = TestApp::configured(|config| {
        let acme = &mut config.providers[0];
        acme.api_format = None;
        let others = (0..9).map(|n| {
            let id = ProviderId::parse(&format!("acme-{n}")).unwrap();
            ProviderConfig { id, api_keys: Vec::new(), ..acme.clone() }
        });
        let others: Vec<_> = others.collect();
        config.providers.extend(others);
    })
    .await;
    app.upstream.answer(|_| Step::Silent);

    app.restart().await;

    let view = app.actors.discovery.send(ShowDiscovery).await.unwrap();
    assert_eq!((view.under_way, view.waiting), (4, 6));
    app.upstream.recover();
    assert_eq!(app.chat("hello").await.status, 200);
}

#[actix_web::test]
async fn a_provider_is_asked_again_with_its_first_key() {
    let app = TestApp::start().await;
    app.backup.answer(|seen| match seen.path.as_str() {
        _ if !seen.head().contains("sk-first") => openais_error(401),
        "/v1/messages" => anthropics_error(400, "invalid_request_error"),
        _ => no_such_path(),
    });
    create(&app, "mine", &app.backup).await;
    app.is_asked_what_it_speaks(&app.backup).await;
    assert_eq!(detected(&app, "mine").await, Value::Null);

    for key in ["sk-first", "sk-second"] {
        let added = app.post("/api/v1/providers/mine/keys", json!({"key": key})).await;
        assert_eq!(added.status, 201, "{}", added.text());
        becomes(&app, "mine", json!(["anthropic"])).await;
    }

    assert_eq!(app.backup.calls(), 14, "a second key tells nothing new");
}

#[actix_web::test]
async fn a_provider_that_moves_is_asked_again() {
    let app = TestApp::start().await;
    app.backup.answer(|seen| match seen.path.as_str() {
        "/v1/messages" => anthropics_error(400, "invalid_request_error"),
        "/moved/v1/chat/completions" => openais_error(400),
        _ => no_such_path(),
    });
    create(&app, "mine", &app.backup).await;
    becomes(&app, "mine", json!(["anthropic"])).await;

    let moved = json!({"base_url": format!("http://{}/moved", app.backup.address)});
    assert_eq!(app.patch("/api/v1/providers/mine", moved).await.status, 200);

    becomes(&app, "mine", json!(["openai"])).await;
}

#[actix_web::test]
async fn what_somebody_has_set_is_told_of_and_not_changed() {
    let app = TestApp::start().await;
    app.upstream.answer(|seen| match seen.path.as_str() {
        "/v1/messages" => anthropics_error(400, "invalid_request_error"),
        _ => no_such_path(),
    });
    assert_eq!(detect(&app, "acme").await.json["formats"], json!(["anthropic"]));
    assert_eq!(detected(&app, "acme").await, Value::Null);

    let url = format!("http://{}/v1/messages", app.backup.address);
    let body = json!({"id": "one", "name": "one", "location": "local", "base_url": url});
    app.post("/api/v1/providers", body).await;
    let refused = detect(&app, "one").await;
    assert_eq!((refused.status, &refused.json["error"]["code"]), (409, &json!("format_is_fixed")));
    assert_eq!(detect(&app, "nobody").await.status, 404);
    assert_eq!(app.backup.calls(), 0);
}

#[actix_web::test]
async fn what_a_provider_speaks_is_found_at_the_first_request_and_remembered() {
    let missing: [fn() -> Step; 4] = [
        no_such_path,
        || openais_error(404),
        || anthropics_error(404, "not_found_error"),
        || raw(200, "<html>welcome</html>").header("content-type", "text/html").into(),
    ];
    for missing in missing {
        let app = unknown().await;
        only_messages(&app.upstream, missing);

        let found = app.chat("hello").await;

        assert_eq!((found.status, found.said()), (200, "Hello world"), "{}", found.text());
        assert_eq!(found.header("x-providerpool-attempts"), "2");
        let trace = app.trace(found.header("x-request-id")).await;
        let attempt = |n: usize| {
            let attempt = &trace["attempts"][n];
            ["kind", "api_format", "format_source", "end"].map(|name| attempt[name].clone())
        };
        assert_eq!(attempt(0), ["first", "openai", "family_default", "failed"]);
        assert_eq!(attempt(1), ["format", "anthropic", "family_default", "answered"]);

        let known = app.chat("hello again").await;
        assert_eq!(known.header("x-providerpool-attempts"), "1");
        let trace = app.trace(known.header("x-request-id")).await;
        assert_eq!(trace["attempts"][0]["api_format"], "anthropic");
        assert_eq!(trace["attempts"][0]["format_source"], "model_memory");
        assert_eq!(app.upstream.calls(), 3);
        assert!(app.cooldowns().await.is_empty(), "somebody was blamed for a guess");
    }
}

#[actix_web::test]
async fn what_one_model_has_taught_holds_for_the_others() {
    let app = unknown().await;
    only_messages(&app.upstream, no_such_path);
    app.chat("hello").await;

    let other = Reply::to(app.relay(named_body("other-model", "hello").to_string())).await;

    assert_eq!(other.header("x-providerpool-attempts"), "1");
    let trace = app.trace(other.header("x-request-id")).await;
    assert_eq!(trace["attempts"][0]["format_source"], "provider_memory");
}

#[actix_web::test]
async fn a_model_that_says_it_answers_elsewhere_is_asked_there() {
    let app = said_to_speak_both().await;
    app.upstream.answer(|seen| match seen.path.as_str() {
        "/v1/messages" => anthropics_answer().into(),
        _ if seen.json()["model"] == "test-model" => {
            let error = json!({"message": "m", "code": "unsupported_api_for_model"});
            raw(400, json!({ "error": error }).to_string()).into()
        }
        _ => whole("by chat").into(),
    });

    let first = app.chat("hello").await;
    let second = app.chat("hello").await;
    let other = Reply::to(app.relay(named_body("other-model", "hello").to_string())).await;

    let attempts = |reply: &Reply| reply.header("x-providerpool-attempts").to_owned();
    assert_eq!((first.said(), attempts(&first)), ("Hello world", "2".into()));
    assert_eq!((second.said(), attempts(&second)), ("Hello world", "1".into()));
    assert_eq!((other.said(), attempts(&other)), ("by chat", "1".into()));
    assert!(app.cooldowns().await.is_empty());
}

#[actix_web::test]
async fn a_provider_that_has_none_of_its_formats_is_to_blame() {
    let app = said_to_speak_both().await;
    app.upstream.answer(|_| no_such_path());
    for _ in 0..3 {
        let failed = app.chat("hello").await;
        assert_eq!(failed.status, 502, "{}", failed.text());
    }
    assert_eq!(app.upstream.calls(), 6, "each format once for each request");
    eventually("the cooldown", async || {
        Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
    })
    .await;
}

#[actix_web::test]
async fn whoever_cannot_count_is_asked_for_answers_all_the_same() {
    let app = TestApp::speaking(ApiFormat::Anthropic).await;
    only_messages(&app.upstream, no_such_path);
    let prompt = json!({"model": "test-model", "max_tokens": 5,
        "messages": [{"role": "user", "content": "hello"}]});
    for _ in 0..4 {
        let count = app.request(Method::POST, "/v1/messages/count_tokens");
        let counted = Reply::to(count.bearer_auth(&app.client_key).body(prompt.to_string())).await;
        assert_eq!(counted.status, 200, "{}", counted.text());
    }
    assert_eq!(app.chat("hello").await.said(), "Hello world");
    assert_eq!(app.upstream.calls(), 5);
    assert!(app.cooldowns().await.is_empty());
}
