//! Every kind of failure, by each way of asking, with each kind of help beside it and each number of
//! keys: held to the law.

use providerpool::{
    config::{Config, RouteConfig},
    domain::provider::Location,
};
use serde_json::{Value, json};

use super::{
    cell::{
        Cools, Wrong, are_cooling, check_all_at_once, cooldowns_after, first_end, ledger_is, named,
    },
    law::{Beside, Cell, End, Kind},
};
use crate::support::{
    Setup, Streaming, TestApp,
    dialect::Client,
    script::{
        self, MakeStep, Script, Step, content, error, error_with_code, role, stream, stream_of,
        whole,
    },
    served, settled,
};

/// One that speaks as the providers do, and one whose words are translated.
const CLIENTS: [Client; 2] = [Client::Chat, Client::Messages];
const FALLBACK: &str = "other-model";
/// What the one beside says. It begins as the one that breaks off does.
const BESIDE_SAYS: &[&str] = &["Hello", " you"];

fn step(kind: Kind, streamed: bool) -> MakeStep {
    match kind {
        Kind::ClientFault => || error_with_code(400, &json!("bad_thing")).into(),
        Kind::TooLong => || error_with_code(400, &json!("context_length_exceeded")).into(),
        Kind::Refusal => || error_with_code(400, &json!("content_filter")).into(),
        Kind::Auth => || error(401).into(),
        Kind::Payment => || error(402).into(),
        Kind::LimitedLong => || error(429).header("retry-after", "77").into(),
        Kind::LimitedShort => || error(429).header("retry-after-ms", "100").into(),
        Kind::Overload => || error(503).into(),
        Kind::OverloadLong => || error(503).header("retry-after", "77").into(),
        Kind::OverloadShort => || error(503).header("retry-after-ms", "900").into(),
        Kind::Server => || error(500).into(),
        Kind::Connect => || Step::Reset,
        Kind::ModelMissing => || error_with_code(404, &json!("model_not_found")).into(),
        Kind::Silent => || Step::Silent,
        Kind::Stalled if streamed => || stream().send(role()).then(script::End::Stall).into(),
        Kind::Stalled => || half_an_answer(script::End::Stall),
        Kind::Cut if streamed => || stream().send(role()).then(script::End::Cut).into(),
        Kind::Cut => || half_an_answer(script::End::Cut),
        Kind::StalledLater => || begun().then(script::End::Stall).into(),
        Kind::CutLater => || begun().then(script::End::Cut).into(),
    }
}

fn half_an_answer(end: script::End) -> Step {
    stream().called("application/json").send(&whole("Hello world").body[..40]).then(end).into()
}

fn begun() -> Script {
    stream().send(role()).send(content("Hello"))
}

/// How long somebody has to be silent for another to be asked, in milliseconds.
const A_WHILE: u32 = 300;

/// The pool of a cell.
fn setup(cell: Cell) -> Setup {
    let arrange = move |config: &mut Config| {
        let relay = &mut config.relay;
        relay.max_wait_ms = 500;
        relay.retry_pause_ms = 1;
        if cell.kind == Kind::OverloadShort {
            relay.max_wait_ms = 60_000;
        }
        if cell.is_left_when_idle() {
            // Long enough for everyone who is well.
            relay.idle_timeout_ms = 2_500;
        } else if cell.kind == Kind::Silent {
            // Only the one that never says a word is left for its slowness, however busy the machine is.
            relay.hedge_unknown_ms = A_WHILE.into();
            relay.hedge_min_ms = A_WHILE.into();
            config.providers[0].attempt_timeout_ms = Some(A_WHILE);
        }
        if cell.keys == 0 {
            config.providers[0].location = Location::Local;
        }
        let models = |names: &[&str]| names.iter().map(|name| served(name, None)).collect();
        let (here, there): (&[&str], &[&str]) = match cell.beside {
            Beside::Nobody | Beside::Target => (&["test-model"], &["test-model"]),
            Beside::Fallback => (&["test-model"], &[FALLBACK]),
            Beside::FallbackThere => (&["test-model", FALLBACK], &[]),
        };
        config.providers[0].models = models(here);
        if let Some(backup) = config.providers.get_mut(1) {
            backup.models = models(there);
        }
        if matches!(cell.beside, Beside::Fallback | Beside::FallbackThere) {
            let route = json!({"name": "test-model", "fallbacks": [FALLBACK]});
            config.routes.push(serde_json::from_value::<RouteConfig>(route).unwrap());
        }
    };
    Setup {
        keys: cell.keys,
        backup: matches!(cell.beside, Beside::Target | Beside::Fallback),
        arrange: Box::new(arrange),
        ..Setup::default()
    }
}

