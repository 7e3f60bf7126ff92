//! Which key serves a request: by sessions, by what is set for the keys, and by what the operator says
//! of a provider's errors.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, chat_body, eventually, named_body,
    script::{Step, error, raw, role, stream},
};

fn asking(app: &TestApp) -> RequestBuilder {
    app.relay(named_body("test-model", "hello").to_string())
}

/// Asks, and says which provider has answered.
async fn ask(app: &TestApp) -> String {
    by(&Reply::to(asking(app)).await).to_owned()
}

fn by(answer: &Reply) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-providerpool-provider")
}

fn count(keys: &[String], key: &str) -> usize {
    keys.iter().filter(|used| *used == key).count()
}

/// One provider with so many keys.
async fn with_keys(keys: usize) -> TestApp {
    TestApp::with(Setup { keys, ..Setup::default() }).await
}

#[actix_web::test]
async fn the_requests_of_a_named_session_go_to_the_same_key() {
    for name in ["header", "body"] {
        let app = with_keys(3).await;
        let in_session = |id: &str| {
            let mut body = chat_body("hello", false);
            if name == "header" {
                app.relay(body.to_string()).header("x-providerpool-session", id)
            } else {
                body["prompt_cache_key"] = json!(id);
                app.relay(body.to_string())
            }
        };
        for id in ["a", "b", "c", "a", "b", "c", "c", "a", "a"] {
            assert_eq!(Reply::to(in_session(id)).await.status, 200);
        }

        let keys = app.upstream.keys();

        let (a, b, c) = (&keys[0], &keys[1], &keys[2]);
        assert!(a != b && b != c && a != c, "sessions were not spread: {keys:?}");
        assert_eq!(keys[3..], [a, b, c, c, a, a].map(String::clone), "{name}");
    }
}

#[actix_web::test]
async fn a_session_that_was_known_by_two_names_is_found_by_either() {
    let app = with_keys(3).await;
    let ask = async |header: Option<&str>, cache_key: Option<&str>| {
        let mut body = chat_body("hello", false);
        if let Some(cache_key) = cache_key {
            body["prompt_cache_key"] = json!(cache_key);
        }
        let request = app.relay(body.to_string());
        let request = match header {
            Some(id) => request.header("x-providerpool-session", id),
            None => request,
        };
        assert_eq!(Reply::to(request).await.status, 200);
        app.upstream.keys().pop().unwrap()
    };

    let key = ask(Some("s"), Some("p")).await;
    let other = ask(Some("t"), Some("q")).await;

    assert_ne!(key, other, "sessions were not spread");
    for (header, cache_key, expected) in [
        (None, Some("p"), &key),
        (Some("s"), None, &key),
        (None, Some("q"), &other),
        (Some("t"), None, &other),
        // A name that nobody has heard yet is bound by the one beside it.
        (Some("new"), Some("q"), &other),
        (Some("new"), None, &other),
    ] {
        assert_eq!(ask(header, cache_key).await, *expected, "{header:?} {cache_key:?}");
    }
}

#[actix_web::test]
async fn a_conversation_goes_on_with_the_key_that_served_its_beginning() {
    let app = with_keys(3).await;
    let say = async |messages: Value| {
        let body = json!({"model": "test-model", "messages": messages});
        assert_eq!(Reply::to(app.relay(body.to_string())).await.status, 200);
        app.upstream.keys().pop().unwrap()
    };
    let user = |text: &str| json!({"role": "user", "content": text});
    let answer = json!({"role": "assistant", "content": "Hello world"});
    let mut first = Vec::new();
    for text in ["one", "two", "three"] {
        first.push(say(json!([user(text)])).await);
    }
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "{first:?}");

    for (text, key) in ["three", "one", "two", "two"].iter().zip([2, 0, 1, 1]) {
        let next = say(json!([user(text), answer, user("go on")])).await;
        assert_eq!(next, first[key], "{text} went to another key");
    }
}

#[actix_web::test]
async fn a_session_leaves_a_key_that_cools_and_stays_where_it_went() {
    let app = with_keys(3).await;
    let in_session = async || {
        let request = asking(&app).header("x-providerpool-session", "s");
        assert_eq!(Reply::to(request).await.status, 200);
        app.upstream.keys().pop().unwrap()
    };
    let first = in_session().await;
    assert_eq!(in_session().await, first);

    app.upstream.next(error(429).header("retry-after", "300"));
    let second = in_session().await;

    assert_ne!(second, first);
    assert_eq!(in_session().await, second);
    app.delete("/api/v1/cooldowns").await;
    assert_eq!(in_session().await, second, "it went back, and left a warm cache behind");
}

