//! How many clients there may be, and how much they may send at once.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use crate::support::{PATIENCE, Process, Workplace, http};

struct Pool {
    process: Process,
    admin: String,
    client: String,
    _workplace: Workplace,
}

impl Pool {
    fn start(settings: &str) -> Self {
        let workplace = Workplace::new(&format!("[server]\n{settings}"));
        let mut process = workplace.serve();
        let mut key = |role| {
            let line = process.line_with(&format!("  {role} key "));
            line.split_whitespace().last().unwrap().to_owned()
        };
        let (admin, client) = (key("admin"), key("client"));
        Self { process, admin, client, _workplace: workplace }
    }

    /// Where management is served.
    fn management(&self) -> SocketAddr {
        let printed = self.process.printed();
        let address = printed.split("management is served on http://").nth(1).unwrap();
        address.lines().next().unwrap().parse().unwrap()
    }

    /// A request whose body is announced, and `sent` bytes of it.
    fn begin(&self, path: &str, headers: &str, announced: usize, sent: usize) -> TcpStream {
        self.begin_with(&self.client, path, headers, announced, sent)
    }

    fn begin_with(
        &self,
        key: &str,
        path: &str,
        headers: &str,
        announced: usize,
        sent: usize,
    ) -> TcpStream {
        let mut connection = TcpStream::connect(self.process.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{headers}\
             content-length: {announced}\r\n\r\n{}",
            " ".repeat(sent)
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection
    }

    fn metric(&self, address: SocketAddr, name: &str) -> u64 {
        let page = http::get(address, "/metrics", &self.admin).body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
    }
}

/// The start of an answer, as far as it takes to hold `text`.
fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let (mut heard, mut piece) = (String::new(), [0; 1024]);
    while !heard.contains(text) {
        let length = connection.read(&mut piece).unwrap();
        assert_ne!(length, 0, "no {text:?} in {heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    heard
}

#[test]
fn as_many_connections_as_there_may_be_leave_management_and_health_alone() {
    let pool = Pool::start("max_connections = 8\nmanagement_bind = \"127.0.0.1:0\"");
    let (relay, management) = (pool.process.address, pool.management());
    let mut slow: Vec<_> = (0..8).map(|_| TcpStream::connect(relay).unwrap()).collect();
    for connection in &mut slow {
        connection.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
    }
    let open = "providerpool_connections{listener=\"relay\"}";
    until("all are let in", || pool.metric(management, open) == 8);

    let refused = http::get(relay, "/health/live", "");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.json()["error"]["code"], "too_many_connections");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(http::get(management, "/health/live", "").status, 200);
    assert_eq!(http::get(management, "/api/v1/providers", &pool.admin).status, 200);
    let refused = "providerpool_connections_refused_total{limit=\"max_connections\"}";
    assert_eq!(pool.metric(management, refused), 1);

    drop(slow.pop());
    until("there is room again", || http::get(relay, "/health/live", "").status == 200);
}

#[test]
fn each_address_serves_what_it_is_for_and_nothing_else() {
    let pool = Pool::start("management_bind = \"127.0.0.1:0\"");
    let (relay, management) = (pool.process.address, pool.management());
    for (path, key, at_relay, at_management) in [
        ("/health/live", "", 200, 200),
        ("/v1/models", pool.client.as_str(), 200, 404),
        ("/v1beta/models", &pool.client, 200, 404),
        ("/api/tags", &pool.client, 200, 404),
        ("/api/v1/providers", &pool.admin, 404, 200),
        ("/api/v1/events", &pool.admin, 404, 400),
        ("/api/openapi.json", &pool.admin, 404, 200),
        ("/metrics", &pool.admin, 404, 200),
    ] {
        let seen = [relay, management].map(|address| http::get(address, path, key).status);
        assert_eq!(seen, [at_relay, at_management], "{path}");
    }
}

#[test]
fn management_is_not_shown_to_others_before_there_is_an_admin_key() {
    let workplace = Workplace::new("[server]\nmanagement_bind = \"0.0.0.0:0\"");
    let refused = workplace.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("refusing to listen on 0.0.0.0:0"), "{}", refused.stderr);
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let pool = Pool::start(
        "max_connections_per_address = 1\ntrusted_proxies = [\"127.0.0.0/8\", \"::1\"]",
    );
    let of = |client: &str| format!("x-forwarded-for: 198.51.100.1, {client}\r\n");
    let held = pool.begin("/v1/chat/completions", &of("192.0.2.1"), 100, 10);
    until("it is under way", || {
        pool.metric(pool.process.address, "providerpool_body_bytes") == 100
    });

