//! GitHub Copilot: a GitHub token is exchanged for a short-lived one, which is what its API is sent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use providerpool::{actors::supervise::Crash, domain::provider::ApiFormat};
use serde_json::{Value, json};

use super::support::{
    Reply, Seen, TestApp, Upstream, eventually,
    script::{Answer, Step, error, gate, raw, stream, stream_of, whole},
    within,
};

const EXCHANGE: &str = "/copilot_internal/v2/token";
const HALF_HOUR: u64 = 30 * 60;

/// Copilot, and nobody else, with these credentials.
async fn with_keys(keys: &'static [&'static str]) -> TestApp {
    let app = TestApp::configured(|config| config.providers.clear()).await;
    let copilot = json!({"id": "copilot", "name": "c", "api_format": "copilot", "priority": 90,
        "location": "local", "base_url": base(&app.upstream)});
    assert_eq!(app.post("/api/v1/providers", copilot).await.status, 201);
    for key in keys {
        add_key(&app, key).await;
    }
    app
}

async fn add_key(app: &TestApp, key: &str) -> String {
    let added = app.post("/api/v1/providers/copilot/keys", json!({"key": key})).await;
    assert_eq!(added.status, 201, "{}", added.text());
    added.json["id"].as_str().unwrap().to_owned()
}

fn base(upstream: &Upstream) -> String {
    format!("http://{}", upstream.address)
}

/// The answer that gives out a token for so many seconds.
fn token(text: &str, lasts: u64) -> Answer {
    token_for(text, lasts, &Value::Null)
}

fn token_for(text: &str, lasts: u64, api: &Value) -> Answer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = json!({"token": text, "expires_at": now + lasts, "refresh_in": lasts,
        "endpoints": {"api": api}});
    raw(200, body.to_string())
}

/// An upstream that answers well, and gives out `tid=<GitHub token>-<n>;exp=1`, counted for each GitHub
/// token from 1.
fn give_out(upstream: &Upstream, lasts: u64) {
    answer(upstream, move |github, count| token(&format!("tid={github}-{count};exp=1"), lasts));
}

/// An upstream that answers well, and an exchange as is said, by the GitHub token and its count.
fn answer<A: Into<Step>>(
    upstream: &Upstream,
    exchange: impl Fn(&str, usize) -> A + Send + Sync + 'static,
) {
    let counts: Mutex<HashMap<String, usize>> = Mutex::default();
    upstream.answer(move |seen| {
        if seen.path != EXCHANGE {
            let is_streamed = seen.text().contains("\"stream\":true");
            return if is_streamed { stream_of(&["Hello"]).into() } else { whole("Hello").into() };
        }
        let github = seen.header("authorization").unwrap().strip_prefix("token ").unwrap();
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(github.to_owned()).or_default();
        *count += 1;
        exchange(github, *count).into()
    });
}

fn exchanges(upstream: &Upstream) -> Vec<Seen> {
    upstream.seen().into_iter().filter(|seen| seen.path == EXCHANGE).collect()
}

/// With what the API itself was called, in order.
fn bearers(upstream: &Upstream) -> Vec<String> {
    let calls = upstream.seen().into_iter().filter(|seen| seen.path != EXCHANGE);
    calls.map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
}

fn bearer(github: &str, count: usize) -> String {
    format!("Bearer tid={github}-{count};exp=1")
}

/// Asks, and expects an answer.
async fn ask(app: &TestApp) -> Reply {
    let answer = app.chat("hello").await;
    assert_eq!((answer.status, answer.said()), (200, "Hello"), "{}", answer.text());
    answer
}

async fn trace_of(app: &TestApp, reply: &Reply) -> Value {
    app.trace(reply.header("x-request-id")).await
}

#[actix_web::test]
async fn a_github_token_is_exchanged_once_for_many_requests() {
    let app = with_keys(&["gho_a"]).await;
    give_out(&app.upstream, HALF_HOUR);

    join_all((0..4).map(|_| ask(&app))).await;
    let streamed = app.stream("hello").await.rest().await;

    assert!(streamed.contains("Hello"), "{streamed}");
    let exchanges = exchanges(&app.upstream);
    assert_eq!(exchanges.len(), 1);
    let exchange = &exchanges[0];
    assert_eq!((exchange.method.as_str(), exchange.text()), ("GET", ""));
    assert_eq!(exchange.header("authorization"), Some("token gho_a"));
    assert_eq!(exchange.header("accept"), Some("application/json"));
    assert!(exchange.header("user-agent").unwrap().starts_with("providerpool/"));
    assert_eq!(bearers(&app.upstream), vec![bearer("gho_a", 1); 5]);
    let chat = app.upstream.last();
    assert_eq!(chat.path, "/chat/completions");
}

