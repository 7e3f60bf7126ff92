//! A restart in the middle of cooldowns: they hold, and the trial after them is one request's.

use diesel::{RunQueryDsl as _, sql_query};
use providerpool::persistence::connection::open;
use serde_json::{Value, json};

use super::{
    super::support::{
        TestApp, eventually,
        script::{MakeStep, Piece, Step, error, error_with_code, gate, stream_of},
    },
    settings::Setting,
};

/// Fails so often that a scope cools.
struct Cooling {
    scope: &'static str,
    step: MakeStep,
    requests: usize,
}

const SCOPES: [Cooling; 5] = [
    Cooling { scope: "provider", step: || Step::Reset, requests: 2 },
    Cooling { scope: "provider_model", step: || error(500).into(), requests: 2 },
    Cooling {
        scope: "provider_model",
        step: || error_with_code(404, &json!("model_not_found")).into(),
        requests: 1,
    },
    Cooling { scope: "credential", step: || error(401).into(), requests: 1 },
    Cooling {
        scope: "credential_model",
        step: || error(429).header("retry-after", "3600").into(),
        requests: 1,
    },
];

/// An application with one cooldown of `acme`, and `backup` beside it.
async fn cooling(cooling: &Cooling) -> (TestApp, Vec<Value>) {
    let app = TestApp::with(Setting::SecondProvider.setup()).await;
    app.upstream.always(cooling.step);
    for _ in 0..cooling.requests {
        assert_eq!(app.chat("hello").await.status, 200);
    }
    app.upstream.recover();
    let cooldowns = eventually("a cooldown", async || {
        Some(app.cooldowns().await).filter(|cooldowns| !cooldowns.is_empty())
    })
    .await;
    assert_eq!((cooldowns.len(), &cooldowns[0]["scope"]), (1, &json!(cooling.scope)));
    (app, cooldowns)
}

/// Ends all cooldowns while nobody looks.
fn let_cooldowns_end(app: &TestApp) {
    let file = app.config.data.dir.join("providerpool.db");
    let pool = open(&format!("sqlite:{}", file.display()), 1).unwrap();
    let statement = "UPDATE cooldowns SET until = started_at + 1";
    assert_eq!(sql_query(statement).execute(&mut *pool.get().unwrap()).unwrap(), 1);
}

#[actix_web::test]
async fn cooldowns_of_every_scope_hold_after_a_restart() {
    for scope in &SCOPES {
        let (mut app, before) = cooling(scope).await;
        let calls = app.upstream.calls();

        app.restart().await;

        assert_eq!(app.cooldowns().await, before, "{}", scope.scope);
        let answer = app.chat("hello").await;
        assert_eq!(answer.header("x-providerpool-provider"), "backup", "{}", scope.scope);
        let streamed = app.stream("hello").await;
        assert_eq!(streamed.header("x-providerpool-provider"), "backup", "{}", scope.scope);
        assert_eq!(app.upstream.calls(), calls, "{}", scope.scope);
    }
}

#[actix_web::test]
async fn a_cooldown_that_ends_during_a_restart_is_tried_by_one_request() {
    for scope in &SCOPES {
        let (mut app, _) = cooling(scope).await;
        let calls = app.upstream.calls();
        app.stop().await;
        let_cooldowns_end(&app);
        app.start_again().await.unwrap();
        let (gate, opened) = gate();
        let mut slow = stream_of(&["Hello", " world"]);
        slow.pieces.insert(0, Piece::Wait(opened));
        app.upstream.next(slow);

        let mut trial = Box::pin(app.stream("hello"));
        eventually("the trial is under way", async || {
            let turn = futures_util::poll!(trial.as_mut());
            assert!(turn.is_pending(), "{}: the trial was answered by another", scope.scope);
            (app.upstream.calls() > calls).then_some(())
        })
        .await;
        let beside = app.chat("hello").await;
        gate.open();
        let tried = trial.await;

        assert_eq!(beside.header("x-providerpool-provider"), "backup", "{}", scope.scope);
        assert_eq!(app.upstream.calls(), calls + 1, "{}: more than one trial", scope.scope);
        assert_eq!(tried.header("x-providerpool-provider"), "acme", "{}", scope.scope);
        tried.rest().await;
        eventually("it is used again", async || {
            let answer = app.chat("hello").await;
            (answer.header("x-providerpool-provider") == "acme").then_some(())
        })
        .await;
    }
}
