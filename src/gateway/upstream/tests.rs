//! The client against servers that answer with scripted bytes, on loopback.

use std::{
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use url::Url;

use super::{Upstream, UpstreamRequest, UpstreamResponse, UpstreamSettings, Waits};
use crate::domain::{
    credential::Egress,
    failure::{Failure, FailureClass},
    provider::{ApiFormat, Location},
    rule::{FailureRule, RuleAction, RuleText},
};

mod edges;
mod egress;
mod hearing;

/// What a server does with a connection once it has read a request.
#[derive(Clone, Copy)]
enum Then {
    Close,
    /// Reads the next request and answers it alike.
    Serve,
    /// Says no more and does not close.
    Hang,
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each request with these pieces, each in a write of its own.
    async fn start(pieces: &'static [&'static str], then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    while read_request(&mut socket).await.is_some() {
                        for piece in pieces {
                            socket.write_all(piece.as_bytes()).await.unwrap();
                        }
                        match then {
                            Then::Close => return,
                            Then::Serve => (),
                            Then::Hang => std::future::pending().await,
                        }
                    }
                });
            }
        });
        Self { address, connections }
    }

    fn url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }
}

/// Reads a request with the body `{}`; `None` when the client has closed the connection.
async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n{}") {
        if socket.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(read).ok()
}

fn upstream() -> Upstream {
    // Reading the trusted roots takes longer than all the rest of most tests.
    static SETTINGS: LazyLock<UpstreamSettings> =
        LazyLock::new(|| UpstreamSettings::load(Duration::from_secs(5)).unwrap());
    Upstream::new(&SETTINGS).unwrap()
}

fn patient() -> Waits {
    let long = Duration::from_mins(1);
    Waits { deadline: Instant::now() + long, head: long, idle: long }
}

async fn send_to(
    upstream: &Upstream,
    url: &str,
    location: Location,
    waits: Waits,
) -> Result<UpstreamResponse, Failure> {
    send_by(upstream, url, location, &Egress::Usual, waits).await
}

async fn send_by(
    upstream: &Upstream,
    url: &str,
    location: Location,
    egress: &Egress,
    waits: Waits,
) -> Result<UpstreamResponse, Failure> {
    let url: Url = url.parse().unwrap();
    let rule = RuleText {
        status: 403,
        contains: vec!["not in your plan".to_owned()],
        matches: vec![],
        action: RuleAction::Continue,
    };
    let request = UpstreamRequest {
        url: &url,
        format: ApiFormat::Openai,
        forwarded: &[],
        credential: None,
        headers: &[],
        own_headers: &[],
        egress,
        rules: &[FailureRule::parse(rule).unwrap()],
        body: Bytes::from_static(b"{}"),
        stream: true,
        location,
        waits,
    };
    upstream.send(request).await
}

async fn ask(server: &Server, waits: Waits) -> Result<UpstreamResponse, Failure> {
    send_to(&upstream(), &server.url(), Location::Local, waits).await
}

fn failure_of(result: Result<UpstreamResponse, Failure>) -> Failure {
    result.err().expect("a failure")
}