    for (path, shape) in [
        ("/v1/chat/completions", r#""code":"too_many_requests""#),
        ("/v1/messages", r#""type":"error""#),
        ("/v1beta/models/m:generateContent", r#""status":"RESOURCE_EXHAUSTED""#),
        ("/api/chat", r#"{"error":"there are too many requests"#),
    ] {
        let mut second = pool.begin(path, &of("192.0.2.1"), 100, 0);
        let answer = read_until(&mut second, "too many requests of your address");
        assert!(answer.starts_with("HTTP/1.1 429"), "{path}: {answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{path}: {answer}");
        assert!(answer.contains(shape), "{path}: {answer}");
    }
    let refused = "providerpool_connections_refused_total{limit=\"max_connections_per_address\"}";
    assert_eq!(pool.metric(pool.process.address, refused), 4);
    let mut other = pool.begin("/v1/chat/completions", &of("192.0.2.2"), 1, 1);
    assert!(read_until(&mut other, "\r\n").starts_with("HTTP/1.1 400"));

    drop(held);
    until("there is room again", || {
        let mut next = pool.begin("/v1/chat/completions", &of("192.0.2.1"), 1, 1);
        read_until(&mut next, "\r\n").starts_with("HTTP/1.1 400")
    });
}

#[test]
fn what_a_stranger_says_of_its_address_counts_for_nothing() {
    let pool = Pool::start("max_connections_per_address = 1");
    let of = "x-forwarded-for: 192.0.2.1\r\n";
    let _held = pool.begin("/v1/chat/completions", of, 100, 10);
    until("it is under way", || {
        pool.metric(pool.process.address, "providerpool_body_bytes") == 100
    });
    let mut second = pool.begin("/v1/chat/completions", of, 1, 1);
    assert!(read_until(&mut second, "\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn the_bodies_of_all_requests_have_so_much_room_together_and_those_of_one_key_half() {
    let pool = Pool::start("max_body_bytes = 40000\nmax_bodies_bytes = 80000");
    let (address, bytes) = (pool.process.address, "providerpool_body_bytes");
    let [other, third] = ["other", "third"].map(|name| {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let made = http::ask(address, "POST /api/v1/client-keys", &pool.admin, &body);
        made.json()["key"].as_str().unwrap().to_owned()
    });
    let held = pool.begin("/v1/chat/completions", "", 40_000, 39_999);
    until("its body is held", || pool.metric(address, bytes) == 40_000);

    let refused = |key: &str, status: &str, shapes: [(&str, &str); 5]| {
        for (path, shape) in shapes {
            let mut next = pool.begin_with(key, path, "", 100, 100);
            let answer = read_until(&mut next, "all room there is for");
            assert!(answer.starts_with(status), "{path}: {answer}");
            assert!(answer.contains("\r\nretry-after: 30\r\n"), "{path}: {answer}");
            assert!(answer.contains(shape), "{path}: {answer}");
        }
    };
    let of_the_key = [
        ("/v1/responses", r#""code":"too_many_requests""#),
        ("/v1/messages", r#""type":"rate_limit_error""#),
        ("/v1beta/models/m:generateContent", r#""status":"RESOURCE_EXHAUSTED""#),
        ("/api/generate", r#"{"error":"the requests of this key"#),
        ("/api/show", r#"{"error":"the requests of this key"#),
    ];
    refused(&pool.client, "HTTP/1.1 429", of_the_key);
    assert_eq!(pool.metric(address, bytes), 40_000);

    let others = pool.begin_with(&other, "/v1/chat/completions", "", 40_000, 39_999);
    until("another key has its room", || pool.metric(address, bytes) == 80_000);
    drop(held);
    until("the room is given back", || pool.metric(address, bytes) == 40_000);
    let _again = pool.begin("/v1/chat/completions", "", 40_000, 39_999);
    until("all room is taken", || pool.metric(address, bytes) == 80_000);
    let of_all = [
        ("/v1/responses", r#""code":"busy""#),
        ("/v1/messages", r#""type":"overloaded_error""#),
        ("/v1beta/models/m:generateContent", r#""status":"UNAVAILABLE""#),
        ("/api/generate", r#"{"error":"the requests under way"#),
        ("/api/show", r#"{"error":"the requests under way"#),
    ];
    refused(&third, "HTTP/1.1 503", of_all);

    drop(others);
    until("there is room again", || pool.metric(address, bytes) == 40_000);
    let mut next = pool.begin_with(&other, "/v1/chat/completions", "", 40_000, 40_000);
    assert!(read_until(&mut next, "\r\n").starts_with("HTTP/1.1 400"));
}