/// For a request that nobody will answer.
const SOON: (&str, &str) = ("x-providerpool-timeout-ms", "1000");
/// For one that only `acme` may answer, however long that takes.
const ALONE: (&str, &str) = ("x-providerpool-exclude", "backup");

/// What a client has seen.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    status: u16,
    text: String,
    /// The code of an error, or its type in a dialect without codes. Empty: there was none.
    error: String,
    is_complete: bool,
    retry_after: Option<i64>,
}

/// A header of a request.
type Header = Option<(&'static str, &'static str)>;

/// What a client has seen of one request, and that one's id.
async fn ask(app: &TestApp, client: Client, streamed: bool, header: Header) -> (Seen, String) {
    let mut request = client.ask(app, streamed);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let streaming = Streaming::to(request).await;
    let status = streaming.status();
    let retry_after = streaming.header("retry-after").parse().ok();
    let id = streaming.header("x-request-id").to_owned();
    let body = streaming.rest().await;
    let is_stream = status == 200 && streamed;
    let events = if is_stream {
        client.events(&body)
    } else {
        vec![serde_json::from_str(&body).unwrap_or_default()]
    };
    let said = |event: &Value| {
        if is_stream { client.said_in(event) } else { client.said(event) }
    };
    let error = match client {
        Client::Messages => "/error/type",
        _ => "/error/code",
    };
    let error = |event: &Value| Some(event.pointer(error)?.as_str()?.to_owned());
    let seen = Seen {
        status,
        text: events.iter().map(said).collect(),
        error: events.last().and_then(error).unwrap_or_default(),
        is_complete: if is_stream { client.is_complete(&body) } else { status == 200 },
        retry_after,
    };
    (seen, id)
}

