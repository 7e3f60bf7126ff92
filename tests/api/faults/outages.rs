//! An outage is never amplified.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::{
    super::support::{
        Setup, TestApp,
        script::{MakeStep, Step, error},
    },
    cell::{Wrong, ledger_is},
    settings::{Setting, short_deadline},
};

const REQUESTS: usize = 200;
const CANDIDATES: usize = 2;

/// The retries of so many requests in so long: a tenth of them, and ten at least, in each ten
/// seconds.
fn retry_budget(took: Duration) -> usize {
    let windows = usize::try_from(took.as_secs() / 10).unwrap() + 1;
    (REQUESTS / 10).max(10) * windows
}

/// All calls fail, and nobody waits for a cooldown to end.
async fn dead(step: MakeStep) -> TestApp {
    let setup = Setting::SecondProvider.setup();
    let app = TestApp::with(Setup { keys: 3, configure: short_deadline, ..setup }).await;
    app.upstream.always(step);
    app.backup.always(step);
    app
}

fn assert_not_amplified(name: &str, app: &TestApp, took: Duration) {
    let calls = app.upstream.calls() + app.backup.calls();
    let most = REQUESTS * CANDIDATES + retry_budget(took);
    assert!(calls <= most, "{name}: {calls} calls, and not {most} at most");
}

const OUTAGES: [(&str, MakeStep); 3] = [
    ("status 500", || error(500).into()),
    ("status 503", || error(503).into()),
    ("reset", || Step::Reset),
];

#[actix_web::test]
async fn many_requests_at_once_are_not_amplified() {
    for (name, step) in OUTAGES {
        let app = dead(step).await;
        let started = Instant::now();

        let asking = stream::iter(0..REQUESTS).map(|_| app.chat("hello")).buffer_unordered(20);
        let replies: Vec<_> = asking.collect().await;

        assert_not_amplified(name, &app, started.elapsed());
        assert!(replies.iter().all(|reply| matches!(reply.status, 502 | 503)), "{name}");
        let mut wrong = Wrong::default();
        ledger_is(&mut wrong, &app, 0, u64::try_from(REQUESTS).unwrap()).await;
        assert_eq!(wrong.into_words(), Vec::<String>::new(), "{name}");
    }
}

/// Cooldowns keep most requests away; without them only the budget does.
#[actix_web::test]
async fn what_no_cooldown_keeps_away_is_not_amplified() {
    for (name, step) in OUTAGES {
        let app = dead(step).await;
        let started = Instant::now();

        for _ in 0..REQUESTS {
            app.chat("hello").await;
            app.delete("/api/v1/cooldowns").await;
        }

        assert_not_amplified(name, &app, started.elapsed());
        let least = REQUESTS * CANDIDATES;
        let calls = app.upstream.calls() + app.backup.calls();
        assert!(calls >= least, "{name}: {calls} calls: this is no test of the budget");
    }
}