#[actix_web::test]
async fn sessions_can_be_switched_off() {
    let app = TestApp::with(Setup {
        keys: 2,
        configure: |config| config.routing.session_affinity = false,
        ..Setup::default()
    })
    .await;
    for _ in 0..4 {
        let request = asking(&app).header("x-providerpool-session", "s");
        assert_eq!(Reply::to(request).await.status, 200);
    }
    let keys = app.upstream.keys();
    assert_eq!((&keys[..2], keys[0] != keys[1]), (&keys[2..], true), "{keys:?}");
}

/// A provider `mine`, preferred, in front of the upstream of `backup`, and these keys.
async fn with_mine(strategy: &str, keys: &[Value]) -> TestApp {
    let app = TestApp::start().await;
    let mine = json!({"id": "mine", "name": "mine", "location": "local", "priority": 90,
        "credential_strategy": strategy, "headers": {"x-whose": "the provider's", "x-both": "yes"},
        "api_format": "openai", "base_url": format!("http://{}", app.backup.address)});
    assert_eq!(app.post("/api/v1/providers", mine).await.status, 201);
    for key in keys {
        let added = app.post("/api/v1/providers/mine/keys", key.clone()).await;
        assert_eq!(added.status, 201, "{}", added.text());
    }
    app
}

#[actix_web::test]
async fn keys_of_a_higher_priority_are_used_as_long_as_one_of_them_can_be() {
    let keys = [json!({"key": "sk-low"}), json!({"key": "sk-high", "priority": 5})];
    let app = with_mine("round_robin", &keys).await;
    for _ in 0..3 {
        ask(&app).await;
    }
    app.backup.next(error(429).header("retry-after", "300"));
    ask(&app).await;
    eventually("the key cools", async || (app.cooldowns().await.len() == 1).then_some(())).await;
    ask(&app).await;
    let high = "sk-high";
    assert_eq!(app.backup.keys(), [high, high, high, high, "sk-low", "sk-low"]);
}

#[actix_web::test]
async fn the_weights_of_keys_are_kept_exactly() {
    let keys = [
        json!({"key": "sk-a", "weight": 3}),
        json!({"key": "sk-b"}),
        json!({"key": "sk-c", "weight": 0}),
    ];
    let app = with_mine("weighted", &keys).await;
    for _ in 0..20 {
        ask(&app).await;
    }
    let used = app.backup.keys();
    assert_eq!((count(&used, "sk-a"), count(&used, "sk-b")), (15, 5), "{used:?}");
}

#[actix_web::test]
async fn a_key_serves_no_more_requests_at_once_than_it_may() {
    let keys =
        [json!({"key": "sk-a", "max_in_flight": 1}), json!({"key": "sk-b", "max_in_flight": 1})];
    let app = with_mine("fill_first", &keys).await;
    let (first_gate, first) = app.hold_one(&app.backup).await;
    let (second_gate, second) = app.hold_one(&app.backup).await;

    assert_eq!(ask(&app).await, "acme", "both keys are busy");
    let only_mine = asking(&app).header("x-providerpool-exclude", "acme");
    let waiting = tokio::spawn(Reply::to(only_mine));
    eventually("the third is inside", async || {
        (app.metric("providerpool_requests_in_flight").await == 3).then_some(())
    })
    .await;
    assert_eq!(app.backup.calls(), 2);
    second_gate.open();
    second.rest().await;

    let served = waiting.await.unwrap();

    assert_eq!(by(&served), "mine");
    let used = app.backup.keys();
    assert_eq!(used[2], used[1], "the key that is still busy was used");
    first_gate.open();
    first.rest().await;
}

#[actix_web::test]
async fn a_disabled_key_is_not_used_even_when_all_others_fail() {
    let keys = [json!({"key": "sk-on"}), json!({"key": "sk-off", "enabled": false, "priority": 9})];
    let app = with_mine("round_robin", &keys).await;
    app.backup.always(|| error(401).into());

    assert_eq!(ask(&app).await, "acme");

    assert_eq!(app.backup.keys(), ["sk-on"]);
}

