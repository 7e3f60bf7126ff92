//! The wall clock alone is set under the running pool: no cooldown gets longer or shorter. Needs
//! libfaketime; without it each test says so by name.

use std::{fs, path::Path, process::Command, time::Instant};

use serde_json::Value;

use crate::{
    scripted::{Scripted, json},
    support::{PATIENCE, Process, Workplace, http},
};

const LIBRARY: &str = "faketime/libfaketime.so.1";
const HOURS: i64 = 3_600;
const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// Where the library is, or `None` after it was said that a test is skipped.
fn library(test: &str) -> Option<String> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu", ""];
    let path = |folder| format!("/usr/lib/{folder}/{LIBRARY}");
    let found = folders.into_iter().map(path).find(|path| Path::new(path).exists());
    if found.is_none() {
        assert!(std::env::var_os("REQUIRE_FAKETIME").is_none(), "libfaketime is missing");
        println!("SKIPPED (no libfaketime): {test}");
    }
    found
}

/// A pool whose wall clock can be set. It goes on from where it is set; other clocks are left alone.
struct Clocked {
    workplace: Workplace,
    library: String,
    client: String,
    admin: String,
}

impl Clocked {
    fn new(library: String, upstream: &Scripted) -> Self {
        let workplace = Workplace::new(&format!(
            "[relay]\nmax_wait_ms = 0\n\n[[providers]]\nid = \"acme\"\nlocation = \"local\"\n\
             api_format = \"openai\"\nbase_url = \"http://{}\"\napi_keys = [\"sk-acme-1\"]\n",
            upstream.address
        ));
        let (client, admin) = (workplace.create_key("client"), workplace.create_key("admin"));
        let clocked = Self { workplace, library, client, admin };
        clocked.set(0);
        clocked
    }

    /// Sets the clock so many seconds ahead of the true time.
    fn set(&self, ahead: i64) {
        // As one step: a file that is half written is no time.
        let (new, place) = (self.workplace.path("clock.new"), self.workplace.path("clock"));
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, place).unwrap();
    }

    fn serve(&self) -> Process {
        let arguments = ["serve", "--bind", "127.0.0.1:0"];
        let mut command: Command = self.workplace.command(&arguments);
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.workplace.path("clock"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1");
        self.workplace.listening(command)
    }

    fn ask(&self, pool: &Process) -> http::Answer {
        http::ask(pool.address, "POST /v1/chat/completions", &self.client, CHAT)
    }

    fn cooldowns(&self, pool: &Process) -> Vec<Value> {
        let listed = http::get(pool.address, "/api/v1/cooldowns", &self.admin);
        listed.json()["cooldowns"].as_array().unwrap().clone()
    }

    /// What a refused request is told, in seconds, of when to come back.
    fn told(&self, pool: &Process) -> i64 {
        let refused = self.ask(pool);
        assert!(matches!(refused.status, 429 | 503), "{} {}", refused.status, refused.body);
        refused.header("retry-after").unwrap().parse().unwrap()
    }

    /// The wall clock of the pool, as it tells it.
    fn clock(&self, pool: &Process) -> i64 {
        let answer = http::get(pool.address, "/health/live", &self.admin);
        let date = answer.header("date").expect("each answer has a date").to_uppercase();
        let date = date.replace("GMT", "+0000");
        jiff::fmt::rfc2822::parse(&date).unwrap().timestamp().as_second()
    }
}

fn limiting(seconds: u32) -> Scripted {
    Scripted::start(move |_| {
        json(429, &format!("retry-after: {seconds}\r\n"), r#"{"error":{"message":"slowly"}}"#)
    })
}

/// Sets the clock, and waits until the pool goes by it.
fn step(clocked: &Clocked, pool: &Process, ahead: i64) {
    clocked.set(ahead);
    let began = Instant::now();
    let is_set =
        |clock: i64| (clock - jiff::Timestamp::now().as_second() - ahead).abs() < HOURS / 2;
    while !is_set(clocked.clock(pool)) {
        assert!(began.elapsed() < PATIENCE, "the clock of the pool is not set");
    }
}

#[test]
fn when_to_come_back_stays_true_whichever_way_the_clock_is_set() {
    let Some(library) = library("when_to_come_back_stays_true_whichever_way_the_clock_is_set")
    else {
        return;
    };
    for ahead in [-2 * HOURS, 2 * HOURS] {
        let upstream = limiting(60);
        let clocked = Clocked::new(library.clone(), &upstream);
        let pool = clocked.serve();
        let began = Instant::now();
        // Drawn out by a tenth at most.
        let is_true = |told: i64| {
            let passed = i64::try_from(began.elapsed().as_secs()).unwrap();
            (60 - passed - 1..=67).contains(&told)
        };
        let told = clocked.told(&pool);
        assert!(is_true(told), "{told} before");

        step(&clocked, &pool, ahead);

        let told = clocked.told(&pool);
        assert!(is_true(told), "{told} after {ahead}");
        assert_eq!(upstream.take().len(), 1, "it was asked again after {ahead}");
        assert_eq!(clocked.cooldowns(&pool).len(), 1, "{ahead}");
    }
}

#[test]
fn a_cooldown_ends_in_time_though_the_clock_was_set_back() {
    let Some(library) = library("a_cooldown_ends_in_time_though_the_clock_was_set_back") else {
        return;
    };
    let upstream = limiting(2);
    let clocked = Clocked::new(library, &upstream);
    let pool = clocked.serve();
    clocked.told(&pool);

    step(&clocked, &pool, -2 * HOURS);

    upstream.take();
    let began = Instant::now();
    while upstream.take().is_empty() {
        assert!(began.elapsed() < PATIENCE, "it does not end");
        clocked.ask(&pool);
    }
}

#[test]
fn what_a_clock_that_was_ahead_has_left_is_no_longer_than_it_was_meant_to_be() {
    let test = "what_a_clock_that_was_ahead_has_left_is_no_longer_than_it_was_meant_to_be";
    let Some(library) = library(test) else { return };
    let upstream = limiting(60);
    let clocked = Clocked::new(library, &upstream);
    clocked.set(365 * 24 * HOURS);
    let mut pool = clocked.serve();
    clocked.told(&pool);
    let stored = Instant::now();
    while clocked.cooldowns(&pool).is_empty() {
        assert!(stored.elapsed() < PATIENCE, "no cooldown");
    }
    pool.terminate();
    pool.ended();
    clocked.set(0);

    let pool = clocked.serve();

    let told = clocked.told(&pool);
    assert!((1..=67).contains(&told), "{told}");
}
