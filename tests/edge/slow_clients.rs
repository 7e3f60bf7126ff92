//! Clients that take their time, on every kind of route. In each test one deadline is short and all
//! others are longer than the test would wait: what ends a connection is the one that should.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::support::{PATIENCE, Process, Workplace, http};

/// How often a slow client says a little more.
const TRICKLE: Duration = Duration::from_millis(20);

/// Whose key a request bears.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    Client,
    Admin,
    /// There is nothing at this path for anybody.
    None,
}

/// Every kind of route that could read a body.
const ROUTES: [(&str, Key); 26] = [
    ("POST /v1/chat/completions", Key::Client),
    ("POST /v1/completions", Key::Client),
    ("POST /v1/responses", Key::Client),
    ("POST /v1/embeddings", Key::Client),
    ("POST /v1/messages", Key::Client),
    ("POST /v1/messages/count_tokens", Key::Client),
    ("POST /v1/models/m:generateContent", Key::Client),
    ("POST /v1beta/models/m:generateContent", Key::Client),
    ("POST /v1beta/models/m:streamGenerateContent", Key::Client),
    ("POST /v1beta/models/m:countTokens", Key::Client),
    ("POST /v1beta/models/m:batchEmbedContents", Key::Client),
    ("POST /api/chat", Key::Client),
    ("POST /api/generate", Key::Client),
    ("POST /api/embed", Key::Client),
    ("POST /api/embeddings", Key::Client),
    ("POST /api/show", Key::Client),
    ("POST /api/v1/providers", Key::Admin),
    ("PATCH /api/v1/providers/openai", Key::Admin),
    ("POST /api/v1/providers/openai/keys", Key::Admin),
    ("POST /api/v1/client-keys", Key::Admin),
    ("PUT /api/v1/aliases/a", Key::Admin),
    ("PUT /api/v1/routes/a", Key::Admin),
    ("POST /api/v1/routes/explain", Key::Admin),
    ("POST /v1/nowhere", Key::None),
    ("POST /v1beta/nowhere", Key::None),
    ("POST /nowhere", Key::None),
];

/// How the length of a body is told.
const FRAMINGS: [&str; 2] = ["content-length: 100000", "transfer-encoding: chunked"];

struct Pool {
    process: Process,
    admin: String,
    client: String,
    _workplace: Workplace,
}