/// The type of error that Anthropic documents for a status.
fn type_of(status: u16) -> &'static str {
    match status {
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

fn expected(end: End, client: Client, seen: &Seen) -> Seen {
    let retry_after = seen.retry_after;
    match end {
        End::Served => {
            Seen { status: 200, text: BESIDE_SAYS.concat(), is_complete: true, ..Seen::default() }
        }
        End::Fails(status, code) => Seen {
            status,
            error: if client == Client::Messages { type_of(status) } else { code }.to_owned(),
            // Whether it is true is looked at where the cooldowns are.
            retry_after: if matches!(status, 429 | 503) { retry_after.or(Some(-1)) } else { None },
            ..Seen::default()
        },
        End::Breaks(text) => Seen {
            status: 200,
            text: text.to_owned(),
            // How a stream that broke off is called differs, and that it is an error does not.
            error: if seen.error.is_empty() { "an error".to_owned() } else { seen.error.clone() },
            ..Seen::default()
        },
    }
}

/// Some cells of one pool, one after the other, each by a client.
async fn run(cells: Vec<(Cell, Client)>) -> Vec<String> {
    let app = TestApp::with(setup(cells[0].0)).await;
    app.backup.say(BESIDE_SAYS);
    let (mut wrong, mut tried) = (Vec::new(), Tried::default());
    for (cell, client) in cells {
        let words = named(format!("{client:?} {cell:?}"), try_one(&app, cell, client, &mut tried));
        wrong.extend(words.await);
    }
    wrong
}

/// Requests of one pool so far.
#[derive(Default)]
struct Tried {
    completed: u64,
    failed: u64,
}

async fn try_one(app: &TestApp, cell: Cell, client: Client, tried: &mut Tried) -> Vec<String> {
    let fails = step(cell.kind, cell.streamed);
    app.upstream.answer(move |seen| {
        let is_fallback = seen.json()["model"] == FALLBACK;
        match (is_fallback, cell.streamed) {
            (true, true) => stream_of(BESIDE_SAYS).into(),
            (true, false) => whole(&BESIDE_SAYS.concat()).into(),
            (false, _) => fails(),
        }
    });
    app.upstream.forget_calls();
    app.backup.forget_calls();
    let law = cell.law();
    let mut wrong = Wrong::default();

    // Where nothing else can come of a request than its end, that comes soon.
    let is_hopeless = cell.kind == Kind::Silent && cell.beside == Beside::Nobody && !cell.streamed;
    let (seen, id) = ask(app, client, cell.streamed, is_hopeless.then_some(SOON)).await;

    let should = expected(law.end, client, &seen);
    wrong.unless(seen == should, &format!("the client should see {should:?}"), &seen);
    let asked = app.upstream.seen();
    let beside_there = asked.iter().filter(|call| call.json()["model"] == FALLBACK).count();
    let calls = (asked.len() - beside_there, beside_there + app.backup.calls());
    let (least, most) = law.calls;
    let is_good = (least..=most).contains(&calls.0) && calls.1 == law.beside;
    let what = format!("there should be {least} to {most} calls, and {} beside", law.beside);
    wrong.unless(is_good, &what, &calls);
    let cooling: Vec<Cools> = law.cooling.iter().copied().map(Cools::of).collect();
    let look = async || cooldowns_after(app, &id).await;
    let cooldowns = settled(look, |seen| are_cooling(&cooling, seen)).await;
    let are_cooling = are_cooling(&cooling, &cooldowns);
    wrong.unless(are_cooling, &format!("should cool {cooling:?}"), &cooldowns);
    if let (Some(told), Some((least, most))) = (seen.retry_after, first_end(&cooldowns)) {
        let what = format!("retry-after should be {least} to {most} s");
        wrong.unless((least..=most).contains(&told), &what, &told);
    }
    let is_served = law.end == End::Served;
    *(if is_served { &mut tried.completed } else { &mut tried.failed }) += 1;
    ledger_is(&mut wrong, app, tried.completed, tried.failed).await;

    // A good answer makes up for all that went wrong.
    app.upstream.recover();
    app.delete("/api/v1/cooldowns").await;
    let (well, _) = ask(app, Client::Chat, false, Some(ALONE)).await;
    wrong.unless(well.text == "Hello world", "it should be well again", &well);
    tried.completed += 1;
    ledger_is(&mut wrong, app, tried.completed, tried.failed).await;
    wrong.into_words()
}

/// Whether a cell is not the same in a pool that has seen others: what of them is still remembered there
/// (incidents, kept connections, usual times, the retry budget) has a say in it.
fn is_first(cell: Cell) -> bool {
    match cell.kind {
        Kind::Auth | Kind::Payment => cell.keys > 1,
        Kind::LimitedShort | Kind::Connect => true,
        // It takes its time, and need not wait for others.
        Kind::OverloadShort => cell.beside == Beside::Nobody,
        Kind::Silent => !cell.streamed,
        _ => false,
    }
}

/// All cells of some kinds.
async fn check(kinds: &[Kind], at_once: usize) {
    let mut pools = Vec::new();
    for kind in kinds {
        for beside in Beside::ALL {
            for keys in 0..=2 {
                let ways =
                    [true, false].map(|streamed| Cell { kind: *kind, streamed, beside, keys });
                let is_one = |cell: &Cell| cell.streamed || !kind.is_of_streams();
                let cells = ways.into_iter().filter(is_one);
                let cells = cells.flat_map(|cell| CLIENTS.map(|client| (cell, client)));
                let (first, others): (Vec<_>, Vec<_>) =
                    cells.partition(|(cell, _)| is_first(*cell));
                pools.extend(first.into_iter().map(|cell| vec![cell]));
                pools.extend(Some(others).filter(|others| !others.is_empty()));
            }
        }
    }
    check_all_at_once(at_once, pools.into_iter().map(run).collect()).await;
}

/// Pools of one test that run at once.
const BUSY: usize = 6;
const MOSTLY_IDLE: usize = 16;

#[test]
fn no_kind_is_forgotten() {
    let tested = [REQUESTS, KEYS, LIMITS, SERVERS, WAITED_FOR, SILENCES, BREAKS].concat();
    assert_eq!(tested, Kind::ALL);
}

const REQUESTS: &[Kind] = &[Kind::ClientFault, Kind::TooLong, Kind::Refusal];
const KEYS: &[Kind] = &[Kind::Auth, Kind::Payment];
const LIMITS: &[Kind] = &[Kind::LimitedLong, Kind::LimitedShort];
const SERVERS: &[Kind] =
    &[Kind::Overload, Kind::OverloadLong, Kind::Server, Kind::Connect, Kind::ModelMissing];
const WAITED_FOR: &[Kind] = &[Kind::OverloadShort];
const SILENCES: &[Kind] = &[Kind::Silent, Kind::Stalled];
const BREAKS: &[Kind] = &[Kind::Cut, Kind::StalledLater, Kind::CutLater];

#[actix_web::test]
async fn the_law_holds_for_what_is_wrong_with_a_request() {
    check(REQUESTS, BUSY).await;
}

#[actix_web::test]
async fn the_law_holds_for_what_is_wrong_with_a_key() {
    check(KEYS, BUSY).await;
}

#[actix_web::test]
async fn the_law_holds_for_limits() {
    check(LIMITS, BUSY).await;
}

#[actix_web::test]
async fn the_law_holds_for_overloads_that_are_waited_for() {
    check(WAITED_FOR, MOSTLY_IDLE).await;
}

#[actix_web::test]
async fn the_law_holds_for_servers_that_fail() {
    check(SERVERS, BUSY).await;
}

#[actix_web::test]
async fn the_law_holds_for_silence() {
    check(SILENCES, MOSTLY_IDLE).await;
}

#[actix_web::test]
async fn the_law_holds_for_what_breaks_off() {
    check(BREAKS, BUSY).await;
}