#[actix_web::test]
async fn the_headers_of_a_key_are_sent_above_those_of_its_provider() {
    let keys = [json!({"key": "sk-a", "headers": {"x-whose": "the key's"}})];
    let app = with_mine("round_robin", &keys).await;
    ask(&app).await;
    let call = app.backup.last();
    assert_eq!((call.header("x-whose"), call.header("x-both")), (Some("the key's"), Some("yes")));
}

#[actix_web::test]
async fn a_rule_says_what_an_error_of_a_provider_leads_to() {
    for (action, stops, cools) in [
        ("stop", true, false),
        ("stop_and_cooldown", true, true),
        ("continue", false, false),
        ("continue_and_cooldown", false, true),
    ] {
        let app = with_keys(0).await;
        let rule = json!({"status": 403, "contains": ["not in your plan"], "action": action});
        let ruled = json!({"id": "ruled", "name": "ruled", "location": "local", "priority": 90,
            "rules": [rule], "api_format": "openai",
            "base_url": format!("http://{}", app.backup.address)});
        assert_eq!(app.post("/api/v1/providers", ruled).await.status, 201);
        for key in ["sk-1", "sk-2"] {
            app.post("/api/v1/providers/ruled/keys", json!({"key": key})).await;
        }
        let words = json!({"error": {"message": "this is not in your plan", "type": "plan", "param": null, "code": "plan"}});
        app.backup.next(raw(403, words.to_string()));

        let answer = Reply::to(asking(&app)).await;

        if stops {
            assert_eq!((answer.status, &answer.json), (403, &words), "{action}");
            assert_eq!(app.backup.calls(), 1, "{action}");
        } else {
            assert_eq!(by(&answer), "ruled", "{action}");
            let used = app.backup.keys();
            assert!(used.len() == 2 && used[0] != used[1], "{action}: {used:?}");
        }
        assert_eq!(app.upstream.calls(), 0, "{action}");
        if cools {
            let cooldowns = eventually("a cooldown", async || {
                Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
            })
            .await;
            assert_eq!(cooldowns.len(), 1, "{action}: {cooldowns:?}");
            assert_eq!(cooldowns[0]["scope"], "credential", "{action}: {cooldowns:?}");
        } else {
            // What was told of the request before is in what is asked after it.
            ask(&app).await;
            assert_eq!(app.cooldowns().await, Vec::<Value>::new(), "{action}");
        }
        // Without its words the error is what it always is: the key's.
        app.backup.next(error(403));
        ask(&app).await;
    }
}

#[actix_web::test]
async fn a_rule_sees_an_error_inside_an_answer_that_began_well() {
    let words = json!({"error": {"message": "this is not in your plan", "type": "plan", "param": null, "code": "plan"}});
    let (whole, streamed) = (words.to_string(), format!("data: {words}\n\n"));
    for action in ["stop", "continue"] {
        let app = with_keys(0).await;
        let rule = json!({"status": 200, "contains": ["not in your plan"], "action": action});
        let ruled = json!({"id": "ruled", "name": "ruled", "location": "local", "priority": 90,
            "rules": [rule], "api_format": "openai",
            "base_url": format!("http://{}", app.backup.address)});
        assert_eq!(app.post("/api/v1/providers", ruled).await.status, 201);
        for key in ["sk-1", "sk-2"] {
            app.post("/api/v1/providers/ruled/keys", json!({"key": key})).await;
        }
        let steps: [(bool, Step); 3] = [
            (false, raw(200, &whole).into()),
            (true, raw(200, &whole).into()),
            (true, stream().send(role()).send(&streamed).into()),
        ];
        for (n, (is_streamed, step)) in steps.into_iter().enumerate() {
            let (case, before) = (format!("{action} {n}"), app.backup.calls());
            app.backup.next(step);

            let answer = Reply::to(app.relay(chat_body("hello", is_streamed).to_string())).await;

            if action == "stop" {
                // It has no status of its own: that of what it is, a failure of the server.
                assert_eq!((answer.status, &answer.json), (502, &words), "{case}");
                assert_eq!(app.backup.calls(), before + 1, "{case}");
            } else {
                assert_eq!(by(&answer), "ruled", "{case}");
                let used = app.backup.keys().split_off(before);
                assert!(used.len() == 2 && used[0] != used[1], "{case}: {used:?}");
            }
            assert_eq!(app.upstream.calls(), 0, "{case}");
            assert_eq!(app.cooldowns().await, Vec::<Value>::new(), "{case}");
        }
    }
}
