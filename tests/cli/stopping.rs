//! SIGTERM: what is inside is finished, nobody else is let in, and the end is a good one.

use crate::{
    CHAT, QUESTION, STREAMED_QUESTION,
    support::{Workplace, http},
    upstream::Upstream,
    with_provider,
};

#[test]
fn a_stream_in_flight_is_finished_and_new_requests_are_turned_away() {
    let upstream = Upstream::start();
    let workplace = Workplace::new(&with_provider(upstream.address));
    let client = workplace.create_key("client");
    let mut pool = workplace.serve();
    assert_eq!(http::get(pool.address, "/health/ready", "").status, 200);
    let mut stream = http::open(pool.address, CHAT, &client, "", STREAMED_QUESTION);
    assert_eq!(stream.status, 200);
    assert!(stream.read_until("Hello"));

    pool.terminate();
    while http::get(pool.address, "/health/ready", "").status != 503 {}
    let not_ready = http::get(pool.address, "/health/ready", "");
    assert_eq!(not_ready.json()["accepting"], false);
    assert!(not_ready.header("retry-after").is_some());
    assert_eq!(http::get(pool.address, "/health/live", "").status, 200);
    let refused = http::ask(pool.address, CHAT, &client, QUESTION);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    assert!(refused.json()["error"]["message"].is_string());

    upstream.end_stream.send(()).unwrap();
    assert!(stream.read_until("data: [DONE]"));
    assert_eq!(pool.ended().code(), Some(0), "{}", pool.said());
}

#[test]
fn a_second_signal_does_not_wait_for_the_stream() {
    let upstream = Upstream::start();
    let workplace = Workplace::new(&with_provider(upstream.address));
    let client = workplace.create_key("client");
    let mut pool = workplace.serve();
    let mut stream = http::open(pool.address, CHAT, &client, "", STREAMED_QUESTION);
    assert!(stream.read_until("Hello"));

    pool.terminate();
    while http::get(pool.address, "/health/ready", "").status != 503 {}
    pool.terminate();
    assert_eq!(pool.ended().code(), Some(1), "{}", pool.said());
}

#[test]
fn a_stream_that_outlasts_the_drain_is_cut_off() {
    let upstream = Upstream::start();
    let provider = with_provider(upstream.address);
    let workplace = Workplace::new(&format!("[server]\ndrain_timeout_ms = 100\n{provider}"));
    let client = workplace.create_key("client");
    let mut pool = workplace.serve();
    let mut stream = http::open(pool.address, CHAT, &client, "", STREAMED_QUESTION);
    assert!(stream.read_until("Hello"));

    pool.terminate();
    assert!(!stream.read_until("data: [DONE]"));
    assert_eq!(pool.ended().code(), Some(0), "{}", pool.said());
}

#[test]
fn those_who_watch_the_event_stream_do_not_hold_up_the_end() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let mut pool = workplace.serve();
    let mut events = http::Events::subscribe(pool.address, &admin, "system");
    events.wait_for("system.started");

    pool.terminate();
    events.wait_for("system.draining");
    // Sooner than the server would give up on connections that do not end: the test waits less.
    assert_eq!(pool.ended().code(), Some(0), "{}", pool.said());
}

#[test]
fn health_tells_by_its_exit_code_whether_the_pool_lives() {
    let workplace = Workplace::new("");
    let mut pool = workplace.serve();
    let address = pool.address.to_string();
    let alive = workplace.run(&["health", "--bind", &address]);
    assert_eq!((alive.code, alive.stdout.trim()), (Some(0), "HTTP/1.1 200 OK"));

    pool.kill();
    let dead = workplace.run(&["health", "--bind", &address]);
    assert_eq!(dead.code, Some(1));
    assert!(dead.stderr.contains(&format!("no answer from http://{address}")), "{}", dead.stderr);
}