const OK_HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\
                       transfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_whole_answer_is_read() {
    let server = Server::start(&[OK_HELLO], Then::Serve).await;
    let response = ask(&server, patient()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(response.read_whole(5).await.unwrap(), "hello");
}

#[tokio::test]
async fn an_answer_past_the_limit_is_refused_whether_or_not_it_says_its_length() {
    for pieces in [&[OK_HELLO][..], &[CHUNKED, "3\r\nhel\r\n", "2\r\nlo\r\n0\r\n\r\n"]] {
        let server = Server::start(pieces, Then::Serve).await;
        let response = ask(&server, patient()).await.unwrap();
        assert_eq!(response.read_whole(4).await.unwrap_err().class, FailureClass::Server);
        let response = ask(&server, patient()).await.unwrap();
        assert_eq!(response.read_whole(5).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_stream_is_read_piece_by_piece_to_its_end() {
    let server =
        Server::start(&[CHUNKED, "3\r\nhel\r\n", "2\r\nlo\r\n0\r\n\r\n"], Then::Hang).await;
    let mut response = ask(&server, patient()).await.unwrap();
    assert_eq!(response.header("content-type"), Some("Text/Event-Stream; charset=utf-8"));
    let mut seen = Vec::new();
    while let Some(chunk) = response.next_chunk().await.unwrap() {
        seen.extend_from_slice(&chunk);
    }
    assert_eq!(seen, b"hello");
}

#[tokio::test]
async fn the_pool_says_who_it_is_and_asks_for_plain_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await.unwrap()
    });
    let _ = send_to(&upstream(), &url, Location::Local, patient()).await;
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST /x HTTP/1.1\r\n"), "{seen}");
    for line in
        ["accept-encoding: identity", "accept: text/event-stream", "user-agent: providerpool/"]
    {
        assert!(seen.contains(&format!("\r\n{line}")), "{line} is not in {seen}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_recycled_stream_and_after_an_error() {
    let stream = &[CHUNKED, "e\r\ndata: [DONE]\n\n\r\n", "0\r\n\r\n"];
    let error = &["HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n", "{}"];
    let (stream, error) =
        (Server::start(stream, Then::Serve).await, Server::start(error, Then::Serve).await);
    let upstream = upstream();
    for _ in 0..3 {
        let mut response =
            send_to(&upstream, &stream.url(), Location::Local, patient()).await.unwrap();
        assert_eq!(response.next_chunk().await.unwrap().unwrap(), "data: [DONE]\n\n");
        response.recycle();
        // The rest is read by another task on this thread: give it and the connection their turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        failure_of(send_to(&upstream, &error.url(), Location::Local, patient()).await);
    }
    assert_eq!(stream.connections.load(Ordering::Relaxed), 1, "streams");
    assert_eq!(error.connections.load(Ordering::Relaxed), 1, "errors");
}

#[tokio::test]
async fn a_refusal_is_classified_with_its_body_and_its_hint() {
    let server = Server::start(
        &[
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 63\r\n\r\n",
            r#"{"error":{"message":"no credit","code":"#,
            r#""insufficient_quota"}}  "#,
        ],
        Then::Serve,
    )
    .await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!((failure.class, failure.status), (FailureClass::Payment, Some(429)));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(failure.reason.unwrap().message, "no credit");
}

#[tokio::test]
async fn a_rule_is_held_against_the_body_as_it_came() {
    const HEAD: &str = "HTTP/1.1 403 X\r\nconnection: close\r\n\r\n";
    let server = Server::start(&[HEAD, "{\"x\":\"not in ", "your plan\"}"], Then::Close).await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!((failure.class, failure.rule), (FailureClass::Auth, Some(RuleAction::Continue)));
    let server = Server::start(&[HEAD, "another reason"], Then::Close).await;
    assert_eq!(failure_of(ask(&server, patient()).await).rule, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(
        &["HTTP/1.1 307 X\r\nlocation: http://8.8.8.8/\r\ncontent-length: 0\r\n\r\n"],
        Then::Serve,
    )
    .await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!((failure.class, failure.status), (FailureClass::Server, Some(307)));
}

#[tokio::test]
async fn an_error_body_without_end_is_read_in_part() {
    let piece: &'static str = Box::leak("x".repeat(40_000).into_boxed_str());
    let pieces = vec!["HTTP/1.1 503 X\r\nconnection: close\r\n\r\n", piece, piece];
    let server = Server::start(Box::leak(pieces.into_boxed_slice()), Then::Hang).await;
    let failure = failure_of(ask(&server, patient()).await);
    assert_eq!(failure.class, FailureClass::Overload);
}

#[tokio::test]
async fn a_refused_connection_and_one_closed_before_an_answer_are_connect_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let failure = failure_of(send_to(&upstream(), &url, Location::Local, patient()).await);
    assert_eq!(failure.class, FailureClass::Connect);
    assert_eq!(failure.detail, "no connection: connection refused");

    let server = Server::start(&[], Then::Close).await;
    assert_eq!(failure_of(ask(&server, patient()).await).class, FailureClass::Connect);
}

#[tokio::test]
async fn a_failed_handshake_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 400 this speaks no TLS\r\n\r\n").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let failure = failure_of(send_to(&upstream(), &url, Location::Local, patient()).await);
    assert_eq!(failure.class, FailureClass::Connect);
    assert!(failure.detail.starts_with("TLS failed: "), "{}", failure.detail);
}

#[tokio::test]
async fn no_head_in_time_is_silent() {
    let server = Server::start(&[], Then::Hang).await;
    let waits = Waits { head: Duration::from_millis(20), ..patient() };
    assert_eq!(failure_of(ask(&server, waits).await).class, FailureClass::Silent);
    let waits = Waits { deadline: Instant::now() + Duration::from_millis(20), ..patient() };
    assert_eq!(failure_of(ask(&server, waits).await).class, FailureClass::Silent);
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_silent_before_and_stalled_after_its_first_piece() {
    let waits = Waits { idle: Duration::from_millis(20), ..patient() };
    let server = Server::start(&[CHUNKED], Then::Hang).await;
    let mut response = ask(&server, waits).await.unwrap();
    assert_eq!(response.next_chunk().await.unwrap_err().class, FailureClass::Silent);

    // Long enough for a busy machine to bring the first piece.
    let waits = Waits { idle: Duration::from_millis(500), ..patient() };
    let server = Server::start(&[CHUNKED, "2\r\nhi\r\n"], Then::Hang).await;
    let mut response = ask(&server, waits).await.unwrap();
    assert_eq!(response.next_chunk().await.unwrap().unwrap(), "hi");
    assert_eq!(response.next_chunk().await.unwrap_err().class, FailureClass::Stalled);

    let upstream = upstream();
    let waits = Waits { deadline: Instant::now() + Duration::from_millis(500), ..patient() };
    let sent = send_to(&upstream, &server.url(), Location::Local, waits).await;
    let mut response = sent.unwrap();
    assert_eq!(response.next_chunk().await.unwrap().unwrap(), "hi");
    assert_eq!(response.next_chunk().await.unwrap_err().class, FailureClass::Stalled);
}

#[tokio::test]
async fn a_body_that_ends_early_is_cut() {
    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
    for pieces in [&[SHORT][..], &[CHUNKED, "5\r\nhello\r\n"]] {
        let server = Server::start(pieces, Then::Close).await;
        let mut response = ask(&server, patient()).await.unwrap();
        assert_eq!(response.next_chunk().await.unwrap().unwrap(), "hello");
        assert_eq!(response.next_chunk().await.unwrap_err().class, FailureClass::Cut);
    }
}

#[tokio::test]
async fn an_address_that_is_not_permitted_is_not_connected_to() {
    let server = Server::start(&[OK_HELLO], Then::Serve).await;
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for url in [&server.url(), &by_name] {
        let refused = send_to(&upstream(), url, Location::Cloud, patient()).await;
        let failure = failure_of(refused);
        assert_eq!(failure.class, FailureClass::Connect, "{url}");
        assert!(failure.detail.contains("private or loopback"), "{url}: {}", failure.detail);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 0);
    let response = send_to(&upstream(), &by_name, Location::Local, patient()).await;
    assert!(response.is_ok(), "a local provider may be on loopback");
    let metadata = "http://169.254.169.254/";
    let refused = send_to(&upstream(), metadata, Location::Local, patient()).await;
    assert!(failure_of(refused).detail.contains("never called"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_connect_failure() {
    let refused = send_to(&upstream(), "http://no.invalid/", Location::Cloud, patient()).await;
    let failure = failure_of(refused);
    assert_eq!(failure.class, FailureClass::Connect);
    assert_eq!(failure.detail, "the name of the host does not resolve");
}