impl Pool {
    /// Starts a pool for the first time, with these settings of `[server]` over long deadlines.
    fn start(settings: &[(&str, &str)]) -> Self {
        let long = ["body", "body_idle", "head", "keep_alive", "write", "linger"];
        let long = long.map(|name| (format!("{name}_timeout_ms"), "3600000".to_owned()));
        let mut all: Vec<_> = long.into_iter().collect();
        for (name, value) in settings {
            all.retain(|(other, _)| other != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        let lines: Vec<_> = all.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let workplace = Workplace::new(&format!("[server]\n{}", lines.join("\n")));
        let mut process = workplace.serve();
        let mut key = |role| {
            let line = process.line_with(&format!("  {role} key "));
            line.split_whitespace().last().unwrap().to_owned()
        };
        let (admin, client) = (key("admin"), key("client"));
        Self { process, admin, client, _workplace: workplace }
    }

    fn address(&self) -> SocketAddr {
        self.process.address
    }

    fn key(&self, key: Key) -> &str {
        match key {
            Key::Client => &self.client,
            Key::Admin => &self.admin,
            Key::None => "",
        }
    }

    /// A metric's value; 0 when it is not there.
    fn metric(&self, name: &str) -> u64 {
        let page = http::get(self.address(), "/metrics", &self.admin);
        assert_eq!(page.status, 200, "{}", page.body);
        let line = page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until the vocabulary is unpacked at the start, which takes memory of its own.
    fn until_unpacked(&self) {
        let tasks = format!("/proc/{}/task", self.process.id());
        let is_unpacking = || {
            let names = fs::read_dir(&tasks).into_iter().flatten().flatten();
            names
                .map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default())
                .any(|name| name.trim() == "vocabulary")
        };
        let started = Instant::now();
        while is_unpacking() {
            assert!(started.elapsed() < PATIENCE, "the vocabulary is still being unpacked");
            thread::yield_now();
        }
    }

    /// Waits until a metric has come to a value.
    fn wait_for(&self, metric: &str, value: u64) {
        let start = Instant::now();
        while self.metric(metric) < value {
            assert!(start.elapsed() < PATIENCE, "{metric} is {}", self.metric(metric));
        }
        assert_eq!(self.metric(metric), value, "{metric}");
    }

    /// Waits until so many connections were closed by this deadline. They are counted when they are
    /// closed already.
    fn closed_by(&self, deadline: &str, count: u64) {
        let name = format!("providerpool_connections_closed_total{{deadline=\"{deadline}\"}}");
        self.wait_for(&name, count);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut connection = connect(address);
    connection.write_all(text.as_bytes()).unwrap();
    connection
}

/// Everything that comes up to the end of the connection, while `drop` is sent again and again, if
/// there is any. That it ends is what the tests are about.
fn until_closed(mut connection: TcpStream, drop: &str) -> String {
    if !drop.is_empty() {
        connection.set_read_timeout(Some(TRICKLE)).unwrap();
    }
    let (mut heard, mut piece, start) = (Vec::new(), [0; 4096], Instant::now());
    loop {
        match connection.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => heard.extend_from_slice(&piece[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let heard = String::from_utf8_lossy(&heard);
                assert!(
                    start.elapsed() < PATIENCE && !drop.is_empty(),
                    "not closed after: {heard}"
                );
            }
            Err(_) => break,
        }
        // When it fails, the connection is over, which the next read tells.
        let _ = connection.write_all(drop.as_bytes());
    }
    String::from_utf8_lossy(&heard).into_owned()
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").map_or("", |rest| &rest[..3])
}

/// A request of each route with a body that is told of and has not come.
fn without_body(pool: &Pool, with_keys: bool) -> Vec<(String, Key, TcpStream)> {
    let mut requests = Vec::new();
    for (route, key) in ROUTES {
        for framing in FRAMINGS {
            let bearer = if with_keys { pool.key(key) } else { "nobody" };
            let request = format!(
                "{route} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n\
                 content-type: application/json\r\n{framing}\r\n\r\n"
            );
            let connection = send(pool.address(), &request);
            requests.push((format!("{route}, {framing}"), key, connection));
        }
    }
    requests
}

#[test]
fn a_refused_request_whose_body_never_comes_is_answered_and_closed() {
    let pool = Pool::start(&[("linger_timeout_ms", "200")]);
    let requests = without_body(&pool, false);
    let count = requests.len() as u64;
    for (name, _, connection) in requests {
        let answer = until_closed(connection, "");
        let expected = if name.starts_with("POST /nowhere") { "404" } else { "401" };
        assert_eq!(status(&answer), expected, "{name}: {answer}");
    }
    pool.closed_by("drain", count);
}

#[test]
fn a_refused_request_whose_body_comes_drop_by_drop_is_closed_too() {
    let pool = Pool::start(&[("linger_timeout_ms", "200")]);
    let ends: Vec<_> = without_body(&pool, false)
        .into_iter()
        .map(|(name, _, connection)| {
            let drop = if name.ends_with("chunked") { "1\r\nx\r\n" } else { "x" };
            thread::spawn(move || (name, until_closed(connection, drop)))
        })
        .collect();
    for end in ends {
        let (name, answer) = end.join().unwrap();
        assert!(matches!(status(&answer), "401" | "404"), "{name}: {answer}");
    }
}

// As many clients do: a connection that is reset meanwhile takes the answer with it.
#[test]
fn who_reads_nothing_before_all_is_sent_hears_why_it_was_too_much() {
    let pool = Pool::start(&[("max_body_bytes", "1048576")]);
    let megabyte = vec![b'x'; 1 << 20];
    for (key, expected) in [(pool.client.as_str(), "413"), ("nobody", "401")] {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-length: {}\r\n\r\n",
            megabyte.len() * 3
        );
        let mut connection = send(pool.address(), &head);
        for _ in 0..3 {
            connection.write_all(&megabyte).unwrap();
        }
        let mut heard = [0; "HTTP/1.1 413".len()];
        connection.read_exact(&mut heard).unwrap();
        assert_eq!(status(&String::from_utf8_lossy(&heard)), expected);
    }
}

#[test]
fn a_body_that_nobody_wants_is_not_read_without_end() {
    let pool = Pool::start(&[("max_body_bytes", "1048576")]);
    let piece = "x".repeat(65_536);
    for (framing, piece) in [
        ("content-length: 1000000000000", piece.clone()),
        ("transfer-encoding: chunked", format!("10000\r\n{piece}\r\n")),
    ] {
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n");
        let mut connection = send(pool.address(), &request);
        let mut sent = 0;
        while connection.write_all(piece.as_bytes()).is_ok() {
            sent += piece.len();
            // What is read, and what the two ends' buffers hold.
            assert!(sent < 64 << 20, "{framing}: {sent} bytes were taken");
        }
    }
    pool.closed_by("drain", 2);
}

#[test]
fn a_body_that_does_not_come_at_a_pace_is_refused_on_every_route() {
    let pool = Pool::start(&[
        ("body_timeout_ms", "200"),
        ("min_bytes_per_second", "1000000"),
        ("linger_timeout_ms", "200"),
    ]);
    let ends: Vec<_> = without_body(&pool, true)
        .into_iter()
        .filter(|(_, key, _)| *key != Key::None)
        .map(|(name, _, connection)| {
            let drop = if name.ends_with("chunked") { "1\r\n{\r\n" } else { "{" };
            thread::spawn(move || (name, until_closed(connection, drop)))
        })
        .collect();
    let count = ends.len() as u64;
    for end in ends {
        let (name, answer) = end.join().unwrap();
        assert_eq!(status(&answer), "408", "{name}: {answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(body.contains("the body did not arrive in time"), "{name}: {answer}");
    }
    assert_eq!(pool.metric("providerpool_bodies_refused_total{reason=\"too_slow\"}"), count);
    assert_eq!(pool.metric("providerpool_body_bytes"), 0);
}

#[test]
fn a_body_that_falls_silent_is_refused_on_every_route() {
    let pool = Pool::start(&[("body_idle_timeout_ms", "200"), ("linger_timeout_ms", "200")]);
    let ends: Vec<_> = without_body(&pool, true)
        .into_iter()
        .filter(|(_, key, _)| *key != Key::None)
        .map(|(name, _, mut connection)| {
            // By the pace alone, so many bytes would buy hours.
            let sent = "x".repeat(99_999);
            let chunk = format!("{:x}\r\n{sent}\r\n", sent.len());
            let sent = if name.ends_with("chunked") { chunk } else { sent };
            connection.write_all(sent.as_bytes()).unwrap();
            thread::spawn(move || (name, until_closed(connection, "")))
        })
        .collect();
    for end in ends {
        let (name, answer) = end.join().unwrap();
        assert_eq!(status(&answer), "408", "{name}: {answer}");
    }
    assert_eq!(pool.metric("providerpool_body_bytes"), 0);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let pool = Pool::start(&[("head_timeout_ms", "200"), ("linger_timeout_ms", "200")]);
    let live = "GET /health/live HTTP/1.1\r\nhost: x\r\n";
    let first = send(pool.address(), live);
    assert_eq!(status(&until_closed(first, "b")), "408");
    let silent = connect(pool.address());
    until_closed(silent, "");

    // The head of a later request has no less.
    let later = send(pool.address(), &format!("{live}\r\n{live}"));
    let heard = until_closed(later, "b");
    assert_eq!(status(&heard), "200");
    assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{heard}");
    pool.closed_by("head", 3);
}

#[test]
fn a_connection_without_another_request_is_closed() {
    let pool = Pool::start(&[("keep_alive_timeout_ms", "200")]);
    let idle = send(pool.address(), "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(status(&until_closed(idle, "")), "200");
    pool.closed_by("keep_alive", 1);
}

#[test]
fn answers_that_are_never_read_end_the_connection_and_take_little_memory() {
    const CLIENTS: u64 = 40;
    let pool = Pool::start(&[("write_timeout_ms", "1500")]);
    pool.metric("warm");
    pool.until_unpacked();
    let before = peak_kilobytes(&pool);
    let requests = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, requests) = (pool.address(), requests.clone());
            thread::spawn(move || {
                let mut connection = connect(address);
                // Until the server takes no more of it, or has closed.
                connection.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
                while connection.write_all(requests.as_bytes()).is_ok() {}
                connection
            })
        })
        .collect();
    let _held: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    pool.closed_by("write", CLIENTS);
    let grown = peak_kilobytes(&pool) - before;
    assert!(grown < CLIENTS * 256, "{grown} KB for {CLIENTS} clients");
}

/// The most memory that the process ever had; 0 where that is not told.
fn peak_kilobytes(pool: &Pool) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pool.process.id()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_client_that_leaves_is_let_go() {
    let pool = Pool::start(&[]);
    let connections = "providerpool_connections{listener=\"relay\"}";
    let idle: Vec<_> = (0..20).map(|_| connect(pool.address())).collect();
    let start = Instant::now();
    while pool.metric(connections) < 21 {
        assert!(start.elapsed() < PATIENCE, "they are not let in");
    }
    for connection in &idle {
        connection.shutdown(Shutdown::Both).unwrap();
    }
    while pool.metric(connections) > 1 {
        assert!(start.elapsed() < 2 * PATIENCE, "they are still there");
    }
}
