//! What providers and routes set of how failures cool.

use serde_json::{Value, json};

use super::support::{
    Reply, Setup, TestApp, on_every_database,
    script::{Step, error},
};

/// A pool with a provider `shaky` alone, local and without a key, that fails with each request.
async fn app_with(setup: Setup, cooling: Value) -> TestApp {
    let app = TestApp::with(setup).await;
    let mut shaky = json!({"id": "shaky", "name": "shaky", "location": "local", "priority": 1_000,
        "api_format": "openai", "base_url": format!("http://{}", app.upstream.address)});
    if !cooling.is_null() {
        shaky["cooling"] = cooling;
    }
    let made = app.post("/api/v1/providers", shaky.clone()).await;
    assert_eq!((made.status, &made.json["cooling"]), (201, &shaky["cooling"]));
    app
}

fn fast(config: &mut providerpool::config::Config) {
    config.relay.retry_pause_ms = 1;
    config.relay.max_wait_ms = 0;
}

fn setup() -> Setup {
    Setup { lay_out: |config| config.providers.clear(), configure: fast, ..Setup::default() }
}

/// The lengths of what cools, in milliseconds, as they were before they were drawn out at random.
async fn lengths(app: &TestApp) -> Vec<i64> {
    let millis = |cooldown: &Value, field: &str| {
        cooldown[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
    };
    let length = |it: &Value| millis(it, "until") - millis(it, "started_at");
    app.cooldowns().await.iter().map(|cooldown| length(cooldown) * 10 / 11 / 100 * 100).collect()
}

async fn fails(app: &TestApp, step: fn() -> Step) -> Reply {
    app.upstream.always(step);
    app.chat("hello").await
}

#[actix_web::test]
async fn a_provider_that_never_cools_is_asked_with_every_request() {
    let never = json!({"server": {"failures": 0}, "overload": {"failures": 0}});
    let app = app_with(setup(), never).await;
    for (status, step) in [
        (500, (|| error(500).into()) as fn() -> Step),
        (529, || error(529).into()),
        (0, || Step::Reset),
    ] {
        for n in 0..7 {
            let before = app.upstream.calls();
            fails(&app, step).await;
            assert!(app.upstream.calls() > before, "{status} of request {n} was not asked for");
        }
    }
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
}

#[actix_web::test]
async fn one_failure_is_enough_where_a_provider_says_so_and_the_cap_is_kept() {
    let one = json!({"server": {"failures": 1, "base_ms": 40_000, "cap_ms": 50_000}});
    let app = app_with(setup(), one).await;

    let refused = fails(&app, || error(500).into()).await;

    assert_eq!((refused.status, app.upstream.calls()), (502, 1), "a repeat would be in vain");
    let cooldowns = app.cooldowns().await;
    assert_eq!(cooldowns.len(), 1, "{cooldowns:?}");
    assert_eq!(cooldowns[0]["scope"], "provider_model");
    let all = lengths(&app).await;
    assert!((36_000..=40_000).contains(&all[0]), "{all:?}");
    // Overload is counted as before.
    assert_eq!(app.delete("/api/v1/cooldowns").await.status, 200);
    fails(&app, || error(529).into()).await;
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
}

#[actix_web::test]
async fn a_route_comes_before_its_provider() {
    let app = app_with(setup(), json!({"server": {"failures": 0, "base_ms": 30_000}})).await;
    let path = "/api/v1/routes/test-model";
    let set = json!({"cooling": {"server": {"failures": 1}}});
    assert_eq!(app.put(path, set.clone()).await.json["cooling"], set["cooling"]);

    fails(&app, || error(500).into()).await;

    let all = lengths(&app).await;
    assert!(matches!(all[..], [27_000..=30_000]), "the base is still the provider's: {all:?}");
    assert_eq!(app.delete("/api/v1/cooldowns").await.status, 200);
    assert_eq!(app.put(path, json!({})).await.status, 200);
    for _ in 0..4 {
        fails(&app, || error(500).into()).await;
    }
    assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    let odd = app.put(path, json!({"cooling": {"server": {"failures": 101}}})).await;
    assert_eq!((odd.status, &odd.json["error"]["code"]), (400, &json!("invalid_request")));
    assert!(odd.text().contains("server.failures must be 0 to 100"), "{}", odd.text());
}

#[actix_web::test]
async fn what_is_set_of_cooling_survives_a_restart_and_is_taken_back_with_null() {
    on_every_database(async |database| {
        let one = json!({"server": {"failures": 1}});
        let mut app = app_with(Setup { database, ..setup() }, one.clone()).await;
        let route = "/api/v1/routes/other";
        assert_eq!(app.put(route, json!({"cooling": one})).await.status, 201);

        app.restart().await;

        let provider = "/api/v1/providers/shaky";
        assert_eq!(app.get(provider).await.json["cooling"], one);
        assert_eq!(app.get(route).await.json["cooling"], one);
        fails(&app, || error(500).into()).await;
        assert_eq!(app.cooldowns().await.len(), 1);
        assert_eq!(app.delete("/api/v1/cooldowns").await.status, 200);
        let usual = app.patch(provider, json!({"cooling": null})).await;
        assert_eq!((usual.status, &usual.json["cooling"]), (200, &Value::Null));
        fails(&app, || error(500).into()).await;
        assert_eq!(app.cooldowns().await, Vec::<Value>::new());
    })
    .await;
}
