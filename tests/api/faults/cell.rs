//! A cell of the matrix, and what is looked at in all of them.

use std::{fmt::Debug, panic::AssertUnwindSafe};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use providerpool::config::Config;
use serde_json::Value;

use super::{
    super::support::{
        Ledger, Pool, Reply, Setup, Streaming, TestApp, Which, chat_body,
        script::{DONE, MakeStep},
        settled,
    },
    settings::Setting,
};

/// Cells of one test that run at once.
const AT_ONCE: usize = 8;

/// What goes wrong at `acme`, and what has to come of it.
pub struct Fault {
    asked: Asked,
    step: MakeStep,
    which: Which,
    refusing: bool,
    configure: fn(&mut Config),
    lines: &'static [Line],
}

#[derive(Clone, Copy)]
enum Asked {
    Whole,
    Streamed,
    Both,
}

/// What has to come of a fault in one setting.
pub struct Line {
    setting: Setting,
    sees: Sees,
    /// What the last request sees, when that is something else.
    then: Option<Sees>,
    /// How often `acme` and `backup` are asked.
    calls: [usize; 2],
    /// Set where `calls` is only the least.
    at_most: Option<[usize; 2]>,
    cools: &'static [Cools],
    /// Requests made, one after the other.
    times: usize,
}

/// What the client has to see.
#[derive(Debug, Clone, Copy)]
pub enum Sees {
    /// All that `acme` says when it is well.
    Acme,
    Backup,
    /// An error before anything else: its status and code.
    Fails(u16, &'static str),
    /// A stream of this text, and then an error of this code.
    Breaks(&'static str, &'static str),
}

/// A cooldown at `acme`.
#[derive(Debug)]
pub struct Cools {
    scope: &'static str,
    cause: &'static str,
    /// How long it lasts, in milliseconds.
    shortest: i64,
    longest: i64,
}

pub const NOTHING: &[Cools] = &[];

const ACME_SAYS: &str = "Hello world";
const BACKUP_SAYS: &str = "Hello backup";

/// A fault that shows itself whether a stream is asked for or not.
pub const fn both(step: MakeStep, lines: &'static [Line]) -> Fault {
    let (which, configure): (Which, fn(&mut Config)) = (|_| true, |_| {});
    Fault { asked: Asked::Both, step, which, refusing: false, configure, lines }
}

/// A fault of whole answers.
pub const fn whole(step: MakeStep, lines: &'static [Line]) -> Fault {
    Fault { asked: Asked::Whole, ..both(step, lines) }
}

/// A fault of streams.
pub const fn streamed(step: MakeStep, lines: &'static [Line]) -> Fault {
    Fault { asked: Asked::Streamed, ..both(step, lines) }
}

impl Fault {
    /// Only some of the calls go wrong.
    pub const fn at(self, which: Which) -> Self {
        Self { which, ..self }
    }

    /// Only the first call goes wrong.
    pub const fn once(self) -> Self {
        self.at(|number| number == 0)
    }

    /// Nobody listens.
    pub const fn refusing(self) -> Self {
        Self { refusing: true, ..self }
    }

    pub const fn with(self, configure: fn(&mut Config)) -> Self {
        Self { configure, ..self }
    }
}

pub const fn on(setting: Setting, sees: Sees, calls: [usize; 2], cools: &'static [Cools]) -> Line {
    Line { setting, sees, then: None, calls, at_most: None, cools, times: 1 }
}

impl Line {
    pub const fn at_most(self, calls: [usize; 2]) -> Self {
        Self { at_most: Some(calls), ..self }
    }

    pub const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    pub const fn then(self, sees: Sees) -> Self {
        Self { then: Some(sees), ..self }
    }