#[actix_web::test]
async fn a_copilot_token_is_sent_as_it_is() {
    let app = with_keys(&["tid=own;exp=1767225600;sku=free:0a"]).await;
    give_out(&app.upstream, HALF_HOUR);
    ask(&app).await;
    assert_eq!(exchanges(&app.upstream).len(), 0);
    assert_eq!(bearers(&app.upstream), ["Bearer tid=own;exp=1767225600;sku=free:0a"]);
}

#[actix_web::test]
async fn requests_go_where_the_token_is_for() {
    let app = with_keys(&["gho_a"]).await;
    let api = json!(format!("{}/business", base(&app.backup)));
    answer(&app.upstream, move |_, _| token_for("tid=1;exp=1", HALF_HOUR, &api));
    app.backup.say(&["Hello"]);

    ask(&app).await;

    let call = app.backup.last();
    assert_eq!(call.path, "/business/chat/completions");
    assert_eq!(call.header("authorization"), Some("Bearer tid=1;exp=1"));
    assert_eq!(bearers(&app.upstream), Vec::<String>::new());
}

#[actix_web::test]
async fn another_format_is_asked_at_its_own_address_with_the_same_token() {
    let app = TestApp::configured(|config| config.providers.clear()).await;
    let own = base(&app.upstream);
    let copilot = json!({"id": "copilot", "name": "c", "api_format": "copilot", "priority": 90,
        "also_speaks": ["responses"], "location": "local", "base_url": own});
    assert_eq!(app.post("/api/v1/providers", copilot).await.status, 201);
    add_key(&app, "gho_a").await;
    app.upstream.answer(move |seen| {
        let body = match &*seen.path {
            EXCHANGE => {
                return token_for("tid=a;exp=1", HALF_HOUR, &json!(format!("{own}/api"))).into();
            }
            "/api/chat/completions" => {
                let error = json!({"message": "m", "code": "unsupported_api_for_model"});
                return raw(400, json!({ "error": error }).to_string()).into();
            }
            _ => json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m",
                "status": "completed", "output": [{"type": "message", "id": "msg_1",
                "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": "Hello", "annotations": []}]}]}),
        };
        raw(200, body.to_string()).into()
    });

    ask(&app).await;

    let calls = app.upstream.seen().into_iter().filter(|seen| seen.path != EXCHANGE);
    let paths: Vec<_> = calls.map(|seen| seen.path).collect();
    assert_eq!(paths, ["/api/chat/completions", "/v1/responses"]);
    assert_eq!(bearers(&app.upstream), ["Bearer tid=a;exp=1"; 2]);
    assert_eq!(exchanges(&app.upstream).len(), 1);
}

#[actix_web::test]
async fn an_address_that_may_not_be_called_is_passed_over() {
    let app = with_keys(&["gho_a"]).await;
    let api = json!("http://169.254.169.254/");
    answer(&app.upstream, move |_, _| token_for("tid=1;exp=1", HALF_HOUR, &api));
    ask(&app).await;
    assert_eq!(bearers(&app.upstream), ["Bearer tid=1;exp=1"]);
}

#[actix_web::test]
async fn every_account_has_a_token_of_its_own() {
    let app = with_keys(&["gho_a", "gho_b"]).await;
    give_out(&app.upstream, HALF_HOUR);
    for _ in 0..6 {
        ask(&app).await;
    }
    assert_eq!(exchanges(&app.upstream).len(), 2);
    let bearers = bearers(&app.upstream);
    for github in ["gho_a", "gho_b"] {
        let used = bearers.iter().filter(|used| **used == bearer(github, 1)).count();
        assert_eq!(used, 3, "{bearers:?}");
    }
}