    /// What each of the requests sees.
    fn all_see(&self) -> Vec<Sees> {
        let last = self.then.unwrap_or(self.sees);
        let number_to_sees = |number| if number == self.times { last } else { self.sees };
        (1..=self.times).map(number_to_sees).collect()
    }
}

/// The longest cooldown.
const DAY: i64 = 86_400_000;

/// Cooldowns are drawn out by up to a tenth, and by half a minute at most.
pub const fn cools(scope: &'static str, cause: &'static str, seconds: i64) -> Cools {
    let tenth = seconds * 100;
    let longest = seconds * 1_000 + if tenth < 30_000 { tenth } else { 30_000 };
    let longest = if longest < DAY { longest } else { DAY };
    Cools { scope, cause, shortest: seconds * 1_000, longest }
}

impl Cools {
    /// As [`cools`], from milliseconds.
    pub fn of((scope, cause, millis): (&'static str, &'static str, i64)) -> Self {
        Self { scope, cause, shortest: millis, longest: millis + (millis / 10).min(30_000) }
    }

    /// The end was told as a point in time, and some of the time to it has passed when it is read.
    pub const fn or_less(self) -> Self {
        Self { shortest: self.shortest - 30_000, ..self }
    }

    fn fits(&self, seen: &Value) -> bool {
        let length = millis(seen, "until") - millis(seen, "started_at");
        seen["provider_id"] == "acme"
            && seen["scope"] == self.scope
            && seen["cause"] == self.cause
            && (self.shortest..=self.longest).contains(&length)
    }
}

fn millis(cooldown: &Value, field: &str) -> i64 {
    cooldown[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// The cooldowns that hold, and those of this request that are over by now: a short one may be, before
/// anybody looks.
pub async fn cooldowns_after(pool: &Pool, request: &str) -> Vec<Value> {
    let led_to = pool.cooldowns_of(request).await;
    let mut seen = pool.cooldowns().await;
    let of = |cooldown: &Value| {
        ["provider_id", "credential_id", "model_id"].map(|field| cooldown[field].clone())
    };
    for over in led_to.into_iter().rev().filter(is_over) {
        if !seen.iter().any(|other| of(other) == of(&over)) {
            seen.push(over);
        }
    }
    seen
}

fn is_over(cooldown: &Value) -> bool {
    millis(cooldown, "until") <= jiff::Timestamp::now().as_millisecond()
}

/// Whether these are the cooldowns expected, and no others that hold.
pub fn are_cooling(expected: &[Cools], seen: &[Value]) -> bool {
    let mut left: Vec<&Value> = seen.iter().collect();
    let are_there = expected.iter().all(|cools| {
        let found = left.iter().position(|seen| cools.fits(seen));
        found.map(|found| left.swap_remove(found)).is_some()
    });
    are_there && left.into_iter().all(is_over)
}

/// What a client has seen of one request.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: u16,
    text: String,
    /// The code of the error that it ends with; empty when it ends well.
    error: String,
}

impl Outcome {
    fn expected(sees: Sees) -> Self {
        let (status, text, error) = match sees {
            Sees::Acme => (200, ACME_SAYS, ""),
            Sees::Backup => (200, BACKUP_SAYS, ""),
            Sees::Fails(status, code) => (status, "", code),
            Sees::Breaks(text, code) => (200, text, code),
        };
        Self { status, text: text.to_owned(), error: error.to_owned() }
    }

    fn of_whole(status: u16, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let text = json["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        Self { status, text: text.to_owned(), error: error_of(&json) }
    }

    fn is_good(&self) -> bool {
        self.status == 200 && self.error.is_empty()
    }
}

fn error_of(json: &Value) -> String {
    json["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// What a stream says, and the code of the error it ends with. Says in its place what is wrong with
/// the way it ends.
pub fn read_stream(stream: &str) -> (String, String) {
    let mut text = String::new();
    let mut error = String::new();
    for event in stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        let json: Value = serde_json::from_str(event).unwrap_or_default();
        text.push_str(json["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        if json.get("error").is_some() {
            error.push_str(&error_of(&json));
        }
    }
    let last = stream.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let fault = match (stream.matches(DONE).count(), error.is_empty()) {
        (1, true) if stream.ends_with(DONE) => None,
        (0, false) if last.starts_with("data: {\"error\"") => None,
        (0, true) => Some("neither an error nor [DONE]"),
        (0, false) => Some("an error that is not the last event"),
        (_, false) => Some("an error beside [DONE]"),
        (_, true) => Some("a [DONE] that is not the end"),
    };
    (text, fault.map_or(error, |fault| format!("{fault} in {stream:?}")))
}

/// An outcome, what the client was told about when to come back, and the request's id.
async fn ask(app: &TestApp, streamed: bool) -> (Outcome, Option<i64>, String) {
    let request = app.relay(chat_body("hello", streamed).to_string());
    if !streamed {
        let reply = Reply::to(request).await;
        let retry_after = reply.header("retry-after").parse().ok();
        let id = reply.header("x-request-id").to_owned();
        return (Outcome::of_whole(reply.status, reply.text()), retry_after, id);
    }
    let streaming = Streaming::to(request).await;
    let retry_after = streaming.header("retry-after").parse().ok();
    let id = streaming.header("x-request-id").to_owned();
    let status = streaming.status();
    let is_stream = streaming.header("content-type").starts_with("text/event-stream");
    let tell = |piece: &str| {
        if piece.starts_with(':') {
            app.upstream.client_is_told();
        }
    };
    let body = streaming.rest_and(tell).await;
    if !is_stream {
        return (Outcome::of_whole(status, &body), retry_after, id);
    }
    let (text, error) = read_stream(&body);
    (Outcome { status, text, error }, retry_after, id)
}

/// Runs all cells of some faults, and fails with all that is wrong in any of them.
pub async fn check(name: &str, faults: &[Fault]) {
    let mut cells = Vec::new();
    for (n, fault) in faults.iter().enumerate() {
        let ways: &[bool] = match fault.asked {
            Asked::Whole => &[false],
            Asked::Streamed => &[true],
            Asked::Both => &[false, true],
        };
        for line in fault.lines {
            for streamed in ways {
                let way = if *streamed { "streamed" } else { "whole" };
                let Line { setting, times, .. } = line;
                let cell = format!("{name}[{n}] {way} {setting:?} x{times}");
                cells.push(named(cell, run(fault, line, *streamed)));
            }
        }
    }
    check_all(cells).await;
}

/// What is wrong in a cell, under its name. A panic is wrong too.
pub async fn named(cell: String, run: impl Future<Output = Vec<String>>) -> Vec<String> {
    let wrong = AssertUnwindSafe(run).catch_unwind().await;
    let wrong = wrong.unwrap_or_else(|_| vec!["panicked".to_owned()]);
    wrong.into_iter().map(|wrong| format!("{cell}: {wrong}")).collect()
}

pub async fn check_all(cells: Vec<impl Future<Output = Vec<String>>>) {
    check_all_at_once(AT_ONCE, cells).await;
}

pub async fn check_all_at_once(at_once: usize, cells: Vec<impl Future<Output = Vec<String>>>) {
    assert!(!cells.is_empty());
    let wrong: Vec<_> = stream::iter(cells).buffer_unordered(at_once).collect().await;
    let mut wrong = wrong.concat();
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong, in words.
#[derive(Default)]
pub struct Wrong(Vec<String>);

impl Wrong {
    pub fn unless<T: Debug + ?Sized>(&mut self, is_good: bool, what: &str, seen: &T) {
        if !is_good {
            self.0.push(format!("{what}; seen: {seen:?}"));
        }
    }

    pub fn into_words(self) -> Vec<String> {
        self.0
    }
}

async fn run(fault: &Fault, line: &Line, streamed: bool) -> Vec<String> {
    let (refusing, configure) = (fault.refusing, fault.configure);
    let app = TestApp::with(Setup { refusing, configure, ..line.setting.setup() }).await;
    app.backup.say(&["Hello", " backup"]);
    app.upstream.at(fault.step, fault.which);
    let mut wrong = Wrong::default();
    let (mut completed, mut failed) = (0, 0);
    let (mut retry_after, mut last) = (None, String::new());

    for (number, sees) in (1..).zip(line.all_see()) {
        let (outcome, told, id) = ask(&app, streamed).await;
        let expected = Outcome::expected(sees);
        let what = format!("request {number} should see {sees:?}");
        wrong.unless(outcome == expected, &what, &outcome);
        let may_say_when = matches!(expected.status, 429 | 503);
        wrong.unless(told.is_some() == may_say_when, "retry-after on 429 and 503", &told);
        (retry_after, last) = (told, id);
        *(if expected.is_good() { &mut completed } else { &mut failed }) += 1;
        all_have_heard(&app).await;
    }

    calls_are(&mut wrong, &app, fault, line).await;
    let look = async || cooldowns_after(&app, &last).await;
    let cooldowns = settled(look, |seen| are_cooling(line.cools, seen)).await;
    let what = format!("should cool {:?}", line.cools);
    wrong.unless(are_cooling(line.cools, &cooldowns), &what, &cooldowns);
    if let (Some(told), Some(first)) = (retry_after, first_end(&cooldowns)) {
        let (at_least, at_most) = first;
        let is_true = (at_least..=at_most).contains(&told);
        let what = format!("retry-after should be {at_least} to {at_most} s");
        wrong.unless(is_true, &what, &told);
    }
    ledger_is(&mut wrong, &app, completed, failed).await;

    app.upstream.recover();
    app.delete("/api/v1/cooldowns").await;
    let (outcome, ..) = ask(&app, streamed).await;
    let is_well = outcome == Outcome::expected(Sees::Acme);
    wrong.unless(is_well, "a request after the recovery should see Acme", &outcome);
    ledger_is(&mut wrong, &app, completed + 1, failed).await;
    wrong.into_words()
}

/// Waits until all that was told of the failures so far is in what the next request goes by: actors
/// take one message after the other, and the one may have told the other.
async fn all_have_heard(app: &TestApp) {
    app.cooldowns().await;
    app.cooldowns().await;
}

async fn calls_are(wrong: &mut Wrong, app: &TestApp, fault: &Fault, line: &Line) {
    let refused = "providerpool_attempts_total{provider=\"acme\",class=\"connect\"}";
    let at_acme = if fault.refusing {
        usize::try_from(app.metric(refused).await).unwrap()
    } else {
        app.upstream.calls()
    };
    let seen = [at_acme, app.backup.calls()];
    let (least, most) = (line.calls, line.at_most.unwrap_or(line.calls));
    let is_good = (0..2).all(|n| (least[n]..=most[n]).contains(&seen[n]));
    wrong.unless(is_good, &format!("calls should be {least:?} to {most:?}"), &seen);
}

/// When the first cooldown ends, in seconds, for somebody who was told it between its beginning and
/// now.
pub fn first_end(cooldowns: &[Value]) -> Option<(i64, i64)> {
    let first = cooldowns.iter().min_by_key(|cooldown| millis(cooldown, "until"))?;
    let until = millis(first, "until");
    let left = until - jiff::Timestamp::now().as_millisecond();
    let length = until - millis(first, "started_at");
    let seconds = |millis: i64| (millis + 999).div_euclid(1_000).max(1);
    Some((seconds(left), seconds(length)))
}

/// Whether there is one entry of each request, and as it ended.
pub async fn ledger_is(wrong: &mut Wrong, pool: &Pool, completed: u64, failed: u64) {
    let is_good = |ledger: &(Ledger, u64)| {
        let (Ledger { requests, completed: c, failed: f, cancelled, .. }, rows) = ledger;
        (*requests, *c, *f, *cancelled, *rows)
            == (completed + failed, completed, failed, 0, completed + failed)
    };
    let look = async || (pool.ledger().await, pool.stored_entries());
    let seen = settled(look, is_good).await;
    let what = format!("the ledger should have {completed} completed and {failed} failed");
    wrong.unless(is_good(&seen), &what, &seen);
}