#[actix_web::test]
async fn a_slow_exchange_of_one_account_holds_up_no_other() {
    let app = with_keys(&["gho_a", "gho_b"]).await;
    answer(&app.upstream, |github, _| {
        if github == "gho_a" { Step::Silent } else { token("tid=b;exp=1", HALF_HOUR).into() }
    });
    let app = Arc::new(app);
    let asking = (0..2).map(|_| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.chat("hello").await.status })
    });
    let asking: Vec<_> = asking.collect();

    eventually("both are exchanged", async || (exchanges(&app.upstream).len() == 2).then_some(()))
        .await;
    eventually("the other is answered", async || {
        asking.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;

    assert_eq!(bearers(&app.upstream), ["Bearer tid=b;exp=1"]);
    for asked in asking {
        asked.abort();
    }
}

#[actix_web::test]
async fn a_token_is_got_anew_before_its_end_and_serves_meanwhile() {
    let app = with_keys(&["gho_a"]).await;
    let (gate, opened) = gate();
    let opened = Mutex::new(Some(opened));
    answer(&app.upstream, move |github, count| {
        let lasts = if count == 1 { 60 } else { HALF_HOUR };
        let body = token(&format!("tid={github}-{count};exp=1"), lasts).body;
        let script = stream().called("application/json");
        match opened.lock().unwrap().take_if(|_| count == 2) {
            Some(opened) => script.wait(opened).send(body),
            None => script.send(body),
        }
    });
    for _ in 0..4 {
        ask(&app).await;
    }
    assert_eq!(bearers(&app.upstream), vec![bearer("gho_a", 1); 4]);
    eventually("the exchange has begun", async || {
        (exchanges(&app.upstream).len() == 2).then_some(())
    })
    .await;
    gate.open();
    eventually("the new one is used", async || {
        ask(&app).await;
        (bearers(&app.upstream).last() == Some(&bearer("gho_a", 2))).then_some(())
    })
    .await;
    assert_eq!(exchanges(&app.upstream).len(), 2);
}

#[actix_web::test]
async fn a_key_that_is_replaced_takes_its_token_with_it() {
    let app = with_keys(&[]).await;
    give_out(&app.upstream, HALF_HOUR);
    let old = add_key(&app, "gho_a").await;
    ask(&app).await;
    let path = format!("/api/v1/providers/copilot/keys/{old}");
    assert_eq!(app.delete(&path).await.status, 204);
    add_key(&app, "gho_b").await;
    ask(&app).await;
    assert_eq!(bearers(&app.upstream), [bearer("gho_a", 1), bearer("gho_b", 1)]);
}

#[actix_web::test]
async fn a_token_that_the_api_refuses_is_got_anew_once_and_nobody_is_blamed() {
    let app = with_keys(&["gho_a"]).await;
    give_out(&app.upstream, HALF_HOUR);
    ask(&app).await;
    app.upstream.next(error(401));

    let answer = ask(&app).await;

    let one = bearer("gho_a", 1);
    assert_eq!(bearers(&app.upstream), [one.clone(), one, bearer("gho_a", 2)]);
    assert_eq!(exchanges(&app.upstream).len(), 2);
    let trace = trace_of(&app, &answer).await;
    let attempts = trace["attempts"].as_array().unwrap();
    let kinds: Vec<_> = attempts.iter().map(|attempt| &attempt["kind"]).collect();
    assert_eq!(kinds, ["first", "repeat"], "{trace}");
    assert_eq!(attempts[0]["failure"]["class"], "auth");
    ask(&app).await;
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
}

#[actix_web::test]
async fn a_second_refusal_is_that_of_the_credential() {
    let app = with_keys(&["gho_a"]).await;
    answer(&app.upstream, |_, _| token("tid=1;exp=1", HALF_HOUR));
    ask(&app).await;
    for step in [error(401), token("tid=2;exp=1", HALF_HOUR), error(401)] {
        app.upstream.next(step);
    }

    let refused = app.chat("hello").await;

    assert_ne!(refused.status, 200);
    assert_eq!((exchanges(&app.upstream).len(), bearers(&app.upstream).len()), (2, 3));
    let cooldowns = eventually("the key cools", async || {
        Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
    })
    .await;
    assert_eq!(
        (&cooldowns[0]["scope"], &cooldowns[0]["cause"]),
        (&json!("credential"), &json!("auth"))
    );
}

#[actix_web::test]
async fn an_account_without_copilot_is_left_for_another_and_the_trace_says_why() {
    for (status, words) in [
        (401, "GitHub does not accept the token"),
        (403, "the GitHub account has no access to Copilot"),
        (404, "the GitHub account has no access to Copilot"),
    ] {
        let app = with_keys(&["gho_bad", "gho_good"]).await;
        answer(&app.upstream, move |github, _| match github {
            "gho_bad" => raw(status, r#"{"message":"a text of GitHub's"}"#),
            _ => token("tid=good;exp=1", HALF_HOUR),
        });
        // Which of the two is first is not said.
        let (first, second) = (ask(&app).await, ask(&app).await);

        assert_eq!(bearers(&app.upstream), vec!["Bearer tid=good;exp=1"; 2]);
        let traces = [trace_of(&app, &first).await, trace_of(&app, &second).await];
        let failed = traces.iter().find(|trace| trace["attempts"].as_array().unwrap().len() == 2);
        let failed = failed.expect("the bad one was not tried");
        let failure = &failed["attempts"][0]["failure"];
        assert_eq!((&failure["class"], &failure["status"]), (&json!("auth"), &json!(status)));
        let detail = failure["detail"].as_str().unwrap();
        assert!(detail.starts_with(words), "{status}: {detail}");
        assert!(!failed.to_string().contains("a text of GitHub's"), "{failed}");
        let cooldowns = eventually("the bad key cools", async || {
            Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
        })
        .await;
        assert_eq!((cooldowns.len(), &cooldowns[0]["cause"]), (1, &json!("auth")));
    }
}

#[actix_web::test]
async fn an_exchange_that_fails_otherwise_is_a_failure_of_its_class() {
    let rate_limit = || raw(403, "{}").header("x-ratelimit-remaining", "0");
    for (case, step, class) in [
        ("limited", rate_limit(), "rate_limit"),
        ("429", error(429).header("retry-after", "300"), "rate_limit"),
        ("failing", error(500), "server"),
        ("unreadable", raw(200, "no token"), "server"),
        ("too long", raw(200, " ".repeat(64 * 1024 + 1)), "server"),
        ("a fault that is not the client's", error(400), "auth"),
    ] {
        let app = with_keys(&["gho_a"]).await;
        app.upstream.next(step);
        let answered = app.chat("hello").await;
        let trace = trace_of(&app, &answered).await;
        let failure = &trace["attempts"][0]["failure"];
        assert_eq!(failure["class"], class, "{case}: {trace}");
        assert_ne!(answered.status, 400, "{case}: {}", answered.text());
    }
}

#[actix_web::test]
async fn the_headers_of_provider_and_key_go_with_the_exchange() {
    let app = TestApp::configured(|config| {
        let acme = &mut config.providers[0];
        (acme.api_format, acme.api_keys) = (Some(ApiFormat::Copilot), vec!["gho_a".into()]);
        acme.headers.insert("user-agent".into(), "acme-agent/1".into());
    })
    .await;
    give_out(&app.upstream, HALF_HOUR);
    ask(&app).await;
    assert_eq!(exchanges(&app.upstream)[0].header("user-agent"), Some("acme-agent/1"));
}

#[actix_web::test]
async fn a_github_token_is_not_sent_to_find_out_what_is_spoken() {
    let app = with_keys(&["gho_a"]).await;
    give_out(&app.upstream, HALF_HOUR);
    let detected = app.post("/api/v1/providers/copilot/detect-format", json!({})).await;
    assert_eq!(detected.status, 200, "{}", detected.text());
    assert!(app.upstream.calls() > 0);
    for call in app.upstream.seen() {
        assert!(!call.head().contains("gho_a"), "{}", call.head());
    }
}

#[actix_web::test]
async fn neither_token_is_shown_anywhere() {
    const GITHUB: &str = "gho_planted0123456789abcdefghij";

    let app = with_keys(&[GITHUB]).await;
    let mut events = app.events("?since=0").await;
    answer(&app.upstream, |_, count| token(&format!("tid=planted{count};exp=1"), HALF_HOUR));
    let good = ask(&app).await;
    app.upstream.next(error(401));
    let renewed = ask(&app).await;
    for step in [error(401), raw(403, format!(r#"{{"message":"{GITHUB}"}}"#))] {
        app.upstream.next(step);
    }
    let failed = app.chat("hello").await;
    let mut all = failed.text().to_owned();
    for reply in [&good, &renewed, &failed] {
        all.push_str(&trace_of(&app, reply).await.to_string());
        all.extend(reply.headers.values().map(|value| value.to_str().unwrap()));
    }
    for path in ["/api/v1/providers/copilot", "/api/v1/cooldowns", "/api/v1/usage", "/metrics"] {
        all.push_str(app.get(path).await.text());
    }
    app.delete("/api/v1/providers/copilot").await;
    loop {
        let event = events.next().await;
        all.push_str(&event.to_string());
        if event["type"] == "provider.deleted" {
            break;
        }
    }
    for secret in [GITHUB, "planted"] {
        assert!(!all.contains(secret), "{secret} is shown in {all}");
    }
}

#[actix_web::test]
async fn an_exchange_that_a_crash_has_cut_off_is_made_again() {
    let app = Arc::new(with_keys(&["gho_a"]).await);
    give_out(&app.upstream, HALF_HOUR);
    app.upstream.next(Step::Silent);
    let asking = tokio::spawn({
        let app = Arc::clone(&app);
        async move { ask(&app).await }
    });
    eventually("the exchange has begun", async || (app.upstream.calls() == 1).then_some(())).await;

    app.actors.copilot_tokens.send(Crash).await.unwrap_err();

    within("an answer", asking).await.unwrap();
    assert_eq!(exchanges(&app.upstream).len(), 2);
    ask(&app).await;
    assert_eq!(bearers(&app.upstream), vec![bearer("gho_a", 1); 2]);
}
